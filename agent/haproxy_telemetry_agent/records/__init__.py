"""The record stream: what HAProxy's ``ring`` sends at the end of each exchange. Bytes in, records out; no I/O."""

from .errors import RecordError, RecordStreamError, SkipReason
from .framing import RecordReader
from .record import Record, RecordCutError, dropped_count, parse_record

__all__ = [
    "Record",
    "RecordCutError",
    "RecordError",
    "RecordReader",
    "RecordStreamError",
    "SkipReason",
    "dropped_count",
    "parse_record",
]
