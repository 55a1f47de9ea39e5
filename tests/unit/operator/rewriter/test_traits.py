"""What a section says and inherits."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_operator.rewriter.sections import Configuration
from haproxy_telemetry_operator.rewriter.traits import NO_TRAITS, UNKNOWN, Certainty, May, Traits, resolve_traits

Read = Callable[..., Configuration]


@pytest.fixture(scope="session")
def traits_of(read: Read) -> Callable[[str], Traits]:
    """The traits of the last section."""

    def last(text: str) -> Traits:
        configuration = read(text)
        assert configuration.problem is None
        return resolve_traits(configuration.sections)[configuration.sections[-1].number]

    return last


@pytest.mark.parametrize(
    ("text", "modes"),
    [
        ("frontend web\n", {"tcp"}),
        ("frontend web\nmode http\n", {"http"}),
        ("frontend web\nmode tcp\nmode http\n", {"http"}),
        ("defaults\nmode http\nfrontend web\n", {"http"}),
        ("defaults\nmode http\nfrontend web\nmode tcp\n", {"tcp"}),
        ("defaults a\nmode http\ndefaults b from a\ndefaults\nfrontend web from b\n", {"http"}),
        ("defaults a\nmode http\ndefaults b\nfrontend web\n", {"tcp"}),
        ("defaults\nmode http\nfrontend web\n.if 1\nmode tcp\n.endif\n", {"http", "tcp"}),
        ("frontend web\n.if 1\nmode tcp\n.endif\nmode http\n", {"http"}),
        (".if 1\ndefaults\nmode http\n.else\ndefaults\nmode log\n.endif\nfrontend web\n", {"http", "log"}),
        ("defaults\nmode http\n.if 1\ndefaults\nmode log\n.endif\nfrontend web\n", {"http", "log"}),
        ('frontend web\nmode "$X"\n', {UNKNOWN}),
        ("frontend web from nowhere\n", {UNKNOWN}),
    ],
)
def test_modes(traits_of: Callable[[str], Traits], text: str, modes: set[str]) -> None:
    assert traits_of(text).modes == modes


@pytest.mark.parametrize(
    ("text", "certainty"),
    [
        ("frontend web\nerror-log-format x\noption dontlognull\n", Certainty.NO),
        ("frontend web\noption httplog\n", Certainty.YES),
        ("frontend web\nlog-format %ST\n", Certainty.YES),
        ("defaults\noption tcplog\nfrontend web\n", Certainty.YES),
        ("frontend web\n.if 1\noption httpslog\n.endif\n", Certainty.PERHAPS),
        ("frontend web\n.if 1\noption httpslog\n.endif\n.if 2\noption httplog\n.endif\n", Certainty.PERHAPS),
        ("defaults\noption httplog\nfrontend web\n.if 1\noption httpslog\n.endif\n", Certainty.YES),
        (".if 1\ndefaults\noption httplog\n.else\ndefaults\n.endif\nfrontend web\n", Certainty.PERHAPS),
    ],
)
def test_log_format(traits_of: Callable[[str], Traits], text: str, certainty: Certainty) -> None:
    assert traits_of(text).log_format is certainty


RING = "ring r\nformat rfc5424\n"


@pytest.mark.parametrize(
    ("text", "may"),
    [
        ("frontend web\n", set()),
        ("frontend web\nlog 127.0.0.1 local0\n", {May.LOG}),
        ("frontend web\nlog global\n", {May.LOG_GLOBAL}),
        ("global\nlog stdout local0\nfrontend web\nlog global\n", {May.LOG_GLOBAL, May.LOG}),
        ("global\nlog stdout local0\nfrontend web\n", set()),
        (
            "global\nlog stdout format rfc5424 local0\ndefaults\nlog global\nfrontend web\n",
            {May.LOG_GLOBAL, May.LOG, May.LOG_RFC5424},
        ),
        ("defaults\nlog stdout local0\nfrontend web\nno log\n", set()),
        ("defaults\nlog stdout local0\nfrontend web\n.if 1\nno log\n.endif\n", {May.LOG}),
        ("frontend web\nlog stdout format rfc5424 local0\n", {May.LOG, May.LOG_RFC5424}),
        ("frontend web\nlog stdout format raw local0\n", {May.LOG}),
        ('frontend web\nlog stdout format "$X" local0\n', {May.LOG, May.LOG_RFC5424}),
        ('frontend web\nlog "${X[*]}"\n', {May.LOG, May.LOG_RFC5424}),
        ('frontend web\nlog "$X" local0\n', {May.LOG}),
        (RING + 'frontend web\nlog "$X" local0\n', {May.LOG, May.LOG_RFC5424}),
        (RING + "frontend web\nlog ring@r format raw local0\n", {May.LOG, May.LOG_RFC5424}),
        (RING + "frontend web\nlog ring@other local0\n", {May.LOG}),
        ("ring r\nformat raw\nfrontend web\nlog ring@r local0\n", {May.LOG}),
        ('ring r\n"$X" raw\nfrontend web\nlog ring@r local0\n', {May.LOG, May.LOG_RFC5424}),
        ("frontend web\nlog-format-sd x\n", {May.LOG_FORMAT_SD}),
        ("frontend web\nlog-steps close,accept\n", {May.LOG_STEPS}),
        ("frontend web\nlog-steps close\n", set()),
        ("defaults\nlog-steps all\nfrontend web\nlog-steps close\n", set()),
        ("defaults\nlog-steps all\nfrontend web\n.if 1\nlog-steps close\n.endif\n", {May.LOG_STEPS}),
        ("frontend web\noption logasap\noption dontlog-normal\n", {May.LOGASAP, May.DONTLOG_NORMAL}),
        ("defaults\noption logasap\nfrontend web\nno option logasap\n", set()),
        ("frontend web\nhttp-request set-log-level silent if { path / }\n", {May.SET_LOG_LEVEL}),
        ("defaults\ntcp-request content set-log-level debug\nfrontend web\n", {May.SET_LOG_LEVEL}),
        ("frontend web\nhttp-response set-log-level notice\nacl set-log-level silent\n", set()),
        ("defaults\ncompression algo gzip\nfrontend web\n", {May.COMPRESS}),
        ('frontend web\n"$X" y\n', {May.HAVE_UNKNOWN_KEYWORD}),
        ('frontend web\noption "$X"\n', {May.HAVE_UNKNOWN_KEYWORD}),
        ('defaults\nfilter "$X"\nfrontend web\n', {May.HAVE_UNKNOWN_KEYWORD}),
        ('frontend web\nbind "$X"\nuse_backend "$X"\n', set()),
        (
            "global\nlog x local0\n.if 1\ndefaults\noption logasap\n.else\ndefaults\nlog global\n.endif\nfrontend web\n",
            {May.LOGASAP, May.LOG_GLOBAL, May.LOG},
        ),
        ("frontend web from nowhere\n", {May.HAVE_UNKNOWN_DEFAULTS}),
        ("defaults\n.if 1\nfrontend a\n.endif\nmode http\nfrontend web\n", {May.HAVE_UNKNOWN_DEFAULTS}),
    ],
)
def test_what_may_be(traits_of: Callable[[str], Traits], text: str, may: set[May]) -> None:
    assert traits_of(text).may == may


def test_only_sections_that_can_inherit_have_traits(read: Read) -> None:
    assert resolve_traits(read("global\nlog x local0\nbackend b\nlisten l\n").sections) == {2: NO_TRAITS}
