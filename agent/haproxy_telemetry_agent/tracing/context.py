"""Trace context: the ids and flags that travel from hop to hop, and where new ones come from.

Source: W3C Trace Context Level 2; OpenTelemetry specification, trace/api "SpanContext".
"""

from collections.abc import Callable
from enum import IntFlag
from typing import NewType

import msgspec

__all__ = [
    "MAX_DERIVED_SPAN_IDS",
    "IdGenerator",
    "SpanContext",
    "SpanId",
    "TraceFlags",
    "TraceId",
    "derived_span_id",
    "server_span_id",
]

TraceId = NewType("TraceId", bytes)
"""16 bytes, not all zero."""
SpanId = NewType("SpanId", bytes)
"""8 bytes, not all zero."""

_NO_TRACE_ID = bytes(16)
_NO_SPAN_ID = bytes(8)
_SERVER_SPAN_MASK = 0x5350_414E_5352_5600
MAX_DERIVED_SPAN_IDS = 0xFF


class TraceFlags(IntFlag):
    """The flags of ``traceparent``; Level 2 has added RANDOM: the last 56 bits of the trace id are random."""

    SAMPLED = 0x01
    RANDOM = 0x02


# An enum's own arithmetic costs more than all that is done with it on the path of a request.
_SAMPLED = TraceFlags.SAMPLED.value


class SpanContext(msgspec.Struct, frozen=True, gc=False):
    """A span as other hops know it."""

    trace_id: TraceId
    span_id: SpanId
    flags: int
    tracestate: str = ""
    debug: bool = False
    """B3's and Jaeger's debug flag: sampled, and to be passed on as such."""
    deferred: bool = False
    """The caller left the sampling decision to us (B3 without a sampling state, X-Ray's ``Sampled=?``)."""

    @property
    def sampled(self) -> bool:
        """Whether the caller records its part of the trace."""
        return self.flags & _SAMPLED != 0


class IdGenerator:
    """Random ids.

    Args:
        random_bits: ``random_bits(n)`` is a number of n random bits, such as ``random.Random().getrandbits``.
    """

    __slots__ = ("_random_bits",)

    def __init__(self, random_bits: Callable[[int], int]) -> None:
        self._random_bits = random_bits

    def trace_id(self) -> TraceId:
        """A new trace id, all of it random."""
        while (trace_id := self._random_bits(128).to_bytes(16, "big")) == _NO_TRACE_ID:
            pass
        return TraceId(trace_id)

    def span_id(self) -> SpanId:
        """A new span id whose derived ids are valid as well."""
        while (number := self._random_bits(64)) == 0 or number ^ _SERVER_SPAN_MASK <= MAX_DERIVED_SPAN_IDS:
            pass
        return SpanId(number.to_bytes(8, "big"))


def server_span_id(client_span_id: SpanId) -> SpanId:
    """The SERVER span's id of the exchange whose CLIENT span is ``client_span_id``: ``derived_span_id(client_span_id, 0)``."""
    return derived_span_id(client_span_id, 0)


def derived_span_id(client_span_id: SpanId, number: int) -> SpanId:
    """The id of a further span of the exchange whose CLIENT span is ``client_span_id``; 0 <= number <= MAX_DERIVED_SPAN_IDS.

    All ids of an exchange are one random number: the CLIENT id goes to the server in ``traceparent`` and comes back in the
    record, so the others need not be stored or sent anywhere, and a record that is delivered twice makes the same spans twice.
    """
    return SpanId((int.from_bytes(client_span_id, "big") ^ _SERVER_SPAN_MASK ^ number).to_bytes(8, "big"))
