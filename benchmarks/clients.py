"""Clients of a proxy, as a process of their own: so many requests a second, whatever becomes of them.

A request is due at its time. If no connection is free then, it waits for one, and its time is counted from when it was due: a proxy
that stands still for a moment is not spared the requests that it has kept from being sent.

At the end one line of JSON says how long requests took, as ``load`` says it of answers.
"""

import argparse
import asyncio
import json
import random
import time
from collections import deque

from .load import summarize

__all__ = ["main"]

_ADDRESS = "127.0.0.1"
_HEAD_END = b"\r\n\r\n"
_BODY_BYTES = 2
_LIMIT_SECONDS = 120.0


class _Run:
    """Requests that are due, and connections that are free."""

    def __init__(self, requests: int) -> None:
        self.waits_seconds: list[float] = []
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._requests = requests
        self._due: deque[float] = deque()
        self._free: list[_Client] = []

    def due(self, due_seconds: float) -> None:
        if self._free:
            self._free.pop().ask(due_seconds)
        else:
            self._due.append(due_seconds)

    def free(self, client: "_Client") -> None:
        if self._due:
            client.ask(self._due.popleft())
        else:
            self._free.append(client)

    def answered(self, client: "_Client", due_seconds: float) -> None:
        self.waits_seconds.append(time.perf_counter() - due_seconds)
        if len(self.waits_seconds) == self._requests:
            self.done.set_result(None)
        self.free(client)

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(reason))


class _Client(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self, run: _Run, random_bits: random.Random) -> None:
        self._run = run
        self._random = random_bits
        self._transport: asyncio.WriteTransport | None = None
        self._answer = b""
        self._due_seconds = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._run.free(self)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._run.fail("the proxy has closed a connection")

    def ask(self, due_seconds: float) -> None:
        assert self._transport is not None
        self._due_seconds = due_seconds
        bits = self._random.getrandbits
        self._transport.write(
            b"GET /api/v2/catalog/items/%d?page=3&sort=price HTTP/1.1\r\nhost: shop.example.com\r\naccept: application/json\r\n"
            b"user-agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/138.0.0.0 Safari/537.36\r\n"
            b"traceparent: 00-%032x-%016x-01\r\n\r\n" % (bits(16), bits(128) | 1, bits(64) | 1)
        )

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, body = self._answer.partition(_HEAD_END)
        if not end or len(body) < _BODY_BYTES:
            return
        self._answer = b""
        if not head.startswith(b"HTTP/1.1 200"):
            self._run.fail(f"the proxy answered {head[:60]!r}")
            return
        self._run.answered(self, self._due_seconds)


async def run(*, port: int, rate: float, requests: int, connections: int) -> dict[str, float]:
    """Ask ``requests`` times, ``rate`` times a second; returns how long it took."""
    loop = asyncio.get_running_loop()
    work = _Run(requests)
    random_bits = random.Random()
    for _ in range(connections):
        await loop.create_connection(lambda: _Client(work, random_bits), _ADDRESS, port)
    start_seconds = time.perf_counter()
    begun = 0
    while begun < requests and not work.done.done():
        now_seconds = time.perf_counter() - start_seconds
        while begun < requests and begun / rate <= now_seconds:
            work.due(start_seconds + begun / rate)
            begun += 1
        await asyncio.sleep(max(begun / rate - (time.perf_counter() - start_seconds), 0))
    async with asyncio.timeout(_LIMIT_SECONDS):
        await work.done
    return summarize(work.waits_seconds)


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(description="Clients of a proxy, for benchmarks.")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--rate", type=float, required=True, help="requests a second")
    parser.add_argument("--requests", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    print(json.dumps(asyncio.run(run(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
