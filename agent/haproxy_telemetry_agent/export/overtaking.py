"""When to give up a batch that is tried again and again, and that nothing else would ever end: one of the spill's.

While the collector is away nothing is wrong with the batch, however long that lasts. But one that alone is never taken, while all
others are, would hold up those behind it for good.
"""

__all__ = ["Overtaking"]


class Overtaking:
    """Of one batch after the other: whether others have overtaken it for too long."""

    __slots__ = ("_is_failing", "_latest_seconds", "_since_seconds")

    def __init__(self) -> None:
        self._is_failing = False
        self._since_seconds: float | None = None
        self._latest_seconds = 0.0

    def begin(self) -> None:
        """Another batch's turn has come."""
        self._is_failing = False
        self._since_seconds = None

    def other_answered(self, now_seconds: float, *, is_final: bool) -> None:
        """Another batch was answered: for good, or it is to come again as well."""
        if not is_final:
            self._since_seconds = None
        elif self._is_failing:
            self._latest_seconds = now_seconds
            if self._since_seconds is None:
                self._since_seconds = now_seconds

    def failed(self, now_seconds: float, limit_seconds: float) -> bool:
        """It was not taken: whether that is so for longer than ``limit_seconds``, and all others were taken meanwhile."""
        self._is_failing = True
        if self._since_seconds is None or now_seconds - self._since_seconds <= limit_seconds:
            return False
        return now_seconds - self._latest_seconds <= limit_seconds
