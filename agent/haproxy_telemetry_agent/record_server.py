"""The record server: sockets around ``records.RecordReader``.

HAProxy's ``ring`` connects and sends; it expects nothing back and never waits. Several HAProxy processes send at once during a
reload. When the agent ends it half-closes these connections and goes on reading until HAProxy has closed its side: what was already
handed to the kernel is not lost, and what was not stays in the ring for the next agent.
"""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable

from .records import RecordReader, RecordStreamError, SkipReason
from .telemetry import Telemetry

__all__ = ["RecordServer"]

_logger = logging.getLogger(__name__)

_READ_BYTES = 131_072


class RecordServer:
    """Accepts the record streams of HAProxy processes.

    Args:
        record: takes one record; must not wait.
        telemetry: counts.
        max_connections: further ones are closed at once.
        max_record_bytes: see ``RecordReader``.
    """

    def __init__(
        self, *, record: Callable[[bytes], None], telemetry: Telemetry, max_connections: int, max_record_bytes: int
    ) -> None:
        self.record = record
        self.telemetry = telemetry
        self.max_connections = max_connections
        self.max_record_bytes = max_record_bytes
        self.buffer = memoryview(bytearray(_READ_BYTES))
        self.connections: set[_Connection] = set()
        self.idle = asyncio.Event()
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        """Accept on a listening socket."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listening.family == socket.AF_UNIX else loop.create_server
        self._server = await create(lambda: _Connection(self), sock=listening)

    async def close(self, timeout_seconds: float) -> None:
        """Stop accepting, ask every HAProxy to close, and read until it has, for at most ``timeout_seconds``."""
        if self._server is not None:
            self._server.close()
        if self.connections:
            self.idle.clear()
            for connection in list(self.connections):
                connection.half_close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_seconds):
                    await self.idle.wait()
        for connection in list(self.connections):
            connection.abort()


class _Connection(asyncio.BufferedProtocol):
    """One record stream."""

    __slots__ = ("_reader", "_server", "_too_long_count", "_transport")

    def __init__(self, server: RecordServer) -> None:
        self._server = server
        self._reader = RecordReader(max_record_bytes=server.max_record_bytes)
        self._too_long_count = 0
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's own promise
        server = self._server
        if len(server.connections) >= server.max_connections:
            server.telemetry.refused("records")
            _logger.warning("record connection refused: %d are open (limits.maxConnections)", server.max_connections)
            transport.abort()
            return
        self._transport = transport
        server.connections.add(self)
        server.telemetry.connected("records")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - HAProxy up to 3.0 ends a reloaded worker with a reset
        server = self._server
        if self in server.connections:
            server.connections.discard(self)
            server.telemetry.disconnected("records")
            if self._reader.unfinished:
                server.telemetry.record_skipped(SkipReason.TRUNCATED)
        if not server.connections:
            server.idle.set()
        self._transport = None

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        server = self._server
        reader = self._reader
        try:
            records = reader.receive(bytes(server.buffer[:nbytes]))
        except RecordStreamError as error:
            server.telemetry.record_skipped(SkipReason.FOREIGN)
            _logger.warning("record connection closed: %s: is it a ring with log-proto octet-count?", error)
            self.abort()
            return
        if reader.too_long_count != self._too_long_count:
            server.telemetry.record_skipped(SkipReason.TOO_LONG, reader.too_long_count - self._too_long_count)
            self._too_long_count = reader.too_long_count
        for data in records:
            server.record(data)

    def eof_received(self) -> bool:
        return False

    def half_close(self) -> None:
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
