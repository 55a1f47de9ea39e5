"""How late the event loop is: all that the agent does waits for it, so nothing tells sooner that the agent has too much to do.

A timer that should go off at a known moment goes off when the loop comes round to it. The kernel's own clock makes it up to one
millisecond late on an idle machine.
"""

import asyncio
from collections.abc import Callable

__all__ = ["LoopLag"]

_EVERY_SECONDS = 0.5


class LoopLag:
    """Measures one loop, twice a second.

    Args:
        loop: the loop.
        observe: takes the seconds that it was late.
    """

    __slots__ = ("_loop", "_observe", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, observe: Callable[[float], None]) -> None:
        self._loop = loop
        self._observe = observe
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Measure from now on."""
        due_seconds = self._loop.time() + _EVERY_SECONDS
        self._timer = self._loop.call_at(due_seconds, self._look, due_seconds)

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self, due_seconds: float) -> None:
        self._observe(max(self._loop.time() - due_seconds, 0.0))
        self.start()
