"""X-Ray: the trace context of AWS, ``x-amzn-trace-id: Root=1-{8 hex}-{24 hex};Parent={16 hex};Sampled={0|1|?}``.

``Root``'s two numbers, joined, are the trace id: the first is a time, so only the last 96 bits are random. ``Sampled=?``, or none,
leaves the decision to us. Other keys (``Self``, ``Lineage``) are read over and not passed on. Load balancers of AWS send ``Root``
alone to what is behind them: that names no span, so it is no context.
Source: AWS X-Ray developer guide, "Tracing header".
"""

import re

from ..context import SpanContext, SpanId, TraceFlags, TraceId

__all__ = ["format_xray", "parse_xray"]

_MAX_CHARACTERS = 1024
_ROOT = re.compile(r"1-([0-9a-fA-F]{8})-([0-9a-fA-F]{24})")
_PARENT = re.compile(r"[0-9a-fA-F]{16}")
_STATES = {"0": 0, "1": TraceFlags.SAMPLED.value, "?": None}
_SAMPLED = TraceFlags.SAMPLED.value


def parse_xray(text: str) -> SpanContext | None:
    """The caller's context; None if it is not valid or lacks one of the ids."""
    if len(text) > _MAX_CHARACTERS:
        return None
    values: dict[str, str] = {}
    for part in text.split(";"):
        key, _, value = part.partition("=")
        values[key.strip(" \t")] = value.strip(" \t")
    root, parent = _ROOT.fullmatch(values.get("Root", "")), _PARENT.fullmatch(values.get("Parent", ""))
    state = values.get("Sampled", "?")
    if root is None or parent is None or state not in _STATES:
        return None
    trace_id, span_id = bytes.fromhex(root[1] + root[2]), bytes.fromhex(parent[0])
    if not any(trace_id) or not any(span_id):
        return None
    flags = _STATES[state]
    return SpanContext(TraceId(trace_id), SpanId(span_id), flags or 0, deferred=flags is None)


def format_xray(context: SpanContext) -> str:
    """The header for the next hop."""
    trace_id = context.trace_id.hex()
    state = "?" if context.deferred else context.flags & _SAMPLED
    return f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent={context.span_id.hex()};Sampled={state}"
