"""Whether a section can be traced, and what it needs for that. `tests/configurations/` has a case of each reason, too."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_operator.rewriter.insertions import Insertions
from haproxy_telemetry_operator.rewriter.judgement import Judgement, judge
from haproxy_telemetry_operator.rewriter.report import Reason, Remark
from haproxy_telemetry_operator.rewriter.sections import Configuration
from haproxy_telemetry_operator.rewriter.traits import resolve_traits


@pytest.fixture(scope="session")
def judged(read: Callable[..., Configuration], insertions: Insertions) -> Callable[..., Judgement]:
    """The judgement on the first frontend; all of its lines come with a log format."""

    def first(text: str, own: Insertions = insertions) -> Judgement:
        sections = read(text).sections
        section = next(section for section in sections if section.kind == "frontend")
        return judge(section, resolve_traits(sections)[section.number], own.by_mode)

    return first


WEB = "frontend web\nmode http\noption httplog\n"


@pytest.mark.parametrize(
    ("lines", "top", "end"),
    [
        ("", (), ()),
        ("compression algo gzip\n", (), ("filter compression",)),
        ("filter compression\ncompression algo gzip\n", (), ()),
        ("http-request cache-use a\nhttp-response cache-store a\n", ("filter cache a",), ()),
        ("http-request cache-use a\nhttp-request cache-use b\nfilter cache a\n", ("filter cache b",), ()),
        ("compression algo gzip\nhttp-request cache-use a\n", ("filter cache a",), ("filter compression",)),
        (".if 1\ncompression algo gzip\n.endif\n", (), ("filter compression",)),
    ],
)
def test_filters_that_haproxy_would_add_by_itself(
    judged: Callable[..., Judgement], lines: str, top: tuple[str, ...], end: tuple[str, ...]
) -> None:
    assert judged(WEB + lines) == Judgement(mode="http", top=top, end=end)


@pytest.mark.parametrize(
    "lines",
    [".if 1\nfilter compression\n.endif\n", ".if 1\nhttp-request cache-use a\n.endif\n", 'http-response cache-store "$A"\n'],
)
def test_a_filter_of_which_one_cannot_be_certain(judged: Callable[..., Judgement], lines: str) -> None:
    assert judged(WEB + lines).reason is Reason.FILTER_CONDITIONAL


def test_where_we_have_no_filter_none_is_needed(judged: Callable[..., Judgement], insertions: Insertions) -> None:
    stream = Insertions("log ring@ours local0\n", "", insertions.sections)
    lines = WEB + "use-fcgi-app a\ncompression algo gzip\nhttp-request cache-use a\n.if 1\nfilter compression\n.endif\n"
    assert judged(lines, stream) == Judgement(mode="http")
    assert judged(lines).reason is Reason.FCGI


@pytest.mark.parametrize(
    ("text", "judgement"),
    [
        ("frontend web\nmode http\n", Judgement(mode="http", top=("option httplog",))),
        ("frontend web\n", Judgement(mode="tcp", top=("option tcplog",))),
        (WEB + "no log\n", Judgement(mode="http", targets_at_end=True)),
        (WEB + "option logasap\noption dontlog-normal\n", Judgement(mode="http", remarks=(Remark.DONTLOG_NORMAL, Remark.LOGASAP))),
        (WEB + "http-request set-log-level silent\n", Judgement(mode="http", remarks=(Remark.SET_LOG_LEVEL,))),
        (WEB + "mode log\n", Judgement(Reason.OTHER_MODE)),
        (WEB + "filter spoe engine ours config x\n", Judgement(Reason.ALREADY_TRACED)),
        (WEB + "log ring@ours local0\n", Judgement(Reason.ALREADY_TRACED)),
        (WEB + "filter spoe engine waf config x\nlog ring@theirs local0\n", Judgement(mode="http")),
        ("frontend\nmode http\n", Judgement(Reason.LINE_UNKNOWN)),
    ],
)
def test_judgements(judged: Callable[..., Judgement], text: str, judgement: Judgement) -> None:
    assert judged(text) == judgement


def test_tcp_may_be_unwanted(judged: Callable[..., Judgement]) -> None:
    assert judged("frontend web\n", Insertions("log x\n", "", "")).reason is Reason.TCP_NOT_WANTED
