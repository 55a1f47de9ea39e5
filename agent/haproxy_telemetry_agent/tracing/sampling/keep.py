"""Keeping what went wrong: exchanges that were not sampled at their start, and turned out to be worth a look at their end.

The server behind us was told long ago that the trace is not sampled, and so was everybody else: such a trace holds our hop's spans
alone. Their flags do not claim to be sampled, no ``th`` counts them up, and ``haproxy.sampling.reason`` says why they are there.
"""

from .rate_limit import TokenBucket

__all__ = ["ERROR", "SLOW", "Keeper"]

ERROR = "error"
SLOW = "slow"


class Keeper:
    """Decides at the end of an exchange that was not sampled.

    Args:
        errors: whether to keep those whose SERVER span is an error (see ``outcome.server_outcome``).
        slower_than_seconds: keep those that took longer; None: none for that.
        bucket: a token for each that is kept, so that an outage is no flood; None: no cap.
    """

    __slots__ = ("_bucket", "_errors", "_slower_than_seconds", "suppressed")

    def __init__(
        self, *, errors: bool = False, slower_than_seconds: float | None = None, bucket: TokenBucket | None = None
    ) -> None:
        self._errors = errors
        self._slower_than_seconds = float("inf") if slower_than_seconds is None else slower_than_seconds
        self._bucket = bucket
        self.suppressed = 0
        """Exchanges that the cap alone left out."""

    def reason(self, *, is_error: bool, duration_seconds: float) -> str | None:
        """``error`` or ``slow`` if it is to be kept, else None; takes a token."""
        if is_error and self._errors:
            reason = ERROR
        elif duration_seconds > self._slower_than_seconds:
            reason = SLOW
        else:
            return None
        if self._bucket is not None and not self._bucket.take():
            self.suppressed += 1
            return None
        return reason
