"""A steady load: a few clients that ask and ask, and remember how each of their requests went."""

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import aiohttp

from support.ports import ADDRESS
from support.probe import until

__all__ = ["Answered", "SteadyLoad"]

_LOOK_SECONDS = 0.01


@dataclass(frozen=True, slots=True)
class Answered:
    """How one request went."""

    status: int | None
    """None: the connection broke, or no answer came in time."""
    start_seconds: float
    """By the monotonic clock."""
    duration_seconds: float
    error: str = ""
    """What broke."""


class SteadyLoad:
    """`async with SteadyLoad(port) as load`; `load.answers` grows. ``reconnect``: each request has a connection of its own."""

    def __init__(
        self,
        port: int,
        *,
        address: str = ADDRESS,
        path: str = "/",
        headers: Mapping[str, str] | None = None,
        clients: int = 3,
        pause_seconds: float = 0.005,
        reconnect: bool = False,
    ) -> None:
        self.answers: list[Answered] = []
        self._url = f"http://{address}:{port}{path}"
        self._headers = headers
        self._reconnect = reconnect
        self.clients = clients
        self._pause_seconds = pause_seconds
        self._tasks: list[asyncio.Task[None]] = []
        self._session: aiohttp.ClientSession | None = None
        self._stalls: list[tuple[float, float]] = []

    def waited_seconds(self, answer: Answered) -> float:
        """How long a request took, without the time in which this very loop did not run: that is not HAProxy's."""
        end_seconds = answer.start_seconds + answer.duration_seconds
        overlaps = (min(end, end_seconds) - max(start, answer.start_seconds) for start, end in self._stalls)
        return answer.duration_seconds - sum(max(0.0, overlap) for overlap in overlaps)

    async def wait_for_answers(self, count: int, *, timeout_seconds: float = 20.0) -> None:
        """Waits until so many more have come."""
        wanted = len(self.answers) + count

        async def are_there() -> bool:
            return len(self.answers) >= wanted

        await until(are_there, what=f"{count} more answers", timeout_seconds=timeout_seconds)

    async def _ask(self) -> None:
        assert self._session is not None
        while True:
            start_seconds = time.monotonic()
            status, broken = None, ""
            try:
                async with self._session.get(self._url) as response:
                    await response.read()
                    status = response.status
            except (aiohttp.ClientError, TimeoutError) as error:
                status, broken = None, repr(error)
            self.answers.append(Answered(status, start_seconds, time.monotonic() - start_seconds, broken))
            await asyncio.sleep(self._pause_seconds)

    async def _watch_loop(self) -> None:
        while True:
            due_seconds = time.monotonic() + _LOOK_SECONDS
            await asyncio.sleep(_LOOK_SECONDS)
            now_seconds = time.monotonic()
            if now_seconds > due_seconds + _LOOK_SECONDS:
                self._stalls.append((due_seconds, now_seconds))

    async def __aenter__(self) -> Self:
        # Told apart: no connection, and no answer.
        timeout = aiohttp.ClientTimeout(total=5, sock_connect=4)
        connector = aiohttp.TCPConnector(force_close=self._reconnect)
        self._session = aiohttp.ClientSession(connector=connector, headers=self._headers, timeout=timeout)
        self._tasks = [asyncio.create_task(self._ask()) for _ in range(self.clients)]
        self._tasks.append(asyncio.create_task(self._watch_loop()))
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        assert self._session is not None
        await self._session.close()
