"""A collector with troubles of its own, switched on and off: the sink of the tests, which is a stand-in, because a real collector
can't be told to fail in a certain way.
"""

import asyncio
from enum import Enum, auto

from aiohttp import web

from support.otlp_sink import OtlpSink

__all__ = ["Trouble", "TroubledCollector"]


class Trouble(Enum):
    """What is wrong with it."""

    NONE = auto()
    SLOW = auto()
    """Takes everything, and says so late."""
    UNAVAILABLE = auto()
    """503: come again."""
    REFUSING = auto()
    """400: this is nothing for me."""
    CUTTING = auto()
    """Closes connections: before it has taken what came, before it says that it has, and while it says so, by turns."""


class TroubledCollector(OtlpSink):
    """A sink with `trouble`."""

    def __init__(self, *, slow_seconds: float = 1.0) -> None:
        super().__init__()
        self.trouble = Trouble.NONE
        self.slow_seconds = slow_seconds
        self._cuts = 0

    async def _take(self, request: web.Request) -> web.StreamResponse:  # type: ignore[override]
        trouble = self.trouble
        if trouble is Trouble.UNAVAILABLE:
            await request.read()
            return web.Response(status=503)
        if trouble is Trouble.REFUSING:
            await request.read()
            return web.Response(status=400, text="not today")
        if trouble is Trouble.SLOW:
            await asyncio.sleep(self.slow_seconds)
        if trouble is Trouble.CUTTING:
            self._cuts += 1
            return await self._cut(request, turn=self._cuts % 3)
        return await super()._take(request)

    async def _cut(self, request: web.Request, *, turn: int) -> web.StreamResponse:
        body = await request.read()
        response = web.StreamResponse(headers={"Content-Type": "application/x-protobuf", "Content-Length": "1000"})
        if turn != 1:
            await self._accept(body)
        if turn == 0:
            await response.prepare(request)
            await response.write(b"\x0a")
        if request.transport is not None:
            request.transport.close()  # and not abort(): what was written is to arrive
        return response
