"""Whole configurations: golden files, the table of traps, and what must hold for any text at all."""

import time
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.wiring import Plan
from haproxy_telemetry_operator.rewriter import Insertions, Reason, Rewriting, Selection, remove_marked, rewrite
from haproxy_telemetry_operator.rewriter.markers import BEGIN, END
from support.configurations import CONFIGURATIONS, TRACED, Configuration

each_configuration = pytest.mark.parametrize("configuration", CONFIGURATIONS.values(), ids=CONFIGURATIONS)

GOLDEN = {
    "usual.cfg": "usual",
    "compression-and-caches.cfg": "two-caches-and-compression",
    "conditions.cfg": "rules-under-conditions",
    "tls-passthrough.cfg": "tls-passthrough",
    "no-log.cfg": "no-log-then-another",
}


@pytest.mark.parametrize("name", GOLDEN)
def test_text(insertions: Insertions, assert_golden: Callable[[str, str], None], name: str) -> None:
    (text,) = rewrite(CONFIGURATIONS[GOLDEN[name]].texts, insertions).texts
    assert_golden(name, text)


def reported(rewriting: Rewriting) -> dict[str, str]:
    return {section.name: TRACED if section.reason is None else section.reason.code for section in rewriting.sections}


@each_configuration
def test_report(configuration: Configuration) -> None:
    rewriting = rewrite(configuration.texts, own_insertions())
    assert reported(rewriting) == configuration.sections
    assert (rewriting.problem and rewriting.problem.kind.code) == configuration.problem


@each_configuration
def test_what_must_hold_of_each_configuration(insertions: Insertions, configuration: Configuration) -> None:
    assert_sound(configuration.texts, insertions)


def own_insertions() -> Insertions:
    return Insertions.of_plan(Plan())


def assert_sound(texts: tuple[str, ...], insertions: Insertions) -> None:
    """Only whole lines are added; they can all be taken out again; doing it twice is doing it once."""
    rewriting = rewrite(texts, insertions)
    assert len(rewriting.texts) == len(texts)
    for before, after in zip(texts, rewriting.texts, strict=True):
        assert remove_marked(after) == (before, None)
        lines = iter(after.split("\n"))
        assert all(line in lines for line in before.split("\n"))
    assert rewrite(rewriting.texts, insertions) == rewriting
    assert (rewriting.texts == texts) is (not rewriting.traced)
    assert all("\n" not in section.name for section in rewriting.sections)


LINES = [
    *(
        "frontend a",
        "listen b",
        "backend c",
        "frontend d from e",
        "defaults",
        "defaults e",
        "defaults f from e",
        "global",
        "ring g",
    ),
    *(
        "mode http",
        "mode tcp",
        "option httplog",
        "log global",
        "log 127.0.0.1:514 local0",
        "no log",
        "bind :1",
        "http-request deny",
    ),
    *(".if 1", ".elif 1", ".else", ".endif", ".notice x", "# comment", "", "compression algo gzip", "http-request cache-use h"),
    *(
        "tcp-request content accept",
        "monitor fail if x",
        "redirect location /",
        "use_backend c",
        'mode "$A"',
        '"$B" c',
        "log-format-sd x",
    ),
]
configurations = st.lists(
    st.lists(st.sampled_from(LINES), max_size=25).map(lambda lines: "".join(f"{line}\n" for line in lines)), max_size=3
)
any_texts = st.lists(st.text() | st.text(alphabet="\n\r\t .#'\"\\$ifrontend elsbackmodhtp-"), max_size=3)


@given(texts=configurations)
def test_any_lines_of_a_configuration(insertions: Insertions, texts: list[str]) -> None:
    assert_sound(tuple(texts), insertions)


@given(texts=any_texts)
def test_any_text(insertions: Insertions, texts: list[str]) -> None:
    assert_sound(tuple(texts), insertions)


@given(text=st.lists(st.sampled_from([BEGIN, END, "  " + END, "frontend a", "mode http"]), max_size=6).map("\n".join))
def test_damaged_markers_change_nothing(insertions: Insertions, text: str) -> None:
    rewriting = rewrite((text,), insertions)
    if rewriting.problem is not None and rewriting.problem.kind.code == "MarkersDamaged":
        assert rewriting.texts == (text,)
        assert remove_marked(text).damaged_line == rewriting.problem.line
    assert rewrite(rewriting.texts, insertions) == rewriting


def test_other_insertions_take_the_place_of_the_first(insertions: Insertions) -> None:
    texts = CONFIGURATIONS["usual"].texts
    assert rewrite(rewrite(texts, own_insertions()).texts, insertions) == rewrite(texts, insertions)


def test_only_what_is_chosen_is_traced(insertions: Insertions) -> None:
    texts = ("defaults\n  mode http\nfrontend web\nfrontend web-internal\nfrontend other\n",)
    rewriting = rewrite(texts, insertions, Selection(include=("web*",), exclude=("*-internal",)))
    assert reported(rewriting) == {"web": TRACED, "web-internal": "Excluded", "other": "Excluded"}
    assert [(section.file, section.line) for section in rewriting.sections] == [(0, 3), (0, 4), (0, 5)]


def test_a_name_that_cannot_be_told_is_not_chosen(insertions: Insertions) -> None:
    texts = ('frontend "$NAME"\n  mode http\n',)
    assert rewrite(texts, insertions, Selection(exclude=("internal",))).sections[0].reason is Reason.NAME_UNKNOWN
    assert rewrite(texts, insertions).sections[0].reason is None


def test_what_is_no_longer_chosen_is_as_it_was(insertions: Insertions) -> None:
    texts = CONFIGURATIONS["three-files"].texts
    rewritten = rewrite(texts, insertions).texts
    assert rewritten != texts
    assert rewrite(rewritten, insertions, Selection(include=())).texts == texts


def long_texts() -> Iterator[tuple[str, Callable[[int], str]]]:
    yield "sections", lambda size: "defaults d\nfrontend a from d\n mode http\n" * size
    yield "conditions", lambda size: ".if 1\nfrontend a\n.endif\n" * size
    yield "branches", lambda size: ".if 1\n" + ".elif 1\nfrontend a\n" * size + ".endif\n" + ".if 1\n.endif\n" * size
    yield "depth", lambda size: ".if 1\nfrontend a\n" * size + ".endif\n" * size
    yield "one line", lambda size: "frontend a\n bind " + "'x'\"y\"\\ z " * size + "\n"
    yield "quotes", lambda size: "frontend a\n bind " + '"$A${B}' * size + '"' * (size % 2) + "\n"
    yield "rules", lambda size: "frontend a\n mode http\n" + " http-request deny\n" * size
    yield "caches", lambda size: "frontend a\n mode http\n" + "".join(f" http-request cache-use c{n}\n" for n in range(size))


@pytest.mark.parametrize(("name", "text"), list(long_texts()))
def test_the_time_it_takes_grows_with_the_length_alone(insertions: Insertions, name: str, text: Callable[[int], str]) -> None:
    def seconds(size: int) -> float:
        texts = (text(size),)
        start = time.process_time()
        rewrite(texts, insertions)
        return time.process_time() - start

    small = min(seconds(300) for _ in range(3))
    large = min(seconds(6000) for _ in range(2))
    assert large < 5 * 20 * small + 0.05, name  # 20 times the length; the square would be 400 times the time
