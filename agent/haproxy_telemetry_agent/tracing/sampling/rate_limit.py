"""Rate limits: so many a second, and no more, whatever comes.

A cap lies outside of probability sampling: how likely a trace was to be kept depends on all the others of its second and is not
known. What passes a cap so carries no threshold (``th``), and backends do not count it up.
"""

from collections.abc import Callable

from ..context import SpanContext, TraceId
from ..request import Request
from .sampler import Decision, Sampler

__all__ = ["RATE_LIMITED", "RateLimited", "TokenBucket"]

RATE_LIMITED = Decision(sampled=False, threshold=None, reason="rate_limited")


class TokenBucket:
    """A bucket that fills by itself; each taker takes one token out of it.

    Args:
        per_second: how fast it fills; above 0.
        clock: seconds that never go back, such as ``time.monotonic``.
        burst: how much it holds; by default one second's worth, at least one token. It is full at first.
    """

    __slots__ = ("_capacity", "_clock", "_filled_seconds", "_per_second", "_tokens")

    def __init__(self, per_second: float, *, clock: Callable[[], float], burst: float | None = None) -> None:
        self._per_second = per_second
        self._capacity = max(per_second if burst is None else burst, 1.0)
        self._clock = clock
        self._tokens = self._capacity
        self._filled_seconds = clock()

    def take(self) -> bool:
        """Whether there was a token; then it is gone."""
        now_seconds = self._clock()
        self._tokens = min(self._capacity, self._tokens + max(now_seconds - self._filled_seconds, 0.0) * self._per_second)
        self._filled_seconds = now_seconds
        if self._tokens < 1.0:
            return False
        self._tokens -= 1.0
        return True


class RateLimited:
    """Caps the new traces that another sampler keeps; a caller's traces are the caller's cost.

    Args:
        otherwise: what decides first.
        bucket: a token for each new trace that is kept.
    """

    __slots__ = ("_bucket", "_otherwise")

    def __init__(self, otherwise: Sampler, *, bucket: TokenBucket) -> None:
        self._otherwise = otherwise
        self._bucket = bucket

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
        """See ``Sampler``."""
        decision = self._otherwise.decide(trace_id, parent, request)
        if not decision.sampled or (parent is not None and not parent.deferred):
            return decision
        if not self._bucket.take():
            return RATE_LIMITED
        return Decision(sampled=True, threshold=None, reason=decision.reason, attributes=decision.attributes)
