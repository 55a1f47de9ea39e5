"""Which answers of a collector are worth another try, and when.

Source: OTLP specification 1.x, "OTLP/HTTP response", "OTLP/HTTP throttling", "OTLP/gRPC response" and "OTLP/gRPC throttling": some
codes and connection errors are retried, with exponential back-off and jitter, or after what ``Retry-After`` or ``RetryInfo`` says;
every other error is final.
"""

from collections.abc import Callable
from datetime import UTC
from email.utils import parsedate_to_datetime
from enum import Enum, auto

__all__ = ["Backoff", "Verdict", "judge_grpc_status", "judge_status", "parse_retry_after"]

_MIN_SECONDS = 0.1
"""A server may ask for no wait at all, and then refuse again, and again."""
_RETRYABLE = frozenset({429, 502, 503, 504})
_RETRYABLE_GRPC = frozenset({"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"})


class Verdict(Enum):
    """What an answer means for the batch it answers."""

    DELIVERED = auto()
    RETRY = auto()
    REJECTED = auto()


def judge_status(status_code: int) -> Verdict:
    """The verdict of an HTTP status code."""
    if 200 <= status_code < 300:
        return Verdict.DELIVERED
    return Verdict.RETRY if status_code in _RETRYABLE else Verdict.REJECTED


def judge_grpc_status(code: str, *, has_retry_info: bool) -> Verdict:
    """The verdict of a gRPC status code, by its name; one that says when to come back makes RESOURCE_EXHAUSTED worth it."""
    if code == "OK":
        return Verdict.DELIVERED
    if code in _RETRYABLE_GRPC or (code == "RESOURCE_EXHAUSTED" and has_retry_info):
        return Verdict.RETRY
    return Verdict.REJECTED


def parse_retry_after(header: str | None, now_unix_seconds: float) -> float | None:
    """Seconds of a ``Retry-After`` header, which has them or a date; 0 for one that is over, None for neither.

    Source: RFC 9110, 10.2.3 and 5.6.7.
    """
    text = "" if header is None else header.strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        date = parsedate_to_datetime(text)
        at_unix_seconds = (date if date.tzinfo is not None else date.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        return None
    return max(at_unix_seconds - now_unix_seconds, 0.0)


class Backoff:
    """Exponential back-off with jitter: between half and the whole of each step.

    Args:
        random: a number from 0 up to 1, such as ``random.random``.
        initial_seconds: the first step.
        max_seconds: no step is longer, nor is what a server may ask for.
    """

    __slots__ = ("_initial_seconds", "_max_seconds", "_random", "_step")

    def __init__(self, *, random: Callable[[], float], initial_seconds: float = 1.0, max_seconds: float = 30.0) -> None:
        self._random = random
        self._initial_seconds = initial_seconds
        self._max_seconds = max_seconds
        self._step = 0

    def reset(self) -> None:
        """A delivery went well: the next failure starts anew."""
        self._step = 0

    def next_seconds(self, asked_seconds: float | None = None) -> float:
        """How long to wait before the next try; ``asked_seconds`` is the server's own wish, which wins."""
        step_seconds = min(self._initial_seconds * 2.0**self._step, self._max_seconds)
        self._step = min(self._step + 1, 32)
        if asked_seconds is not None:
            return max(_MIN_SECONDS, min(asked_seconds, self._max_seconds))
        return step_seconds * (0.5 + self._random() / 2)
