"""An upstream is a stand-in for the server behind HAProxy: it does well or badly, as the path of the request says.

| path | what it does |
| --- | --- |
| `/` and any other | answers 200 with a small body |
| `/status/503` | answers with that status |
| `/slow?ms=500` | waits, then answers 200 |
| `/hold` | waits for `release()`, then answers 200 |
| `/stream?chunks=5&ms=20` | answers 200 at once, its body slowly |
| `/events?count=5&ms=20` | server-sent events, one after the other |
| `/close` | closes the connection without an answer |
| `/truncate?ms=0` | announces more of a body than it sends, waits, then closes |
| `/garbage` | answers with what is no HTTP |
| `/upload` | reads the whole body, then answers 200 with its length |
| `/ws` | switches protocols, then sends back whatever comes |

Each header `answer-with: name=value` of a request is a header of its answer, on paths that answer with a body of known length.

It is written on bare streams because a library would not misbehave.
"""

import asyncio
import base64
import contextlib
import hashlib
from asyncio import StreamReader, StreamWriter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from urllib.parse import parse_qs, urlsplit

from support.ports import ADDRESS

__all__ = ["Upstream", "UpstreamRequest"]

_WEBSOCKET_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
_READ_BYTES = 1 << 16


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamRequest:
    """A request's head as it arrived; recorded before anything is done about it."""

    method: str
    target: str
    version: str
    headers: tuple[tuple[str, str], ...]
    connection: int
    """Which of the upstream's connections it came on, counted from 1."""

    @property
    def path(self) -> str:
        """The target without its query."""
        return urlsplit(self.target).path

    def header_values(self, name: str) -> list[str]:
        """The values of every header line of that name."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str | None:
        """The value of the only header line of that name; None without one, AssertionError with several."""
        values = self.header_values(name)
        assert len(values) <= 1, f"{name} came {len(values)} times: {values}"
        return values[0] if values else None

    def number(self, name: str, default: int) -> int:
        """A number out of the query."""
        return int(parse_qs(urlsplit(self.target).query).get(name, [str(default)])[0])


class Upstream:
    """A running server: `async with Upstream() as upstream`, and `upstream.address` for HAProxy's `server` line."""

    def __init__(self, *, port: int = 0) -> None:
        """Port 0 takes any."""
        self.port = port
        self.requests: list[UpstreamRequest] = []
        self._connections = 0
        self._handlers: set[asyncio.Task[None]] = set()
        self._released = asyncio.Event()
        self._changed = asyncio.Condition()
        self._server: asyncio.Server | None = None

    @property
    def address(self) -> str:
        """As HAProxy wants it."""
        return f"{ADDRESS}:{self.port}"

    def release(self) -> None:
        """Lets every request to `/hold` be answered, those that wait and those to come."""
        self._released.set()

    async def start(self) -> None:
        """Listens."""
        self._server = await asyncio.start_server(self._connected, ADDRESS, self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        """Closes every connection and listens no more."""
        assert self._server is not None, "the upstream was not started"
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()

    async def wait_for_request(
        self, predicate: Callable[[UpstreamRequest], bool] = lambda _: True, timeout_seconds: float = 5.0
    ) -> UpstreamRequest:
        """The first request for which the predicate holds, as soon as it is there."""
        try:
            async with asyncio.timeout(timeout_seconds), self._changed:
                await self._changed.wait_for(lambda: any(map(predicate, self.requests)))
        except TimeoutError:
            there = [f"{request.method} {request.target}" for request in self.requests]
            raise TimeoutError(f"not the expected request within {timeout_seconds:g} s, only {there}") from None
        return next(filter(predicate, self.requests))

    def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        self._connections += 1
        handler = asyncio.create_task(self._serve(reader, writer, self._connections))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def _serve(self, reader: StreamReader, writer: StreamWriter, connection: int) -> None:
        """Answers request after request until one side has had enough."""
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                while request := await _read_head(reader, connection):
                    async with self._changed:
                        self.requests.append(request)
                        self._changed.notify_all()
                    exchange = _Exchange(request, reader, writer, self._released)
                    await _behaviour(request.path)(exchange)
                    if exchange.is_last:
                        break
        finally:
            writer.close()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


async def _read_head(reader: StreamReader, connection: int) -> UpstreamRequest | None:
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    first, *lines = head.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, version = first.split(" ", 2)
    headers = tuple((name, value.strip()) for name, _, value in (line.partition(":") for line in lines))
    return UpstreamRequest(method=method, target=target, version=version, headers=headers, connection=connection)


@dataclass(slots=True)
class _Exchange:
    """One request and the means to answer it."""

    request: UpstreamRequest
    reader: StreamReader
    writer: StreamWriter
    released: asyncio.Event
    is_last: bool = False
    """Whether the connection is closed after this exchange."""
    body_was_read: bool = False

    async def body(self) -> AsyncIterator[bytes]:
        """What is left of the request's body, piece by piece."""
        if self.body_was_read:
            return
        self.body_was_read = True
        if self.request.header("expect"):
            self.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self.request.header("transfer-encoding"):
            while size := int((await self.reader.readline()).split(b";")[0], 16):
                yield await self.reader.readexactly(size)
                await self.reader.readexactly(2)
            while (await self.reader.readline()).strip():  # trailers
                pass
        else:
            left = int(self.request.header("content-length") or 0)
            while left and (piece := await self.reader.read(min(left, _READ_BYTES))):
                left -= len(piece)
                yield piece
            if left:
                raise asyncio.IncompleteReadError(b"", left)

    async def read_body(self) -> int:
        """Reads what is left of the body; its length."""
        return sum([len(piece) async for piece in self.body()])

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def send_head(self, status: int, headers: Mapping[str, str]) -> None:
        try:
            phrase = HTTPStatus(status).phrase
        except ValueError:
            phrase = "Unknown"
        lines = [f"HTTP/1.1 {status} {phrase}", *(f"{name}: {value}" for name, value in headers.items())]
        await self.send("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def answer(self, status: int, body: bytes) -> None:
        await self.read_body()
        bodiless = status in {204, 304}
        headers = {} if bodiless else {"content-type": "text/plain", "content-length": str(len(body))}
        headers |= dict(wish.split("=", 1) for wish in self.request.header_values("answer-with"))
        await self.send_head(status, headers)
        if not bodiless and self.request.method != "HEAD":
            await self.send(body)


async def _well(exchange: _Exchange) -> None:
    await exchange.answer(200, b"well\n")


async def _status(exchange: _Exchange) -> None:
    status = int(exchange.request.path.rsplit("/", 1)[1])
    await exchange.answer(status, f"{status}\n".encode())


async def _slow(exchange: _Exchange) -> None:
    await asyncio.sleep(exchange.request.number("ms", 300) / 1000)
    await exchange.answer(200, b"slow\n")


async def _hold(exchange: _Exchange) -> None:
    await exchange.released.wait()
    await exchange.answer(200, b"held\n")


async def _stream(exchange: _Exchange) -> None:
    await exchange.read_body()
    await exchange.send_head(200, {"transfer-encoding": "chunked"})
    for _ in range(exchange.request.number("chunks", 5)):
        await exchange.send(b"6\r\nchunk\n\r\n")
        await asyncio.sleep(exchange.request.number("ms", 20) / 1000)
    await exchange.send(b"0\r\n\r\n")


async def _events(exchange: _Exchange) -> None:
    await exchange.send_head(200, {"content-type": "text/event-stream", "cache-control": "no-store", "connection": "close"})
    for number in range(exchange.request.number("count", 5)):
        await exchange.send(f"id: {number}\ndata: tick\n\n".encode())
        await asyncio.sleep(exchange.request.number("ms", 20) / 1000)
    exchange.is_last = True


async def _close(exchange: _Exchange) -> None:
    exchange.is_last = True


async def _truncate(exchange: _Exchange) -> None:
    await exchange.send_head(200, {"content-length": "1000"})
    await exchange.send(b"cut off")
    await asyncio.sleep(exchange.request.number("ms", 0) / 1000)
    exchange.is_last = True


async def _garbage(exchange: _Exchange) -> None:
    await exchange.send(b"\x16\x03 this is not HTTP\r\n\r\n")
    exchange.is_last = True


async def _upload(exchange: _Exchange) -> None:
    length = await exchange.read_body()
    await exchange.answer(200, f"{length}\n".encode())


async def _websocket(exchange: _Exchange) -> None:
    key = exchange.request.header("sec-websocket-key") or ""
    accept = base64.b64encode(hashlib.sha1((key + _WEBSOCKET_GUID).encode(), usedforsecurity=False).digest()).decode()
    await exchange.send_head(101, {"connection": "upgrade", "upgrade": "websocket", "sec-websocket-accept": accept})
    while data := await exchange.reader.read(_READ_BYTES):
        await exchange.send(data)
    exchange.is_last = True


_Behaviour = Callable[[_Exchange], Awaitable[None]]

_BEHAVIOURS: dict[str, _Behaviour] = {
    "slow": _slow,
    "hold": _hold,
    "status": _status,
    "stream": _stream,
    "events": _events,
    "close": _close,
    "truncate": _truncate,
    "garbage": _garbage,
    "upload": _upload,
    "ws": _websocket,
}


def _behaviour(path: str) -> _Behaviour:
    return _BEHAVIOURS.get(path.split("/")[1], _well)
