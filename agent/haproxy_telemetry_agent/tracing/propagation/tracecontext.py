"""W3C Trace Context: ``traceparent`` and ``tracestate``, read with distrust and written exactly.

What is invalid is ignored, never repaired: an invalid ``traceparent`` starts a new trace and takes its ``tracestate`` with it; an
invalid ``tracestate`` is dropped alone. Source: W3C Trace Context Level 2, sections 3.2, 3.3 and 4.
"""

import re
from collections.abc import Iterable

from ..context import SpanContext, SpanId, TraceFlags, TraceId

__all__ = ["format_traceparent", "parse_traceparent", "parse_tracestate", "set_member"]

MAX_MEMBERS = 32
"""More list-members make a tracestate invalid (3.3.1.1)."""
MAX_TRACESTATE_CHARACTERS = 512
"""What must be propagated at least (3.3.1.5). More than that would have to fit in an ACK and in a log record."""
_LONG_MEMBER_CHARACTERS = 128
"""Members longer than this are to be dropped first (3.3.1.5)."""

_TRACEPARENT = re.compile(r"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_MEMBER = re.compile(
    r"([a-z0-9][a-z0-9_\-*/@]{0,255})="
    r"([\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e])"
)
_ZERO_TRACE_ID = "0" * 32
_ZERO_SPAN_ID = "0" * 16
_KNOWN_FLAGS = (TraceFlags.SAMPLED | TraceFlags.RANDOM).value


def parse_traceparent(text: str) -> SpanContext | None:
    """The caller's context, without its tracestate; None if it is not valid.

    A version above ``00`` is read as far as we know it (4.1 of the specification); ``ff`` is invalid.
    """
    match = _TRACEPARENT.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    version, trace_id, span_id, flags, rest = match.groups()
    if version == "ff" or trace_id == _ZERO_TRACE_ID or span_id == _ZERO_SPAN_ID or (rest is not None and version == "00"):
        return None
    return SpanContext(TraceId(bytes.fromhex(trace_id)), SpanId(bytes.fromhex(span_id)), int(flags, 16) & _KNOWN_FLAGS)


def format_traceparent(context: SpanContext) -> str:
    """The header for the next hop, version 00."""
    return f"00-{context.trace_id.hex()}-{context.span_id.hex()}-{context.flags:02x}"


def parse_tracestate(headers: Iterable[str]) -> str:
    """All ``tracestate`` headers of a request as one, cleaned; empty if there is none or it is not valid."""
    joined = ",".join(headers)
    if not joined:
        return ""
    members = [member for part in joined.split(",") if (member := part.strip(" \t"))]
    keys: set[str] = set()
    for member in members:
        match = _MEMBER.fullmatch(member)
        if match is None or match[1] in keys:
            return ""
        keys.add(match[1])
    if len(members) > MAX_MEMBERS:
        return ""
    return _fit(members)


def set_member(tracestate: str, key: str, value: str) -> str:
    """``tracestate`` with ``key`` at the front, where the last one to write belongs; an empty value removes the key."""
    members = [member for member in tracestate.split(",") if member and not member.startswith(key + "=")]
    if value:
        members.insert(0, f"{key}={value}")
    return _fit(members[:MAX_MEMBERS])


def _fit(members: list[str]) -> str:
    joined = ",".join(members)
    if len(joined) <= MAX_TRACESTATE_CHARACTERS:
        return joined
    members = [member for member in members if len(member) <= _LONG_MEMBER_CHARACTERS]
    while len(joined := ",".join(members)) > MAX_TRACESTATE_CHARACTERS:
        members.pop()
    return joined
