"""What a span keeps when it has too much."""

import pytest

from haproxy_telemetry_agent.tracing.context import SpanId, TraceId
from haproxy_telemetry_agent.tracing.limits import DEFAULT_COUNT, SpanLimits
from haproxy_telemetry_agent.tracing.span import Attributes, Event, Link, Span, SpanKind


def link(number: int) -> Link:
    return Link(TraceId(b"t" * 16), SpanId(bytes([number + 1] * 8)), attributes=[("text", "x" * 10)])


def span(attributes: Attributes, *, events: int = 0, links: int = 0) -> Span:
    return Span(
        TraceId(b"t" * 16),
        SpanId(b"s" * 8),
        None,
        1,
        parent_is_remote=False,
        tracestate="",
        name="GET",
        kind=SpanKind.SERVER,
        start_unix_nano=1,
        end_unix_nano=2,
        attributes=attributes,
        events=[Event(number, "e", [("text", "x" * 10)]) for number in range(events)],
        links=[link(number) for number in range(links)],
    )


def numbered(count: int) -> Attributes:
    return [(f"a{number}", number) for number in range(count)]


def test_the_default_is_the_specifications() -> None:
    limits = SpanLimits()
    assert (limits.attribute_count, limits.event_count, limits.link_count) == (128, 128, 128)
    assert limits.attribute_value_length is None


@pytest.mark.parametrize("count", [0, 1, DEFAULT_COUNT])
def test_a_span_within_its_limits_stays_as_it_is(count: int) -> None:
    attributes = numbered(count)
    limited = span([*attributes, ("text", "x" * 10_000)][:DEFAULT_COUNT], events=DEFAULT_COUNT, links=DEFAULT_COUNT)
    before = [*limited.attributes]
    SpanLimits().apply(limited)
    assert limited.attributes == before
    assert (len(limited.events), len(limited.links), limited.dropped_attributes_count) == (DEFAULT_COUNT, DEFAULT_COUNT, 0)


def test_the_first_attributes_are_kept_and_the_others_counted() -> None:
    limited = span(numbered(DEFAULT_COUNT + 3))
    limited.dropped_attributes_count = 1
    SpanLimits().apply(limited)
    assert limited.attributes == numbered(DEFAULT_COUNT)
    assert limited.dropped_attributes_count == 4


def test_a_limit_of_zero_keeps_nothing() -> None:
    limited = span(numbered(2), events=2, links=2)
    SpanLimits(attribute_count=0, event_count=0, link_count=0).apply(limited)
    assert (limited.attributes, limited.events, limited.links, limited.dropped_attributes_count) == ([], [], [], 2)


def test_the_first_events_and_links_are_kept() -> None:
    limited = span([], events=3, links=3)
    SpanLimits(event_count=1, link_count=2).apply(limited)
    assert [event.time_unix_nano for event in limited.events] == [0]
    assert [link.span_id[0] for link in limited.links] == [1, 2]
    assert (limited.dropped_events_count, limited.dropped_links_count) == (2, 1)


def test_texts_are_cut_and_nothing_else_is() -> None:
    texts = ["long text", "ab"]
    limited = span([("a", "long text"), ("b", "abc"), ("c", texts), ("d", 123_456), ("e", True), ("f", 1.25)], events=1, links=1)
    SpanLimits(attribute_value_length=3).apply(limited)
    assert limited.attributes == [("a", "lon"), ("b", "abc"), ("c", ["lon", "ab"]), ("d", 123_456), ("e", True), ("f", 1.25)]
    assert texts == ["long text", "ab"]
    assert limited.events[0].attributes == [("text", "xxx")]
    assert limited.links[0].attributes == [("text", "xxx")]
    assert limited.dropped_attributes_count == 0
