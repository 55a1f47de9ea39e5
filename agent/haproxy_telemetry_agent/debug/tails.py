"""Who follows the agent live: a few at a time, each with a bounded buffer.

While nobody follows, an exchange costs nothing here. One that follows and reads too slowly loses exchanges, and is told how many;
nobody waits for it.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

import msgspec

from ..tracing import Exchange
from .recent import Made, Recent, has_failed

__all__ = ["MAX_TAILS", "Tail", "TailFilter", "Tails"]

MAX_TAILS = 4
_MAX_WAITING = 1_000
_NANOSECONDS_PER_SECOND = 1_000_000_000
_NANOSECONDS_PER_MILLISECOND = 1_000_000


class TailFilter(msgspec.Struct, frozen=True, kw_only=True):
    """What one wants to see."""

    errors: bool = False
    """Only errors."""
    slower_than_seconds: float = 0.0
    """Only what took at least as long."""
    frontend: str | None = None
    """Only what came to this one; the mini-language does not tell."""
    unsampled: bool = False
    """What was not sampled, too: it has no spans."""

    def wants(self, made: Made) -> bool:
        """Whether an exchange is to be seen."""
        if not made.spans and not self.unsampled:
            return False
        if self.errors and not has_failed(made):
            return False
        if self.frontend is not None and getattr(getattr(made, "ending", None), "frontend", None) != self.frontend:
            return False
        return not self.slower_than_seconds or _duration_seconds(made) >= self.slower_than_seconds


def _duration_seconds(made: Made) -> float:
    if isinstance(made, Exchange):
        return (made.ending.end_unix_nano - made.start_unix_nano) / _NANOSECONDS_PER_SECOND
    if made.spans:
        spans = made.spans
        return (max(span.end_unix_nano for span in spans) - min(span.start_unix_nano for span in spans)) / _NANOSECONDS_PER_SECOND
    ending = getattr(made, "ending", None)
    return 0.0 if ending is None else ending.total_milliseconds * _NANOSECONDS_PER_MILLISECOND / _NANOSECONDS_PER_SECOND


class Tail:
    """One that follows; made by ``Tails.follow``."""

    def __init__(self, wanted: TailFilter) -> None:
        self._wanted = wanted
        self._waiting: deque[Made] = deque()
        self._changed = asyncio.Event()
        self._lost = 0
        self._ended = False

    def put(self, made: Made) -> None:
        """Take an exchange, or lose it; never waits."""
        if not self._wanted.wants(made):
            return
        if len(self._waiting) < _MAX_WAITING:
            self._waiting.append(made)
        else:
            self._lost += 1
        self._changed.set()

    def end(self) -> None:
        """Let what waits be the last."""
        self._ended = True
        self._changed.set()

    async def exchanges(self, silence_seconds: float) -> AsyncIterator[Made | int | None]:
        """Exchanges as they come; a number where so many were lost; None if nothing came for so long. Ends after ``end``."""
        while True:
            while self._waiting:
                yield self._waiting.popleft()
            if self._lost:
                lost, self._lost = self._lost, 0
                yield lost
                continue
            if self._ended:
                return
            self._changed.clear()
            timer = asyncio.get_running_loop().call_later(silence_seconds, self._changed.set)
            try:
                await self._changed.wait()
            finally:
                timer.cancel()
            if not (self._waiting or self._ended):
                yield None


class Tails:
    """All that follow.

    Args:
        recent: where exchanges are seen.
    """

    def __init__(self, recent: Recent) -> None:
        self._recent = recent
        self._tails: list[Tail] = []

    def __len__(self) -> int:
        return len(self._tails)

    def follow(self, wanted: TailFilter) -> Tail | None:
        """A new one; None if there are too many."""
        if len(self._tails) >= MAX_TAILS:
            return None
        tail = Tail(wanted)
        self._tails.append(tail)
        self._attach()
        return tail

    def leave(self, tail: Tail) -> None:
        """It has gone."""
        self._tails.remove(tail)
        self._attach()

    def end(self) -> None:
        """Let all of them end."""
        for tail in self._tails:
            tail.end()

    def _attach(self) -> None:
        self._recent.followers = tuple(tail.put for tail in self._tails)
