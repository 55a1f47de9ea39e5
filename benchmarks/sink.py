"""The collector's stand-in: takes batches, counts their spans, and keeps the bodies only when asked to.

Counting is hopping from length to length; decoding would cost more than some of the agents under test.
"""

import asyncio
from collections import Counter, defaultdict
from typing import Self

from aiohttp import web

__all__ = ["Sink", "count_spans"]

_ADDRESS = "127.0.0.1"
_LARGEST_REQUEST_BYTES = 64 << 20
_RESOURCE_SPANS, _SCOPE_SPANS, _SPANS = 1, 2, 2


class Sink:
    """Listens for ``POST /<agent>/v1/traces``: ``async with Sink() as sink``."""

    def __init__(self) -> None:
        self.keeping = False
        """Whether bodies are kept."""
        self.bodies: defaultdict[str, list[bytes]] = defaultdict(list)
        """Bodies that were kept, by agent."""
        self._spans: Counter[str] = Counter()
        self._arrived = asyncio.Condition()
        self._port = 0
        self._runner: web.AppRunner | None = None

    def url(self, agent: str) -> str:
        """Where ``agent`` has to post its traces."""
        return f"http://{_ADDRESS}:{self._port}/{agent}/v1/traces"

    async def wait_for(self, agent: str, spans: int, timeout_seconds: float) -> None:
        """Return when ``agent`` has sent ``spans`` spans in all, or raise TimeoutError."""
        try:
            async with asyncio.timeout(timeout_seconds), self._arrived:
                await self._arrived.wait_for(lambda: self._spans[agent] >= spans)
        except TimeoutError:
            raise TimeoutError(f"{agent} has sent {self._spans[agent]} spans within {timeout_seconds:g} s, not {spans}") from None
        if self._spans[agent] > spans:
            raise ValueError(f"{agent} has sent {self._spans[agent]} spans, not {spans}")

    async def __aenter__(self) -> Self:
        application = web.Application(client_max_size=_LARGEST_REQUEST_BYTES)
        application.router.add_post("/{agent}/v1/traces", self._take)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, _ADDRESS, 0).start()
        self._port = self._runner.addresses[0][1]
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._runner is not None
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()  # aiohttp has undone a gzip by now
        agent = request.match_info["agent"]
        if self.keeping:
            self.bodies[agent].append(body)
        async with self._arrived:
            self._spans[agent] += count_spans(body)
            self._arrived.notify_all()
        return web.Response(content_type="application/x-protobuf")


def count_spans(body: bytes) -> int:
    """How many spans an encoded ``ExportTraceServiceRequest`` has."""
    return sum(
        len(_children(body, start, end, _SPANS))
        for resource_start, resource_end in _children(body, 0, len(body), _RESOURCE_SPANS)
        for start, end in _children(body, resource_start, resource_end, _SCOPE_SPANS)
    )


def _children(body: bytes, offset: int, end: int, wanted_field: int) -> list[tuple[int, int]]:
    """Start and end of each ``wanted_field`` of a message that has length-delimited fields only, with numbers below 16."""
    found: list[tuple[int, int]] = []
    while offset < end:
        tag = body[offset]
        assert tag & 7 == 2, f"no length-delimited field at byte {offset}"
        offset += 1
        length = shift = 0
        while True:
            byte = body[offset]
            offset += 1
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
            shift += 7
        if tag >> 3 == wanted_field:
            found.append((offset, offset + length))
        offset += length
    return found
