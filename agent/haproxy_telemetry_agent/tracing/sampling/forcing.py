"""Forced sampling: a request that its sender wants to see, whatever the sampler would say.

A header asks for it, or the debug flag of B3 and Jaeger, and only trusted senders are heard: tracing costs money. Force means this
one request: it is kept though its caller was not sampled, and no cap counts it. That says nothing of other traces, so its
probability is unknown (no ``th``).
"""

from collections.abc import Callable

from ..context import SpanContext, TraceId
from ..request import Request
from .sampler import Decision, Sampler

__all__ = ["FORCED", "Forced"]

FORCED = Decision(sampled=True, threshold=None, reason="forced")


class Forced:
    """Keeps what is forced; asks ``otherwise`` for the rest.

    Args:
        otherwise: decides where nothing is forced.
        trusts: whether the sender of a request may force; asked only where it tries to.
        header: the header's name.
        value: what it must say; None: anything.
    """

    __slots__ = ("_header", "_otherwise", "_trusts", "_value")

    def __init__(self, otherwise: Sampler, *, trusts: Callable[[Request], bool], header: str, value: str | None = None) -> None:
        self._otherwise = otherwise
        self._trusts = trusts
        self._header = header.lower()
        self._value = value

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
        """See ``Sampler``."""
        said = request.headers.get(self._header)
        asked = said is not None and (self._value is None or said == self._value)
        if (asked or (parent is not None and parent.debug)) and self._trusts(request):
            return FORCED
        return self._otherwise.decide(trace_id, parent, request)
