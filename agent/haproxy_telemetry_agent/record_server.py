"""The record server: sockets around ``records.RecordReader``.

HAProxy's ``ring`` connects and sends; it expects nothing back and never waits. Several HAProxy processes send at once during a
reload.

How a connection ends decides over the next records. From HAProxy 2.8 on a ring takes the end of our side (FIN) for nothing: it goes
on writing, loses the record that meets the kernel's reset, and comes back a record or many later (measured: 2 lost on 2.8 and 3.2,
15 and more on 3.0). A reset it sees at once: it keeps the records and is back after a second. So every connection is set to end
with a reset, also when the agent is killed; and when it is stopped, it reads what the kernel has before it resets. A unix socket
has no reset: there HAProxy 2.8 and 3.2 lose one record each time the agent goes, and 3.0 never comes back. Records want TCP.
"""

import asyncio
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Callable

from .records import RecordReader, RecordStreamError, SkipReason
from .telemetry import Telemetry

__all__ = ["RecordServer"]

_logger = logging.getLogger(__name__)

_READ_BYTES = 131_072
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


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
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        """Accept on a listening socket."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listening.family == socket.AF_UNIX else loop.create_server
        self._server = await create(lambda: _Connection(self), sock=listening)

    async def close(self) -> None:
        """Stop accepting, read what has come, and reset: what has not come waits in the ring for the next agent."""
        if self._server is not None:
            self._server.close()
        drains = [drain for connection in list(self.connections) if (drain := connection.detach()) is not None]
        # The transports close their descriptors in the loop's next turn; ours are then the last ones.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for drain in drains:
            drain()


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
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        server.connections.add(self)
        server.telemetry.connected("records")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - HAProxy up to 3.0 ends a reloaded worker with a reset
        server = self._server
        if self in server.connections:
            server.connections.discard(self)
            server.telemetry.disconnected("records")
            if self._reader.unfinished:
                server.telemetry.record_skipped(SkipReason.TRUNCATED)
        self._transport = None

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._take(bytes(self._server.buffer[:nbytes]))

    def _take(self, data: bytes) -> None:
        server = self._server
        reader = self._reader
        try:
            records = reader.receive(data)
        except RecordStreamError as error:
            server.telemetry.record_skipped(SkipReason.FOREIGN)
            _logger.warning("record connection closed: %s: is it a ring with log-proto octet-count?", error)
            self.abort()
            return
        if reader.too_long_count != self._too_long_count:
            server.telemetry.record_skipped(SkipReason.TOO_LONG, reader.too_long_count - self._too_long_count)
            self._too_long_count = reader.too_long_count
        for record in records:
            server.record(record)

    def eof_received(self) -> bool:
        return False

    def detach(self) -> Callable[[], None] | None:
        """Take the socket from the event loop; returns what reads it to its present end and resets it."""
        if self._transport is None:
            return None
        own = socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno()))
        self._transport.abort()

        def drain() -> None:
            with own, contextlib.suppress(OSError):
                while data := own.recv(_READ_BYTES, socket.MSG_DONTWAIT):
                    self._take(data)

        return drain

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()
