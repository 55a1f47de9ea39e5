"""A finished span, as plain data: what the encoder and the exporters take.

Not the SDK's span: making and ending one of those costs fifteen times as much (measured), and nothing here needs a live span.
"""

from enum import IntEnum

import msgspec

from .context import SpanId, TraceId

__all__ = ["Attribute", "Attributes", "Event", "Link", "Span", "SpanKind", "SpanStatus"]

Attribute = str | bool | int | float | list[str]
Attributes = list[tuple[str, Attribute]]


class SpanKind(IntEnum):
    """OTLP's numbers."""

    INTERNAL = 1
    SERVER = 2
    CLIENT = 3


class SpanStatus(IntEnum):
    """OTLP's numbers. Instrumentation never sets OK."""

    UNSET = 0
    OK = 1
    ERROR = 2


class Link(msgspec.Struct, frozen=True, gc=False):
    """Another span that this one has to do with, though it is not its parent."""

    trace_id: TraceId
    span_id: SpanId
    flags: int = 0
    tracestate: str = ""
    is_remote: bool = False
    """Whether it belongs to another process."""
    attributes: Attributes = msgspec.field(default_factory=list)


class Event(msgspec.Struct, frozen=True, gc=False):
    """Something that happened at a moment of the span."""

    time_unix_nano: int
    name: str
    attributes: Attributes = msgspec.field(default_factory=list)


class Span(msgspec.Struct, gc=False):
    """One span, ended."""

    trace_id: TraceId
    span_id: SpanId
    parent_span_id: SpanId | None
    flags: int
    """Trace flags of the span itself."""
    parent_is_remote: bool
    """Whether the parent belongs to another process."""
    tracestate: str
    name: str
    kind: SpanKind
    start_unix_nano: int
    end_unix_nano: int
    attributes: Attributes = msgspec.field(default_factory=list)
    status: SpanStatus = SpanStatus.UNSET
    status_message: str = ""
    links: list[Link] = msgspec.field(default_factory=list)
    events: list[Event] = msgspec.field(default_factory=list)
    dropped_attributes_count: int = 0
    """Attributes that a limit took away."""
    dropped_events_count: int = 0
    dropped_links_count: int = 0
