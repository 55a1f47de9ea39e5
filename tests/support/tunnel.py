"""A tunnel stands in for a proxy: it takes every CONNECT, and always goes to one port of ours."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from support.ports import ADDRESS

__all__ = ["tunnel"]


@contextlib.asynccontextmanager
async def tunnel(port: int) -> AsyncIterator[tuple[str, list[str]]]:
    """The URL of the proxy, and the first line of each request that it was sent."""
    asked: list[str] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError), contextlib.closing(writer):
            while data := await reader.read(65_536):
                writer.write(data)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        asked.append((await reader.readuntil(b"\r\n\r\n")).decode().splitlines()[0])
        back, forth = await asyncio.open_connection(ADDRESS, port)
        writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
        await asyncio.gather(pump(reader, forth), pump(back, writer))

    server = await asyncio.start_server(serve, ADDRESS, 0)
    async with server:
        yield f"http://{ADDRESS}:{server.sockets[0].getsockname()[1]}", asked
