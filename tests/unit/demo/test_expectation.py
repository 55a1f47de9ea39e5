"""What the demo takes for right: a trace that fits its expectation, and none that differs from it in anything that is told."""

import random
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from demo.expectation import ExpectedSpan, differences
from demo.expected import EDGE, INNER, SERVER, expected_of_doors, expected_of_requests
from demo.hops import PROFILES, Profile
from demo.trace import Trace
from demo.waterfall import waterfall
from support.otlp_sink import SinkLink, SinkSpan

TRACE_ID = "0af7651916cd43dd8448eb211c80319c"
MILLISECOND = 1_000_000

each_profile = pytest.mark.parametrize("profile", PROFILES)


def link_to(span_id: str) -> SinkLink:
    return SinkLink(trace_id=TRACE_ID, span_id=span_id, trace_state="", attributes={})


def arrived(expected: ExpectedSpan, parent: str = "", start: int = 0) -> Iterator[SinkSpan]:
    """The spans that fit an expectation; each begins one millisecond after its parent, or after its predecessor."""
    children: dict[str, str] = {}
    span = SinkSpan(
        trace_id=TRACE_ID,
        span_id=f"{parent}/{expected}",
        parent_span_id=parent,
        name=expected.name,
        kind=expected.kind,
        start_unix_nano=start,
        end_unix_nano=start + 1000 * MILLISECOND,
        attributes={
            **({} if expected.http_status is None else {"http.response.status_code": expected.http_status}),
            **({"haproxy.termination_state": "CD"} if expected.is_aborted else {}),
        },
        status_code="ERROR" if expected.is_error else "UNSET",
        status_message="",
        trace_state="",
        flags=1,
        links=(),
        events=(),
        resource={"service.name": expected.service},
        scope_name="",
        scope_version="",
        schema_url="",
    )
    yield span
    for number, child in enumerate(expected.below, 1):
        first, *rest = arrived(child, span.span_id, start + number * MILLISECOND)
        if child.follows is not None:
            first = replace(first, links=(link_to(children[child.follows]),))
        children[child.name] = first.span_id
        yield first
        yield from rest


def of_good(profile: Profile, change: Callable[[SinkSpan], SinkSpan | None] = lambda span: span) -> list[str]:
    """The differences of the good request's trace, once its spans are changed, or left out."""
    expected = expected_of_requests(profile)["good"]
    changed = [after for span in arrived(expected) if (after := change(span)) is not None]
    random.Random(1).shuffle(changed)
    return differences(expected, Trace.all_of(changed))


@each_profile
def test_what_fits_has_no_differences(profile: Profile) -> None:
    for expected in expected_of_requests(profile).values():
        assert differences(expected, Trace.all_of(arrived(expected))) == []


@pytest.mark.parametrize(("profile", "count"), [("Standard", 2), ("Full", 9), ("Stream", 2)])
def test_how_many_spans_a_hop_has(profile: Profile, count: int) -> None:
    counts = [
        expected_of_doors(profile, edge=edge, inner=inner).count
        for edge, inner in ((True, True), (True, False), (False, True), (False, False))
    ]
    assert counts == [2 * count + 2, count + 2, count + 2, 2]


@each_profile
def test_the_next_hop_hangs_below_the_client_span(profile: Profile) -> None:
    spans = {span.span_id: span for span in arrived(expected_of_requests(profile)["good"])}
    firsts = [span for span in spans.values() if span.kind == "SERVER" and span.parent_span_id]
    assert [(span.service, spans[span.parent_span_id].service) for span in firsts] == [(INNER, EDGE), (SERVER, INNER)]
    assert {spans[span.parent_span_id].kind for span in firsts} == {"CLIENT"}


@each_profile
def test_no_span_may_be_missing_or_twice(profile: Profile) -> None:
    expected = expected_of_requests(profile)["good"]
    spans = list(arrived(expected))
    for number in range(len(spans)):
        assert differences(expected, Trace.all_of(spans[:number] + spans[number + 1 :]))
        assert differences(expected, Trace.all_of([*spans, replace(spans[number], span_id="another")]))


@each_profile
def test_every_span_must_be_at_its_place(profile: Profile) -> None:
    """Wherever else a span is put: it is noticed."""
    expected = expected_of_requests(profile)["good"]
    spans = list(arrived(expected))
    for span in spans[1:]:
        for other in spans:
            if other.span_id not in (span.parent_span_id, span.span_id):
                moved = [replace(span, parent_span_id=other.span_id) if each is span else each for each in spans]
                assert differences(expected, Trace.all_of(moved)), f"{span.name} below {other.name}"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda span: replace(span, trace_id="another") if span.service == SERVER else span, ["2 traces instead of one"]),
        (
            lambda span: replace(span, parent_span_id="gone") if span.service == INNER and span.kind == "SERVER" else span,
            ["its spans are not linked: 2 of them have a parent that is not there"],
        ),
        (
            lambda span: replace(span, attributes={}) if span.service == EDGE and span.kind == "CLIENT" else span,
            ["edge CLIENT GET: status of the answer: None instead of 200"],
        ),
        (
            lambda span: replace(span, status_code="ERROR") if span.name == "work" else span,
            ["traced-server INTERNAL work: is an error: True instead of False"],
        ),
        (
            lambda span: replace(span, name="HEAD") if span.service == INNER and span.kind == "CLIENT" else span,
            ["no inner CLIENT GET below inner SERVER GET", "inner CLIENT HEAD below inner SERVER GET, where none should be"],
        ),
    ],
)
def test_what_is_wrong_is_said(change: Callable[[SinkSpan], SinkSpan], said: list[str]) -> None:
    assert of_good("Standard", change) == said


def test_a_link_that_is_missing_or_leads_elsewhere_is_said() -> None:
    phase = "Backend TCP request"

    def with_links(*links: SinkLink) -> list[str]:
        return of_good("Full", lambda span: replace(span, links=links) if (span.service, span.name) == (EDGE, phase) else span)

    nothing = f"edge INTERNAL {phase}: follows from: None instead of 'Frontend HTTP request'"
    assert with_links() == [f"edge INTERNAL {phase}: number of links: 0 instead of 1", nothing]
    assert with_links(link_to("of nobody")) == [nothing]


def test_what_follows_must_not_begin_before() -> None:
    early = of_good("Full", lambda span: replace(span, start_unix_nano=0) if span.name == "HTTP response" else span)
    assert early == [
        "edge INTERNAL HTTP response: begins before TCP response, which it follows from",
        "inner INTERNAL HTTP response: begins before TCP response, which it follows from",
    ]


DRAWN = [
    "edge   HAProxy session",
    "edge   ├ Client session",
    "edge   │ ├ Frontend TCP request",
    "edge   │ ├ ⇢ Frontend HTTP request",
    "edge   │ ├ ⇢ Backend TCP request",
    "edge   │ └ ⇢ Backend HTTP request",
    "edge   └ Server session",
    "edge     ├ TCP response",
    "edge     ├ ⇢ HTTP response",
    "inner    └ HAProxy session",
    "inner      └ Client session",
    "inner        ├ Frontend TCP request",
    "inner        ├ ⇢ Frontend HTTP request",
    "inner        ├ ⇢ Backend TCP request",
    "inner        └ ⇢ Backend HTTP request",
]


def test_a_waterfall_shows_branches_and_links() -> None:
    trace = Trace.all_of(arrived(expected_of_requests("Full")["no server"]))[0]
    lines = [line.plain for line in waterfall(trace, columns=90)]
    assert [line[: len(drawn)] for line, drawn in zip(lines, DRAWN, strict=True)] == DRAWN
