"""A span as it leaves an open exchange."""

import msgspec
import pytest

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.opened import OpenExchange, OpenSpan, ended_span
from haproxy_telemetry_agent.tracing.span import Event, Link, Span, SpanKind, SpanStatus

TRACE = TraceId(b"t" * 16)
ROOT, OTHER, CALLER = SpanId(b"r" * 8), SpanId(b"o" * 8), SpanId(b"c" * 8)


@pytest.fixture
def exchange() -> OpenExchange:
    return OpenExchange("id", TRACE, None, 3, "ot=th:0", True, ROOT, 10)


def root(**changes: object) -> OpenSpan:
    return msgspec.structs.replace(OpenSpan("root", ROOT, None, None, 10, {}), **changes)


def test_the_root_is_a_server_span(exchange: OpenExchange) -> None:
    assert ended_span(exchange, root(), 20) == Span(TRACE, ROOT, None, 3, False, "ot=th:0", "root", SpanKind.SERVER, 10, 20)


def test_the_root_hangs_below_the_caller(exchange: OpenExchange) -> None:
    exchange.parent = SpanContext(TRACE, CALLER, 1)
    span = ended_span(exchange, root(), 20)
    assert (span.parent_span_id, span.parent_is_remote) == (CALLER, True)


def test_others_are_internal_and_link_to_what_they_follow(exchange: OpenExchange) -> None:
    exchange.parent = SpanContext(TRACE, CALLER, 1)
    span = ended_span(exchange, OpenSpan("next", OTHER, ROOT, SpanId(b"p" * 8), 10, {}), 20)
    assert (span.kind, span.parent_span_id, span.parent_is_remote) == (SpanKind.INTERNAL, ROOT, False)
    assert span.links == [Link(TRACE, SpanId(b"p" * 8), 3, "ot=th:0")]


def test_what_was_said_of_it(exchange: OpenExchange) -> None:
    events = [Event(11, "log", [])]
    span = ended_span(
        exchange, root(attributes={"a": 1}, events=events, is_error=True, dropped_attributes_count=2, baggage={"b": "x"}), 20
    )
    assert span.attributes == [("baggage.b", "x"), ("a", 1)]
    assert (span.events, span.status, span.dropped_attributes_count) == (events, SpanStatus.ERROR, 2)


def test_a_tag_hides_baggage_of_its_name(exchange: OpenExchange) -> None:
    span = ended_span(exchange, root(attributes={"baggage.b": 1}, baggage={"b": "x", "c": "y"}), 20)
    assert span.attributes == [("baggage.c", "y"), ("baggage.b", 1)]


def test_it_never_ends_before_its_start(exchange: OpenExchange) -> None:
    assert ended_span(exchange, root(), 9).end_unix_nano == 10
