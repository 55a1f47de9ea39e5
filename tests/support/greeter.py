"""A greeter is a stand-in for a server that speaks first, as mail servers and databases do: it greets, then does as it is told.

| line from the client | what it does |
| --- | --- |
| `close` | closes the connection |
| `reset` | resets it |
| any other | sends the line back |
"""

import asyncio
import contextlib
import socket
import ssl
import struct
from asyncio import StreamReader, StreamWriter
from typing import Self

from support.ports import ADDRESS, free_port

__all__ = ["GREETING", "Greeter"]

GREETING = b"220 ready\n"


class Greeter:
    """A running server: `async with Greeter() as greeter`; with `tls` the greeting comes after the handshake."""

    def __init__(self, *, tls: ssl.SSLContext | None = None) -> None:
        self.port = free_port()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._handlers: set[asyncio.Task[None]] = set()

    @property
    def address(self) -> str:
        """As a `server` line takes it."""
        return f"{ADDRESS}:{self.port}"

    def _connected(self, reader: StreamReader, writer: StreamWriter) -> None:
        handler = asyncio.create_task(_serve(reader, writer))
        self._handlers.add(handler)
        handler.add_done_callback(self._handlers.discard)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._connected, ADDRESS, self.port, ssl=self._tls)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for handler in self._handlers:
            handler.cancel()
        await asyncio.gather(*self._handlers, return_exceptions=True)
        await self._server.wait_closed()


async def _serve(reader: StreamReader, writer: StreamWriter) -> None:
    try:
        with contextlib.suppress(ConnectionError, ssl.SSLError):
            writer.write(GREETING)
            while line := await reader.readline():
                if line == b"close\n":
                    break
                if line == b"reset\n":
                    linger = struct.pack("ii", 1, 0)
                    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    writer.transport.abort()
                    break
                writer.write(line)
    finally:
        writer.close()
