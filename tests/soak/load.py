"""A load of requests of which each has a trace of its own: what is missing at the other end has a name.

It is paced and not as fast as it can be: the question is what a fault does to ordinary traffic. Its clients keep their connections
for some requests, as clients do. The server behind HAProxy says which context it was given (header ``traceparent`` of its answer).
"""

import asyncio
import contextlib
import secrets
import time
from dataclasses import dataclass, field
from typing import Self

from support.ports import ADDRESS

__all__ = ["CALLER", "Request", "TracedLoad"]

CALLER = "00f067aa0ba902b7"
"""The span id that every request comes from."""

_GIVE_UP_SECONDS = 10.0
_REQUESTS_PER_CONNECTION = 25
_LAG_SECONDS = 0.01

_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(slots=True)
class Request:
    """One request, and how it went."""

    trace_id: str = field(default_factory=lambda: secrets.token_hex(16))
    start_seconds: float = field(default_factory=time.monotonic)
    """By the monotonic clock."""
    duration_seconds: float | None = None
    """None: it is still on its way."""
    status: int | None = None
    """None: the connection broke, or no answer came in time."""
    told_span_id: str = ""
    """Whom the server was told that it is called by."""
    error: str = ""

    @property
    def failed(self) -> bool:
        """Whether the client was not served."""
        return self.status != 200


class TracedLoad:
    """`async with TracedLoad(port, rate_per_second=100) as load`; `load.requests` grows, in the order of their start.

    Args:
        port: HAProxy's.
        rate_per_second: of all clients together; a client that waits for an answer asks less often, never more often later.
        clients: how many ask at the same time.
    """

    def __init__(self, port: int, *, rate_per_second: float, clients: int = 8) -> None:
        self.requests: list[Request] = []
        self.late_seconds = 0.0
        """How late this very loop was at the worst, since somebody set it to 0: so much of a duration is not HAProxy's."""
        self._port = port
        self._every_seconds = clients / rate_per_second
        self._clients = clients
        self._going = asyncio.Event()
        self._ending = False
        self._under_way = 0
        self._idle = asyncio.Condition()
        self._tasks: list[asyncio.Task[None]] = []

    def resume(self) -> None:
        """Ask on."""
        self._going.set()

    async def pause(self) -> None:
        """Begin no request any more; comes back when none is on its way."""
        self._going.clear()
        async with self._idle:
            await self._idle.wait_for(lambda: not self._under_way)

    async def wait_for_answers(self, count: int, *, timeout_seconds: float = 30.0) -> None:
        """Waits until so many more requests have begun, and all requests before them have ended."""
        start = len(self.requests)
        async with asyncio.timeout(timeout_seconds), self._idle:
            await self._idle.wait_for(
                lambda: (
                    len(self.requests) >= start + count
                    and all(request.duration_seconds is not None for request in self.requests[start : start + count])
                )
            )

    async def _client(self, number: int) -> None:
        connection: _Connection | None = None
        asked = 0
        due_seconds = time.monotonic() + self._every_seconds * number / self._clients
        while not self._ending:
            await asyncio.sleep(max(0.0, due_seconds - time.monotonic()))
            await self._going.wait()
            due_seconds = max(due_seconds + self._every_seconds, time.monotonic())
            if self._ending:
                break
            self._under_way += 1
            request = Request()
            self.requests.append(request)
            connection = await self._ask(connection, request)
            asked += 1
            if connection is not None and asked % _REQUESTS_PER_CONNECTION == 0:
                connection[1].close()
                connection = None
            async with self._idle:
                self._under_way -= 1
                self._idle.notify_all()
        if connection is not None:
            connection[1].close()

    async def _ask(self, connection: _Connection | None, request: Request) -> _Connection | None:
        """Returns the connection if it is good for another request."""
        try:
            async with asyncio.timeout(_GIVE_UP_SECONDS):
                if connection is not None:
                    # A server may close an idle connection at any time; who meets that asks again (RFC 9110, 9.2.2).
                    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                        return await self._exchange(connection, request)
                    connection[1].close()
                return await self._exchange(await asyncio.open_connection(ADDRESS, self._port), request)
        except (OSError, EOFError, TimeoutError) as error:
            request.error = repr(error)
            return None
        finally:
            request.duration_seconds = time.monotonic() - request.start_seconds

    async def _exchange(self, connection: _Connection, request: Request) -> _Connection | None:
        reader, writer = connection
        writer.write(
            b"GET /soak HTTP/1.1\r\nhost: shop.example\r\nuser-agent: soak/1\r\ntraceparent: 00-%s-%s-01\r\n\r\n"
            % (request.trace_id.encode(), CALLER.encode())
        )
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
        status, *lines = head.split("\r\n")
        headers = dict(line.split(": ", 1) for line in lines if ": " in line)
        await reader.readexactly(int(headers["content-length"]))
        request.status = int(status.split(" ", 2)[1])
        request.told_span_id = headers.get("traceparent", "--").split("-")[2]
        if headers.get("connection") == "close":
            writer.close()
            return None
        return connection

    async def _watch_lag(self) -> None:
        while True:
            start_seconds = time.monotonic()
            await asyncio.sleep(_LAG_SECONDS)
            self.late_seconds = max(self.late_seconds, time.monotonic() - start_seconds - _LAG_SECONDS)

    async def __aenter__(self) -> Self:
        self.resume()
        self._tasks = [asyncio.create_task(self._client(number)) for number in range(self._clients)]
        self._lag = asyncio.create_task(self._watch_lag())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._ending = True
        self.resume()
        await asyncio.gather(*self._tasks)
        self._lag.cancel()
