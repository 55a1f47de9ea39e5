"""Export: encoded spans and log records, a bounded queue, a spill on disk, a worker that tries again, and the transports."""

from .encoder import encode_request, encode_resource, encode_scope, encode_span
from .exporter import BatchPolicy, Exporter, ExportObserver, Result, Transport
from .log_encoder import encode_log_record
from .queue import SpanQueue
from .retry import Backoff, Verdict
from .segment import Origin, SpilledSpans
from .segment_store import SegmentStore, StoreError
from .spill import Spill, SpillObserver

__all__ = [
    "Backoff",
    "BatchPolicy",
    "ExportObserver",
    "Exporter",
    "Origin",
    "Result",
    "SegmentStore",
    "SpanQueue",
    "Spill",
    "SpillObserver",
    "SpilledSpans",
    "StoreError",
    "Transport",
    "Verdict",
    "encode_log_record",
    "encode_request",
    "encode_resource",
    "encode_scope",
    "encode_span",
]
