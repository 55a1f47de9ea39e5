"""B3: Zipkin's trace context, in one header (``b3``) or in several (``X-B3-*``).

Beside ids it knows two things that W3C does not: **debug**, a sampled trace that every hop must keep and pass on as such, and a
**missing sampling state**, which leaves the decision to us. ``b3: 0`` without ids forbids to record a trace that is yet to begin.

Trace ids have 16 or 32 digits; short ones are padded on the left. What is invalid is ignored as a whole.
Source: github.com/openzipkin/b3-propagation; OpenTelemetry specification, context/api-propagators, "B3 Requirements".
"""

import re
from typing import NamedTuple

from ..context import SpanContext, SpanId, TraceFlags, TraceId

__all__ = ["B3Multi", "denies_b3", "format_b3", "format_b3_multi", "parse_b3", "parse_b3_multi"]

_STATES = {"0": False, "false": False, "False": False, "1": True, "true": True, "True": True, "d": True}
"""What stands for a sampling state; the words are of X-B3-Sampled's youth and still sent."""
_DEBUG = "d"
_TRACE_ID = re.compile(r"[0-9a-fA-F]{16}(?:[0-9a-fA-F]{16})?")
_SPAN_ID = re.compile(r"[0-9a-fA-F]{16}")
_SINGLE = re.compile(rf"({_TRACE_ID.pattern})-({_SPAN_ID.pattern})(?:-({'|'.join(_STATES)})(?:-{_SPAN_ID.pattern})?)?")
_ZERO_TRACE_ID = "0" * 32
_ZERO_SPAN_ID = "0" * 16
_SAMPLED = TraceFlags.SAMPLED.value


class B3Multi(NamedTuple):
    """The values of the ``X-B3-*`` headers; None is a header that is not there."""

    trace_id: str | None = None
    span_id: str | None = None
    sampled: str | None = None
    flags: str | None = None


def parse_b3(text: str) -> SpanContext | None:
    """The caller's context of a ``b3`` header; None if it is not valid or has no ids."""
    match = _SINGLE.fullmatch(text.strip(" \t"))
    return None if match is None else _context(match[1], match[2], match[3])


def parse_b3_multi(headers: B3Multi) -> SpanContext | None:
    """The caller's context of ``X-B3-*`` headers; None if one of them is not valid, or an id is missing."""
    trace_id, span_id = _strip(headers.trace_id), _strip(headers.span_id)
    if _TRACE_ID.fullmatch(trace_id) is None or _SPAN_ID.fullmatch(span_id) is None:
        return None
    state = _strip(headers.sampled) or None
    if state is not None and state not in _STATES:
        return None
    return _context(trace_id, span_id, _DEBUG if _strip(headers.flags) == "1" else state)


def denies_b3(single: str | None, multi: B3Multi) -> bool:
    """Whether a caller that sends no ids wants its trace not to be sampled."""
    if single is not None:
        return _STATES.get(_strip(single)) is False
    return not multi.trace_id and not multi.span_id and _STATES.get(_strip(multi.sampled)) is False


def format_b3(context: SpanContext) -> str:
    """The ``b3`` header for the next hop."""
    ids = f"{context.trace_id.hex()}-{context.span_id.hex()}"
    if context.debug:
        return f"{ids}-{_DEBUG}"
    return ids if context.deferred else f"{ids}-{context.flags & _SAMPLED}"


def format_b3_multi(context: SpanContext) -> B3Multi:
    """The ``X-B3-*`` headers for the next hop. Debug implies sampled, which is then not sent."""
    trace_id, span_id = context.trace_id.hex(), context.span_id.hex()
    if context.debug:
        return B3Multi(trace_id, span_id, flags="1")
    return B3Multi(trace_id, span_id, None if context.deferred else str(context.flags & _SAMPLED))


def _context(trace_id: str, span_id: str, state: str | None) -> SpanContext | None:
    trace_id = trace_id.zfill(32)
    if trace_id == _ZERO_TRACE_ID or span_id == _ZERO_SPAN_ID:
        return None
    return SpanContext(
        TraceId(bytes.fromhex(trace_id)),
        SpanId(bytes.fromhex(span_id)),
        _SAMPLED if state is not None and _STATES[state] else 0,
        debug=state == _DEBUG,
        deferred=state is None,
    )


def _strip(text: str | None) -> str:
    return "" if text is None else text.strip(" \t")
