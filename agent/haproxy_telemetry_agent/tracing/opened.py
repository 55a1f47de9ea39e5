"""An exchange that is not over: its trace, and its spans that have begun and not ended."""

from enum import IntEnum

import msgspec

from .context import SpanContext, SpanId, TraceId
from .span import Attribute, Attributes, Event, Link, Span, SpanKind, SpanStatus

__all__ = ["BAGGAGE_PREFIX", "ExchangePhase", "OpenExchange", "OpenSpan", "ended_span"]

BAGGAGE_PREFIX = "baggage."
"""What an item of baggage is called as an attribute: this and its key."""


class ExchangePhase(IntEnum):
    """How far an exchange has come, as its spans tell; it never goes back."""

    REQUEST = 0
    """No server has been reached."""
    SERVER = 1
    UPGRADED = 2
    """The server has switched protocols: bytes may flow for hours without an event."""


class OpenSpan(msgspec.Struct, gc=False):
    """A span that has begun."""

    name: str
    span_id: SpanId
    parent_span_id: SpanId | None
    """None for the root: its parent is the exchange's."""
    follows_span_id: SpanId | None
    start_unix_nano: int
    baggage: dict[str, str]
    """Shared with the spans above it; replaced, never changed."""
    attributes: dict[str, Attribute] = msgspec.field(default_factory=dict)
    events: list[Event] = msgspec.field(default_factory=list)
    is_error: bool = False
    dropped_attributes_count: int = 0
    baggage_bytes: int = 0
    """What of ``size_bytes`` is baggage of its own."""
    size_bytes: int = 0
    """An estimate."""


class OpenExchange(msgspec.Struct, gc=False):
    """One exchange and its open spans."""

    id: str
    trace_id: TraceId
    parent: SpanContext | None
    """The caller's context."""
    flags: int
    tracestate: str
    sampled: bool
    root_span_id: SpanId
    last_unix_nano: int
    """When its last message came."""
    spans: dict[str, OpenSpan] = msgspec.field(default_factory=dict)
    """By name, in the order of their start."""
    phase: ExchangePhase = ExchangePhase.REQUEST
    has_finished_spans: bool = False
    told_tracestate: bool = False
    """Whether HAProxy holds a ``tracestate`` of ours."""
    size_bytes: int = 0
    """An estimate."""


def ended_span(exchange: OpenExchange, span: OpenSpan, end_unix_nano: int) -> Span:
    """The span as it leaves: ended at ``end_unix_nano``, or at its start if a clock was set back since."""
    is_root = span.span_id == exchange.root_span_id
    parent_span_id = span.parent_span_id
    if is_root and exchange.parent is not None:
        parent_span_id = exchange.parent.span_id
    attributes: Attributes = [(BAGGAGE_PREFIX + key, value) for key, value in span.baggage.items()]
    if attributes and span.attributes:
        # A tag may have such a name, too; an attribute comes once.
        attributes = [attribute for attribute in attributes if attribute[0] not in span.attributes]
    attributes.extend(span.attributes.items())
    links = []
    if span.follows_span_id is not None:
        links.append(Link(exchange.trace_id, span.follows_span_id, exchange.flags, exchange.tracestate))
    return Span(
        exchange.trace_id,
        span.span_id,
        parent_span_id,
        exchange.flags,
        is_root and exchange.parent is not None,
        exchange.tracestate,
        span.name,
        SpanKind.SERVER if is_root else SpanKind.INTERNAL,
        span.start_unix_nano,
        max(span.start_unix_nano, end_unix_nano),
        attributes,
        SpanStatus.ERROR if span.is_error else SpanStatus.UNSET,
        links=links,
        events=span.events,
        dropped_attributes_count=span.dropped_attributes_count,
    )
