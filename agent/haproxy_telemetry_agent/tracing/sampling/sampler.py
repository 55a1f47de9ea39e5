"""Sampling: whether a trace is recorded, decided once at its root and kept by all who come after.

Every trace id carries its own randomness R (its last 56 bits, or ``rv`` of the ``ot`` tracestate member). A ratio p is a threshold
T = (1 - p) * 2**56; a trace is kept if R >= T. Hops that sample at different ratios so keep nested sets of traces, and what is kept
says at which ratio: ``tracestate: ot=th:<T, hexadecimal, trailing zeros cut>``, from which backends count back to the whole.

Source: OpenTelemetry specification, trace/tracestate-probability-sampling and trace/tracestate-handling.
"""

import re
from functools import lru_cache
from typing import Protocol

import msgspec

from ..context import SpanContext, TraceFlags, TraceId
from ..propagation.tracecontext import set_member
from ..request import Request
from ..span import Attribute

__all__ = [
    "AlwaysOff",
    "AlwaysOn",
    "Decision",
    "ParentBased",
    "Ratio",
    "Sampler",
    "child_context",
    "consistent_threshold",
    "inbound_threshold",
    "randomness",
    "threshold_of_ratio",
    "without_threshold",
]

_RANDOM_BITS = 56
_RANDOM_MASK = (1 << _RANDOM_BITS) - 1
_MAX_HEX_DIGITS = 14
_RANDOM = TraceFlags.RANDOM.value
_SAMPLED = TraceFlags.SAMPLED.value
_HEX = re.compile(r"[0-9a-f]{1,14}")
_SUB_KEY = re.compile(r"[a-z][a-z0-9]*:[0-9a-zA-Z._\-]*")


class Decision(msgspec.Struct, frozen=True, gc=False):
    """What a sampler says of one trace."""

    sampled: bool
    threshold: int | None
    """0 <= threshold < 2**56 if the decision has a known probability; None erases an inbound ``th``."""
    reason: str = ""
    """Why, where it was not the ordinary sampler: the span says it (``haproxy.sampling.reason``)."""
    attributes: tuple[tuple[str, Attribute], ...] = ()
    """What the sampler wants the SERVER span to say."""


class Sampler(Protocol):
    """Decides for one trace; pure, so that the same trace gets the same answer at every hop."""

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
        """``parent`` is the caller's valid context, if there was one; ``request`` is what is known of the exchange."""
        ...


def threshold_of_ratio(ratio: float) -> int | None:
    """T for a ratio; None if nothing is kept."""
    if ratio <= 0:
        return None
    return min((1 << _RANDOM_BITS) - round(ratio * (1 << _RANDOM_BITS)), _RANDOM_MASK)


class AlwaysOn:
    """Keeps every trace."""

    __slots__ = ()

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:  # noqa: ARG002
        """See ``Sampler``."""
        return Decision(sampled=True, threshold=0)


class AlwaysOff:
    """Keeps none."""

    __slots__ = ()

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:  # noqa: ARG002
        """See ``Sampler``."""
        return Decision(sampled=False, threshold=None)


class Ratio:
    """Keeps the share ``0 <= ratio <= 1`` of traces, the same ones at every hop."""

    __slots__ = ("_threshold",)

    def __init__(self, ratio: float) -> None:
        if not 0 <= ratio <= 1:
            raise ValueError(f"ratio {ratio} is not between 0 and 1")
        self._threshold = threshold_of_ratio(ratio)

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:  # noqa: ARG002
        """See ``Sampler``."""
        if self._threshold is None or randomness(trace_id, parent) < self._threshold:
            return Decision(sampled=False, threshold=None)
        return Decision(sampled=True, threshold=self._threshold)


class ParentBased:
    """Follows the caller; asks ``root`` where there is none, or where it left the decision to us. Its trace id stays in any case.

    The caller's ``th`` is kept if it is consistent with its own decision, else erased: it would make backends count wrongly.
    """

    __slots__ = ("_root",)

    def __init__(self, root: Sampler) -> None:
        self._root = root

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
        """See ``Sampler``."""
        if parent is None or parent.deferred:
            return self._root.decide(trace_id, parent, request)
        if not parent.sampled:
            return Decision(sampled=False, threshold=None)
        return Decision(sampled=True, threshold=consistent_threshold(trace_id, parent))


def randomness(trace_id: TraceId, parent: SpanContext | None) -> int:
    """R: the caller's explicit ``rv``, else the last 56 bits of the trace id."""
    if parent is not None and parent.tracestate:
        value = _sub_keys(parent.tracestate).get("rv", "")
        if len(value) == _MAX_HEX_DIGITS and _HEX.fullmatch(value):
            return int(value, 16)
    return int.from_bytes(trace_id[-7:], "big")


def inbound_threshold(parent: SpanContext) -> int | None:
    """T of the caller's ``th``; None if it has none or an invalid one."""
    if not parent.tracestate:
        return None
    value = _sub_keys(parent.tracestate).get("th", "")
    if not _HEX.fullmatch(value):
        return None
    return int(value.ljust(_MAX_HEX_DIGITS, "0"), 16)


def consistent_threshold(trace_id: TraceId, context: SpanContext) -> int | None:
    """T of a sampled context's ``th``, if the trace would have been kept at it."""
    threshold = inbound_threshold(context)
    return None if threshold is None or randomness(trace_id, context) < threshold else threshold


def without_threshold(tracestate: str) -> str:
    """``tracestate`` of a trace whose probability is not known."""
    return _with_threshold(tracestate, None) if "ot=" in tracestate else tracestate


def child_context(parent: SpanContext | None, decision: Decision) -> tuple[int, str]:
    """Flags and tracestate for the next hop, after ``decision``."""
    if parent is None:
        flags = _RANDOM
        tracestate = ""
    else:
        flags = parent.flags & _RANDOM
        tracestate = parent.tracestate
    if decision.sampled:
        flags |= _SAMPLED
    if decision.threshold is None and "ot=" not in tracestate:
        return flags, tracestate
    return flags, _with_threshold(tracestate, decision.threshold)


@lru_cache(maxsize=256)
def _with_threshold(tracestate: str, threshold: int | None) -> str:
    sub_keys = _sub_keys(tracestate)
    before = sub_keys.get("th")
    after = None if threshold is None else f"{threshold:014x}".rstrip("0") or "0"
    if before == after:
        return tracestate
    sub_keys.pop("th", None)
    entries = [f"{key}:{value}" for key, value in sub_keys.items()]
    if after is not None:
        entries.insert(0, f"th:{after}")
    return set_member(tracestate, "ot", ";".join(entries))


def _sub_keys(tracestate: str) -> dict[str, str]:
    for member in tracestate.split(","):
        if member.startswith("ot="):
            entries = member[3:].split(";")
            return {entry.partition(":")[0]: entry.partition(":")[2] for entry in entries if _SUB_KEY.fullmatch(entry)}
    return {}
