"""OpenTelemetry's half of the agent: trace context, sampling, and the spans of an exchange. Pure: no SDK, no clock, no I/O."""

from .answer import Answer, Answerer
from .connection import Connection, ConnectionTracer
from .connection_ending import ConnectionEnding
from .context import IdGenerator, SpanContext, SpanId, TraceFlags, TraceId
from .ending import Ending
from .exchange import Exchange, ExchangeTracer
from .log_record import LogRecord, Severity, log_connection, log_exchange
from .minilanguage import MiniLanguage, MiniLimits, WarningReason
from .propagation import ExtractCounts, Propagation
from .routes import RoutesError
from .sampling import AlwaysOff, AlwaysOn, ParentBased, Ratio, Sampler
from .span import Attribute, Attributes, Span, SpanKind, SpanStatus

__all__ = [
    "AlwaysOff",
    "AlwaysOn",
    "Answer",
    "Answerer",
    "Attribute",
    "Attributes",
    "Connection",
    "ConnectionEnding",
    "ConnectionTracer",
    "Ending",
    "Exchange",
    "ExchangeTracer",
    "ExtractCounts",
    "IdGenerator",
    "LogRecord",
    "MiniLanguage",
    "MiniLimits",
    "ParentBased",
    "Propagation",
    "Ratio",
    "RoutesError",
    "Sampler",
    "Severity",
    "Span",
    "SpanContext",
    "SpanId",
    "SpanKind",
    "SpanStatus",
    "TraceFlags",
    "TraceId",
    "WarningReason",
    "log_connection",
    "log_exchange",
]
