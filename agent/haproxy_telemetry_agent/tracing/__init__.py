"""OpenTelemetry's half of the agent: trace context, sampling, and the spans of an exchange. Pure: no SDK, no clock, no I/O."""

from .answer import Answer, Answerer
from .clauses import WarningReason
from .context import IdGenerator, SpanContext, SpanId, TraceFlags, TraceId
from .ending import Ending
from .exchange import Exchange, ExchangeTracer
from .minilang import MiniLanguage, MiniLimits
from .sampling import AlwaysOff, AlwaysOn, ParentBased, Ratio, Sampler
from .span import Attribute, Attributes, Span, SpanKind, SpanStatus

__all__ = [
    "AlwaysOff",
    "AlwaysOn",
    "Answer",
    "Answerer",
    "Attribute",
    "Attributes",
    "Ending",
    "Exchange",
    "ExchangeTracer",
    "IdGenerator",
    "MiniLanguage",
    "MiniLimits",
    "ParentBased",
    "Ratio",
    "Sampler",
    "Span",
    "SpanContext",
    "SpanId",
    "SpanKind",
    "SpanStatus",
    "TraceFlags",
    "TraceId",
    "WarningReason",
]
