"""Log records to OTLP bytes, the way ``encoder`` writes spans.

Source: opentelemetry-proto 1.x, ``logs/v1/logs.proto``.
"""

import struct

from ..tracing.log_record import LogRecord
from .protobuf import ONE_BYTE, AttributeEncoder, length, text, varint

__all__ = ["encode_log_record"]

# One byte a tag: field number << 3 | wire type (0 varint, 1 fixed64, 2 length-delimited, 5 fixed32).
_TIMES = struct.Struct("<cQcQ")
_TIME = b"\x09"
_OBSERVED_TIME = b"\x59"
_SEVERITY_NUMBER = b"\x10"
_SEVERITY_TEXT = b"\x1a"
_BODY = b"\x2a"
_DROPPED_ATTRIBUTES_COUNT = b"\x38"
_FLAGS = struct.Struct("<cI")
_FLAGS_TAG = b"\x45"
_TRACE_ID = b"\x4a\x10"
_SPAN_ID = b"\x52\x08"
_EVENT_NAME = b"\x62"

_ATTRIBUTES = AttributeEncoder(b"\x32")


def encode_log_record(record: LogRecord) -> bytes:
    """One ``opentelemetry.proto.logs.v1.LogRecord``, without its field tag."""
    body = b"\x0a" + text(record.body)
    parts = [
        _TIMES.pack(_TIME, record.time_unix_nano, _OBSERVED_TIME, record.observed_unix_nano),
        _SEVERITY_NUMBER + ONE_BYTE[record.severity],
        _SEVERITY_TEXT + text(record.severity.name),
        _BODY + length(len(body)) + body,
        *_ATTRIBUTES.encode(record.attributes),
    ]
    if record.dropped_attributes_count:
        parts.append(_DROPPED_ATTRIBUTES_COUNT + varint(record.dropped_attributes_count))
    if record.trace_id is not None and record.span_id is not None:
        parts += (_FLAGS.pack(_FLAGS_TAG, record.flags), _TRACE_ID, record.trace_id, _SPAN_ID, record.span_id)
    parts.append(_EVENT_NAME + text(record.event_name))
    return b"".join(parts)
