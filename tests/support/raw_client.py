"""A raw client says to HAProxy exactly what it is told to, well-formed or not, and goes away when it is told to."""

import asyncio
import contextlib
import socket
import ssl
import struct
from collections.abc import AsyncIterator

from support.ports import ADDRESS

__all__ = ["WEBSOCKET_UPGRADE", "RawConnection", "request_head", "single_request"]

WEBSOCKET_UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
    "sec-websocket-version": "13",
}
"""The headers that ask for a WebSocket, with the key of RFC 6455's example."""


def request_head(target: str, *, method: str = "GET", headers: dict[str, str] | None = None, close: bool = True) -> bytes:
    """The head of a request to `shop.example`."""
    lines = [f"{method} {target} HTTP/1.1", "host: shop.example:8443", "user-agent: raw/1.0"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    if close:
        lines.append("connection: close")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


class RawConnection:
    """One connection of a client."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def open(
        cls, port: int, *, tls: ssl.SSLContext | None = None, server_name: str | None = None
    ) -> AsyncIterator["RawConnection"]:
        """Connects; at the end of the block the connection is reset, if it was not closed before.

        With `tls` it makes a handshake first and asks for `server_name`.
        """
        connection = cls(*await asyncio.open_connection(ADDRESS, port, ssl=tls, server_hostname=server_name))
        try:
            yield connection
        finally:
            connection.reset()

    @property
    def local_port(self) -> int:
        """The client's own port."""
        return int(self._writer.get_extra_info("sockname")[1])

    async def send(self, data: bytes) -> None:
        """Sends as it is."""
        self._writer.write(data)
        await self._writer.drain()

    async def read_until(self, separator: bytes = b"\r\n\r\n", *, timeout_seconds: float = 10.0) -> bytes:
        """Reads up to and with the separator; by default the head of an answer."""
        async with asyncio.timeout(timeout_seconds):
            return await self._reader.readuntil(separator)

    async def read_exactly(self, count: int, *, timeout_seconds: float = 10.0) -> bytes:
        """Reads so many bytes."""
        async with asyncio.timeout(timeout_seconds):
            return await self._reader.readexactly(count)

    async def read_all(self, *, timeout_seconds: float = 10.0) -> bytes:
        """Reads until HAProxy closes; a reset is an end, too."""
        data = b""
        async with asyncio.timeout(timeout_seconds):
            with contextlib.suppress(ConnectionError):
                while chunk := await self._reader.read(65_536):
                    data += chunk
        return data

    def close(self) -> None:
        """Goes away politely, with a FIN: HAProxy may take it for a client that has said all and still listens."""
        self._writer.close()

    def reset(self) -> None:
        """Goes away with a reset, as a client that crashed does."""
        if not self._writer.is_closing():
            # A bare close would send FIN, and HAProxy would go on writing to a client that is gone until it is told so.
            self._writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._writer.transport.abort()


async def single_request(port: int, data: bytes) -> bytes:
    """Sends one request on a connection of its own and returns all that comes back."""
    async with RawConnection.open(port) as connection:
        await connection.send(data)
        answer = await connection.read_all()
        connection.close()
        return answer
