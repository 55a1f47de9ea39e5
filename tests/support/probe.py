"""A probe is a question that is asked again until its answer is there, or its time is up.

For what can only be asked and never tells by itself: a health page, a status of HAProxy's. Whatever can tell (a process' log,
a request that comes in) is waited for with a condition variable instead.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

__all__ = ["accepts", "until"]

T = TypeVar("T")


async def until(probe: Callable[[], Awaitable[T]], *, what: str, timeout_seconds: float = 5.0, every_seconds: float = 0.02) -> T:
    """The first true answer of `probe`; TimeoutError with `what` in its words when none came in time."""
    answer: T | None = None
    try:
        async with asyncio.timeout(timeout_seconds):
            while not (answer := await probe()):  # noqa: ASYNC110 - what can only be asked sets no event
                await asyncio.sleep(every_seconds)
    except TimeoutError:
        raise TimeoutError(f"{what}: not so within {timeout_seconds:g} s; the last answer was {answer!r}") from None
    return answer


async def accepts(host: str, port: int) -> bool:
    """Whether somebody accepts a connection there."""
    try:
        _, writer = await asyncio.open_connection(host, port)
    except OSError:
        return False
    writer.close()
    return True
