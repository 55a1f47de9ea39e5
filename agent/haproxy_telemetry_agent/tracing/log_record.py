"""Access log records: what an exchange's SERVER span says, as one line of a log that leads to the span.

A record is made of the SERVER span and of nothing else, so it can say nothing that the span would not: redaction, scrubbing,
captured headers and limits are the span's. An exchange whose trace is not sampled has its record all the same, with the ids that
the span would have had.

Source: OpenTelemetry specification, logs/data-model ("SeverityNumber", "EventName", "TraceId").
"""

from enum import IntEnum

import msgspec

from . import semconv
from .connection import Connection
from .context import SpanId, TraceId
from .exchange import Exchange
from .span import Attribute, Attributes, Span, SpanStatus

__all__ = ["CONNECTION_EVENT", "EXCHANGE_EVENT", "LogRecord", "Severity", "log_connection", "log_exchange"]

EXCHANGE_EVENT = "haproxy.exchange"
CONNECTION_EVENT = "haproxy.connection"
_NANOSECONDS_PER_MILLISECOND = 1_000_000


class Severity(IntEnum):
    """OTLP's numbers."""

    INFO = 9
    ERROR = 17


class LogRecord(msgspec.Struct, frozen=True, gc=False):
    """One record, as plain data: what the encoder takes."""

    time_unix_nano: int
    """The end of the exchange."""
    observed_unix_nano: int
    """When the agent heard of it."""
    severity: Severity
    body: str
    event_name: str
    attributes: Attributes
    dropped_attributes_count: int
    """Attributes that a limit took away."""
    flags: int
    """Trace flags of the SERVER span."""
    trace_id: TraceId | None
    """None if the exchange is of no trace."""
    span_id: SpanId | None
    """The SERVER span's."""


def log_exchange(exchange: Exchange, observed_unix_nano: int) -> LogRecord | None:
    """The record of an exchange: ``GET /cart 200 12.3 ms``; None if it was not described."""
    span = exchange.server
    if span is None:
        return None
    said = dict(span.attributes)
    method = said.get(semconv.HTTP_REQUEST_METHOD, "-")
    path = said.get(semconv.URL_PATH, "-")
    status_code = said.get(semconv.HTTP_RESPONSE_STATUS_CODE, "-")
    body = f"{method} {path} {status_code} {_milliseconds(exchange.start_unix_nano, span.end_unix_nano)}"
    # An excluded request has no context that its record could tell: the caller's went on untouched.
    return _record(span, EXCHANGE_EVENT, body, observed_unix_nano, has_trace=not exchange.ending.excluded)


def log_connection(connection: Connection, observed_unix_nano: int) -> LogRecord | None:
    """The record of a connection: ``tcp mail 170 B in, 51 B out, 12.3 ms``; None if it was not described."""
    span = connection.server
    if span is None:
        return None
    said = dict(span.attributes)
    received, sent = _bytes(said.get(semconv.HAPROXY_BYTES_RECEIVED)), _bytes(said.get(semconv.HAPROXY_BYTES_SENT))
    body = f"{span.name} {received} in, {sent} out, {_milliseconds(span.start_unix_nano, span.end_unix_nano)}"
    return _record(span, CONNECTION_EVENT, body, observed_unix_nano, has_trace=True)


def _record(span: Span, event_name: str, body: str, observed_unix_nano: int, *, has_trace: bool) -> LogRecord:
    return LogRecord(
        span.end_unix_nano,
        observed_unix_nano,
        Severity.ERROR if span.status is SpanStatus.ERROR else Severity.INFO,
        body,
        event_name,
        span.attributes,
        span.dropped_attributes_count,
        span.flags,
        span.trace_id if has_trace else None,
        span.span_id if has_trace else None,
    )


def _milliseconds(start_unix_nano: int, end_unix_nano: int) -> str:
    return f"{(end_unix_nano - start_unix_nano) / _NANOSECONDS_PER_MILLISECOND:.1f} ms"


def _bytes(value: Attribute | None) -> str:
    return "-" if value is None else f"{value} B"
