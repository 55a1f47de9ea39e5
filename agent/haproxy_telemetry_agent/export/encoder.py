"""Spans to OTLP bytes, written straight in protobuf's wire format.

A span is encoded when it ends and waits in the queue as bytes: the queue's size in bytes is exact, a batch is a ``join``, and no
export ever holds the interpreter for long. Building protobuf objects for the same spans costs ten times as much (measured).

Only what the agent emits is written; the tests decode it with ``opentelemetry-proto`` and compare it with the SDK's own encoder.
Source: opentelemetry-proto 1.x, ``trace/v1/trace.proto``, ``common/v1/common.proto``, ``resource/v1/resource.proto``.
"""

import struct
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from ..tracing.span import Attribute, Event, Link, Span, SpanStatus

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
_SPAN_ATTRIBUTE = b"\x4a"
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

_DOUBLE = struct.Struct("<cd")
_ONE_BYTE = [bytes((number,)) for number in range(128)]
_UINT64_MASK = (1 << 64) - 1

_KEYS: dict[str, bytes] = {}
_MAX_KEYS = 1024

# Most attributes of a span were in the one before: their bytes are remembered, by type because 1, 1.0 and True are equal. What
# differs each time (ports, sizes) washes the memory out now and then, which costs less than knowing which those are.
_REMEMBERED: dict[type, dict[tuple[str, Attribute], bytes]] = {str: {}, int: {}, float: {}}
_MAX_REMEMBERED = 4096
_MAX_REMEMBERED_BYTES = 256


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
    for attribute in span.attributes:
        memory = _REMEMBERED.get(type(attribute[1]))
        encoded = None if memory is None else memory.get(attribute)
        if encoded is None:
            encoded = _field(_SPAN_ATTRIBUTE, _key_value(*attribute))
            if memory is not None and len(encoded) <= _MAX_REMEMBERED_BYTES:
                if len(memory) >= _MAX_REMEMBERED:
                    memory.clear()
                memory[attribute] = encoded
        parts.append(encoded)
    if span.dropped_attributes_count:
        parts.append(_SPAN_DROPPED_ATTRIBUTES_COUNT + _varint(span.dropped_attributes_count))
    if span.events:
        parts.extend([_field(_SPAN_EVENT, _event(event)) for event in span.events])
    if span.dropped_events_count:
        parts.append(_SPAN_DROPPED_EVENTS_COUNT + _varint(span.dropped_events_count))
    if span.links:
        parts.extend([_field(_SPAN_LINK, _link(link)) for link in span.links])
    if span.dropped_links_count:
        parts.append(_SPAN_DROPPED_LINKS_COUNT + _varint(span.dropped_links_count))
    if span.status is not SpanStatus.UNSET:
        message = b"\x12" + _text(span.status_message) if span.status_message else b""
        status = message + b"\x18" + _ONE_BYTE[span.status]
        parts.append(_SPAN_STATUS + _length(len(status)) + status)
    flags = span.flags | _FLAG_HAS_IS_REMOTE
    if span.parent_is_remote:
        flags |= _FLAG_IS_REMOTE
    parts.append(_SPAN_FLAGS.pack(_SPAN_FLAGS_TAG, flags))
    return b"".join(parts)


def _event(event: Event) -> bytes:
    attributes = b"".join([_field(_EVENT_ATTRIBUTE, _key_value(*attribute)) for attribute in event.attributes])
    return _EVENT_TIME.pack(_EVENT_TIME_TAG, event.time_unix_nano) + _EVENT_NAME + _text(event.name) + attributes


def _link(link: Link) -> bytes:
    flags = link.flags | _FLAG_HAS_IS_REMOTE | (_FLAG_IS_REMOTE if link.is_remote else 0)
    tracestate = _tracestate(link.tracestate) if link.tracestate else b""
    attributes = b"".join([_field(_LINK_ATTRIBUTE, _key_value(*attribute)) for attribute in link.attributes])
    ids = b"".join((_LINK_TRACE_ID, link.trace_id, _LINK_SPAN_ID, link.span_id))
    return ids + tracestate + attributes + _LINK_FLAGS.pack(_LINK_FLAGS_TAG, flags)


@lru_cache(maxsize=256)
def _tracestate(tracestate: str) -> bytes:
    return _SPAN_TRACE_STATE + _text(tracestate)


@lru_cache(maxsize=256)
def _name_and_kind(name: str, kind: int) -> bytes:
    return _SPAN_NAME + _text(name) + _SPAN_KIND + _ONE_BYTE[kind]


def encode_resource(attributes: Mapping[str, Attribute]) -> bytes:
    """One ``opentelemetry.proto.resource.v1.Resource``, without its field tag."""
    return b"".join(_field(b"\x0a", _key_value(key, value)) for key, value in attributes.items())


def encode_scope(name: str, version: str) -> bytes:
    """One ``opentelemetry.proto.common.v1.InstrumentationScope``, without its field tag."""
    return b"\x0a" + _text(name) + b"\x12" + _text(version)


def encode_request(resource: bytes, scope: bytes, schema_url: str, spans: Sequence[bytes]) -> bytes:
    """One ``ExportTraceServiceRequest`` with one resource, one scope and ``spans`` as ``encode_span`` made them."""
    pieces = [_field(b"\x0a", scope)]
    for span in spans:
        pieces.append(b"\x12" + _length(len(span)))
        pieces.append(span)
    pieces.append(b"\x1a" + _text(schema_url))
    scope_spans = b"".join(pieces)
    resource_spans = _field(b"\x0a", resource) + _field(b"\x12", scope_spans) + b"\x1a" + _text(schema_url)
    return _field(b"\x0a", resource_spans)


def _key_value(key: str, value: Attribute) -> bytes:
    head = _KEYS.get(key)
    if head is None:
        head = b"\x0a" + _text(key)
        if len(_KEYS) < _MAX_KEYS:
            _KEYS[key] = head
    # By exact type, the most frequent first: this runs a dozen times a span.
    kind = type(value)
    if kind is str:
        raw = value.encode("utf-8", "replace")  # type: ignore[union-attr]
        size = len(raw)
        if size < 126:
            return b"".join((head, b"\x12", _ONE_BYTE[size + 2], b"\x0a", _ONE_BYTE[size], raw))
        any_value = b"\x0a" + _length(size) + raw
    elif kind is int:
        any_value = b"\x18" + _varint(value & _UINT64_MASK)  # type: ignore[operator]
    elif kind is float:
        any_value = _DOUBLE.pack(b"\x21", value)
    else:
        any_value = _any_value(value)
    return head + b"\x12" + _length(len(any_value)) + any_value


def _any_value(value: Attribute) -> bytes:
    if isinstance(value, str):
        return b"\x0a" + _text(value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + _varint(value & _UINT64_MASK)
    if isinstance(value, float):
        return _DOUBLE.pack(b"\x21", value)
    return _field(b"\x2a", _array(value))


def _array(values: Iterable[Attribute]) -> bytes:
    return b"".join(_field(b"\x0a", _any_value(value)) for value in values)


def _field(tag: bytes, content: bytes) -> bytes:
    return tag + _length(len(content)) + content


def _text(text: str) -> bytes:
    raw = text.encode("utf-8", "replace")
    return _length(len(raw)) + raw


def _length(size: int) -> bytes:
    return _ONE_BYTE[size] if size < 128 else _varint(size)


def _varint(number: int) -> bytes:
    if number < 128:
        return _ONE_BYTE[number]
    if number < 16_384:
        return bytes((number & 0x7F | 0x80, number >> 7))
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
