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
from .stream_server import StreamConnection, StreamServer
from .telemetry import Telemetry

__all__ = ["RecordServer"]

_logger = logging.getLogger(__name__)

_READ_BYTES = 16_384
"""Some twenty records, a millisecond's work: HAProxies wait for answers meanwhile. With 64 KiB the slowest hundredth of the answers
of a busy agent took three times as long, for no less CPU time (measured).
"""
_GATHER_SECONDS = 0.005
"""Nobody waits for a record: those of a moment are read together. At 1,000 a second that saves a third of their cost (measured)."""
_LEFT_POLL_SECONDS = 0.05
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class RecordServer(StreamServer):
    """Accepts the record streams of HAProxy processes.

    Args:
        record: takes one record; must not wait.
        telemetry, max_connections: see ``StreamServer``.
        max_record_bytes: see ``RecordReader``.
    """

    def __init__(
        self, *, record: Callable[[bytes], None], telemetry: Telemetry, max_connections: int, max_record_bytes: int
    ) -> None:
        super().__init__(
            kind="records",
            connect=lambda server: _Connection(server, record, max_record_bytes),
            telemetry=telemetry,
            max_connections=max_connections,
            read_bytes=_READ_BYTES,
        )

    async def start(self, listening: socket.socket) -> None:
        """See ``StreamServer``."""
        # Taken over by the connections it accepts: those that the loop has not seen yet, when the agent ends, end with a reset too.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        await super().start(listening)

    async def wait_until_left(self, timeout_seconds: float) -> None:
        """Go on taking records until no HAProxy is connected any more, or the time is up."""
        loop = asyncio.get_running_loop()
        deadline_seconds = loop.time() + timeout_seconds
        while self.connections and loop.time() < deadline_seconds:  # noqa: ASYNC110 - a moment's precision is enough
            await asyncio.sleep(_LEFT_POLL_SECONDS)

    async def close(self) -> None:
        """Stop accepting, read what has come, and reset: what has not come waits in the ring for the next agent."""
        self.stop_accepting()
        drains: list[Callable[[], None]] = []
        for connection in list(self.connections):
            assert isinstance(connection, _Connection)  # noqa: S101 - we made them
            drains.extend(connection.detach())
        # The transports close their descriptors in the loop's next turn; ours are then the last ones.
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        for drain in drains:
            drain()


class _Connection(StreamConnection):
    """One record stream."""

    __slots__ = ("_detached", "_reader", "_record", "_too_long_count")

    def __init__(self, server: StreamServer, record: Callable[[bytes], None], max_record_bytes: int) -> None:
        super().__init__(server)
        self._record = record
        self._reader = RecordReader(max_record_bytes=max_record_bytes)
        self._too_long_count = 0
        self._detached = False

    def received(self, data: bytes) -> None:
        telemetry = self.server.telemetry
        reader = self._reader
        try:
            records = reader.receive(data)
        except RecordStreamError as error:
            telemetry.record_skipped(SkipReason.FOREIGN)
            _logger.warning("record connection closed: %s: is it a ring with log-proto octet-count?", error)
            self.abort()
            return
        if reader.too_long_count != self._too_long_count:
            telemetry.record_skipped(SkipReason.TOO_LONG, reader.too_long_count - self._too_long_count)
            self._too_long_count = reader.too_long_count
        for record in records:
            self._record(record)
        if not self._detached:
            self.await_rest(unfinished=reader.unfinished, progressed=bool(records))
        # A full read has left more behind; else all that came has been taken.
        if len(data) < _READ_BYTES and self.transport is not None and not self._detached:
            self.transport.pause_reading()
            asyncio.get_running_loop().call_later(_GATHER_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def closed(self) -> None:
        if not self._detached:
            self._end()

    def detach(self) -> list[Callable[[], None]]:
        """Take the socket from the event loop; returns what reads it to its present end and resets it."""
        if self.transport is None:
            return []
        self._detached = True
        own = socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno()))
        self.abort()

        def drain() -> None:
            with own, contextlib.suppress(OSError):
                while data := own.recv(_READ_BYTES, socket.MSG_DONTWAIT):
                    self.received(data)
            self._end()

        return [drain]

    def _end(self) -> None:
        if self._reader.unfinished:
            self.server.telemetry.record_skipped(SkipReason.TRUNCATED)
