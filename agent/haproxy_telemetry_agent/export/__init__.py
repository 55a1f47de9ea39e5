"""Export: encoded spans and log records, a bounded queue, a worker that tries again, and the transports."""

from .encoder import encode_request, encode_resource, encode_scope, encode_span
from .exporter import BatchPolicy, Exporter, ExportObserver, Result, Transport
from .log_encoder import encode_log_record
from .queue import SpanQueue
from .retry import Backoff, Verdict

__all__ = [
    "Backoff",
    "BatchPolicy",
    "ExportObserver",
    "Exporter",
    "Result",
    "SpanQueue",
    "Transport",
    "Verdict",
    "encode_log_record",
    "encode_request",
    "encode_resource",
    "encode_scope",
    "encode_span",
]
