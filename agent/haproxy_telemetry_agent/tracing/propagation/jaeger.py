"""Jaeger: the trace context of its client libraries, ``uber-trace-id: {trace}:{span}:{parent}:{flags}``.

Ids may come without their leading zeros, and the colons percent-encoded. The third field is of no use to anybody and is sent as 0.
Of the flags, bit 0 is sampled and bit 1 debug, which implies it. Baggage (``uberctx-*``) passes through HAProxy as it is.
Source: jaegertracing.io, "Client libraries", propagation format.
"""

import re

from ..context import SpanContext, SpanId, TraceFlags, TraceId

__all__ = ["format_uber_trace_id", "parse_uber_trace_id"]

_UBER_TRACE_ID = re.compile(r"([0-9a-fA-F]{1,32}):([0-9a-fA-F]{1,16}):[0-9a-fA-F]{0,16}:([0-9a-fA-F]{1,2})")
_ZERO_TRACE_ID = "0" * 32
_ZERO_SPAN_ID = "0" * 16
_SAMPLED = TraceFlags.SAMPLED.value
_DEBUG = 0x02


def parse_uber_trace_id(text: str) -> SpanContext | None:
    """The caller's context; None if it is not valid."""
    text = text.strip(" \t")
    match = _UBER_TRACE_ID.fullmatch(text.replace("%3A", ":").replace("%3a", ":") if "%" in text else text)
    if match is None:
        return None
    trace_id, span_id = match[1].zfill(32), match[2].zfill(16)
    if trace_id == _ZERO_TRACE_ID or span_id == _ZERO_SPAN_ID:
        return None
    flags = int(match[3], 16)
    debug = flags & _DEBUG != 0
    return SpanContext(
        TraceId(bytes.fromhex(trace_id)), SpanId(bytes.fromhex(span_id)), _SAMPLED if debug else flags & _SAMPLED, debug=debug
    )


def format_uber_trace_id(context: SpanContext) -> str:
    """The header for the next hop, ids in full length."""
    flags = _SAMPLED | _DEBUG if context.debug else context.flags & _SAMPLED
    return f"{context.trace_id.hex()}:{context.span_id.hex()}:0:{flags}"
