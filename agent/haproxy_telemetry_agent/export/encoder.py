"""Spans to OTLP bytes, written straight in protobuf's wire format.

A span is encoded when it ends and waits in the queue as bytes: the queue's size in bytes is exact, a batch is a ``join``, and no
export ever holds the interpreter for long. Building protobuf objects for the same spans costs ten times as much (measured).

Only what the agent emits is written; the tests decode it with ``opentelemetry-proto`` and compare it with the SDK's own encoder.
Source: opentelemetry-proto 1.x, ``trace/v1/trace.proto``, ``common/v1/common.proto``, ``resource/v1/resource.proto``.
"""

import struct
from collections.abc import Mapping, Sequence
from functools import lru_cache

from ..tracing.span import Attribute, Event, Link, Span, SpanStatus
from .protobuf import ONE_BYTE, AttributeEncoder, field, key_value, length, text, varint

__all__ = ["encode_request", "encode_resource", "encode_scope", "encode_span"]

# One byte a tag: field number << 3 | wire type (0 varint, 1 fixed64, 2 length-delimited, 5 fixed32).
_SPAN_TRACE_ID = b"\x0a\x10"
_SPAN_SPAN_ID = b"\x12\x08"
_SPAN_TRACE_STATE = b"\x1a"
_SPAN_PARENT_SPAN_ID = b"\x22\x08"
_SPAN_NAME = b"\x2a"
_SPAN_KIND = b"\x30"
_SPAN_TIMES = struct.Struct("<cQcQ")
_SPAN_START = b"\x39"
_SPAN_END = b"\x41"
_SPAN_DROPPED_ATTRIBUTES_COUNT = b"\x50"
_SPAN_DROPPED_EVENTS_COUNT = b"\x60"
_SPAN_DROPPED_LINKS_COUNT = b"\x70"
_SPAN_EVENT = b"\x5a"
_SPAN_LINK = b"\x6a"
_SPAN_STATUS = b"\x7a"
_SPAN_FLAGS = struct.Struct("<HI")
_SPAN_FLAGS_TAG = 0x0185  # field 16, fixed32: two bytes, little endian

_LINK_TRACE_ID = b"\x0a\x10"
_LINK_SPAN_ID = b"\x12\x08"
_LINK_ATTRIBUTE = b"\x22"
_LINK_FLAGS = struct.Struct("<cI")
_LINK_FLAGS_TAG = b"\x35"
_EVENT_TIME = struct.Struct("<cQ")
_EVENT_TIME_TAG = b"\x09"
_EVENT_NAME = b"\x12"
_EVENT_ATTRIBUTE = b"\x1a"

_FLAG_HAS_IS_REMOTE = 0x100
_FLAG_IS_REMOTE = 0x200

_ATTRIBUTES = AttributeEncoder(b"\x4a")


def encode_span(span: Span) -> bytes:
    """One ``opentelemetry.proto.trace.v1.Span``, without its field tag."""
    parts = [_SPAN_TRACE_ID, span.trace_id, _SPAN_SPAN_ID, span.span_id]
    if span.tracestate:
        parts.append(_tracestate(span.tracestate))
    if span.parent_span_id is not None:
        parts.append(_SPAN_PARENT_SPAN_ID)
        parts.append(span.parent_span_id)
    parts.append(_name_and_kind(span.name, span.kind))
    parts.append(_SPAN_TIMES.pack(_SPAN_START, span.start_unix_nano, _SPAN_END, span.end_unix_nano))
    parts += _ATTRIBUTES.encode(span.attributes)
    if span.dropped_attributes_count:
        parts.append(_SPAN_DROPPED_ATTRIBUTES_COUNT + varint(span.dropped_attributes_count))
    if span.events:
        parts.extend([field(_SPAN_EVENT, _event(event)) for event in span.events])
    if span.dropped_events_count:
        parts.append(_SPAN_DROPPED_EVENTS_COUNT + varint(span.dropped_events_count))
    if span.links:
        parts.extend([field(_SPAN_LINK, _link(link)) for link in span.links])
    if span.dropped_links_count:
        parts.append(_SPAN_DROPPED_LINKS_COUNT + varint(span.dropped_links_count))
    if span.status is not SpanStatus.UNSET:
        message = b"\x12" + text(span.status_message) if span.status_message else b""
        status = message + b"\x18" + ONE_BYTE[span.status]
        parts.append(_SPAN_STATUS + length(len(status)) + status)
    flags = span.flags | _FLAG_HAS_IS_REMOTE
    if span.parent_is_remote:
        flags |= _FLAG_IS_REMOTE
    parts.append(_SPAN_FLAGS.pack(_SPAN_FLAGS_TAG, flags))
    return b"".join(parts)


def _event(event: Event) -> bytes:
    attributes = b"".join([field(_EVENT_ATTRIBUTE, key_value(*attribute)) for attribute in event.attributes])
    return _EVENT_TIME.pack(_EVENT_TIME_TAG, event.time_unix_nano) + _EVENT_NAME + text(event.name) + attributes


def _link(link: Link) -> bytes:
    flags = link.flags | _FLAG_HAS_IS_REMOTE | (_FLAG_IS_REMOTE if link.is_remote else 0)
    tracestate = _tracestate(link.tracestate) if link.tracestate else b""
    attributes = b"".join([field(_LINK_ATTRIBUTE, key_value(*attribute)) for attribute in link.attributes])
    ids = b"".join((_LINK_TRACE_ID, link.trace_id, _LINK_SPAN_ID, link.span_id))
    return ids + tracestate + attributes + _LINK_FLAGS.pack(_LINK_FLAGS_TAG, flags)


@lru_cache(maxsize=256)
def _tracestate(tracestate: str) -> bytes:
    return _SPAN_TRACE_STATE + text(tracestate)


@lru_cache(maxsize=256)
def _name_and_kind(name: str, kind: int) -> bytes:
    return _SPAN_NAME + text(name) + _SPAN_KIND + ONE_BYTE[kind]


def encode_resource(attributes: Mapping[str, Attribute]) -> bytes:
    """One ``opentelemetry.proto.resource.v1.Resource``, without its field tag."""
    return b"".join(field(b"\x0a", key_value(key, value)) for key, value in attributes.items())


def encode_scope(name: str, version: str) -> bytes:
    """One ``opentelemetry.proto.common.v1.InstrumentationScope``, without its field tag."""
    return b"\x0a" + text(name) + b"\x12" + text(version)


def encode_request(resource: bytes, scope: bytes, schema_url: str, items: Sequence[bytes]) -> bytes:
    """One ``ExportTraceServiceRequest`` with one resource, one scope and spans as ``encode_span`` made them.

    Of log records it makes an ``ExportLogsServiceRequest``: the two differ in names only, which are not on the wire.
    """
    pieces = [field(b"\x0a", scope)]
    for item in items:
        pieces.append(b"\x12" + length(len(item)))
        pieces.append(item)
    pieces.append(b"\x1a" + text(schema_url))
    of_scope = b"".join(pieces)
    of_resource = field(b"\x0a", resource) + field(b"\x12", of_scope) + b"\x1a" + text(schema_url)
    return field(b"\x0a", of_resource)
