"""A server of byte streams: what the SPOP server and the record server have in common.

``BufferedProtocol`` with one buffer for all connections: asyncio's streams, and its plain protocols with their 256 KiB buffer a
read, cost more than the agent's own work (measured). Connections beyond the limit are closed at once, and counted. So are those of
peers that begin something and do not end it, or do not read what they are sent: all that a peer may make us wait for has an end.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from .telemetry import Telemetry

__all__ = ["PATIENCE_SECONDS", "StreamConnection", "StreamServer"]

_logger = logging.getLogger(__name__)

PATIENCE_SECONDS = 10.0
"""How long a peer may take to end what it has begun, and to read what it was sent."""


class StreamServer:
    """Accepts connections and knows those that are open.

    Args:
        kind: what telemetry calls them.
        connect: makes the protocol of a new connection.
        telemetry: counts.
        max_connections: further ones are closed at once.
        read_bytes: how much is read, and worked through, before the loop turns to other connections.
    """

    def __init__(
        self,
        *,
        kind: str,
        connect: Callable[["StreamServer"], "StreamConnection"],
        telemetry: Telemetry,
        max_connections: int,
        read_bytes: int,
    ) -> None:
        self.kind = kind
        self.telemetry = telemetry
        self.max_connections = max_connections
        self.buffer = memoryview(bytearray(read_bytes))
        self.connections: set[StreamConnection] = set()
        self._connect = connect
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        """Accept on a listening socket, TCP or unix."""
        loop = asyncio.get_running_loop()
        create = loop.create_unix_server if listening.family == socket.AF_UNIX else loop.create_server
        self._server = await create(lambda: self._connect(self), sock=listening)

    def stop_accepting(self) -> None:
        """Close the listening socket; open connections stay."""
        if self._server is not None:
            self._server.close()


class StreamConnection(asyncio.BufferedProtocol):
    """One connection. A subclass says what is done with its bytes."""

    __slots__ = ("_rest_since_seconds", "_rest_timer", "_unread_timer", "server", "transport")

    def __init__(self, server: StreamServer) -> None:
        self.server = server
        self._rest_since_seconds: float | None = None
        self._rest_timer: asyncio.TimerHandle | None = None
        self._unread_timer: asyncio.TimerHandle | None = None
        self.transport: asyncio.Transport | None = None
        """None before the connection is taken, and after it has ended."""

    def opened(self, transport: asyncio.Transport) -> None:
        """The connection was taken."""

    def received(self, data: bytes) -> None:
        """Bytes came."""
        raise NotImplementedError

    def closed(self) -> None:
        """The connection has ended, by either side."""

    def abort(self) -> None:
        """End it at once."""
        if self.transport is not None:
            self.transport.abort()

    def finish(self) -> None:
        """End it as soon as the peer has read what it was sent, or its time is up."""
        if self.transport is not None:
            self.transport.close()
            if self.transport.get_write_buffer_size():
                self._await_reading()

    def await_rest(self, *, unfinished: bool, progressed: bool) -> None:
        """Bytes have been worked through.

        Args:
            unfinished: whether the last ones are only the beginning of something: the rest must come in time.
            progressed: whether something else was whole: then it is another beginning than before.
        """
        if not unfinished:
            self._rest_since_seconds = None
        elif progressed or self._rest_since_seconds is None:
            # The timer is left alone where there is one: a busy connection has such an end at most reads.
            loop = asyncio.get_running_loop()
            self._rest_since_seconds = loop.time()
            if self._rest_timer is None:
                self._rest_timer = loop.call_later(PATIENCE_SECONDS, self._look_for_rest)

    def _look_for_rest(self) -> None:
        self._rest_timer = None
        if self._rest_since_seconds is None or self.transport is None:
            return
        loop = asyncio.get_running_loop()
        if self._unread_timer is not None:  # it is not read from: the rest may well be there
            self._rest_since_seconds = loop.time()
        left_seconds = self._rest_since_seconds + PATIENCE_SECONDS - loop.time()
        if left_seconds > 0:
            self._rest_timer = loop.call_later(left_seconds, self._look_for_rest)
        else:
            self._give_up("unfinished", "what it had begun to send was not whole")

    def _await_reading(self) -> None:
        if self._unread_timer is None:
            loop = asyncio.get_running_loop()
            self._unread_timer = loop.call_later(PATIENCE_SECONDS, self._give_up, "unread", "what it was sent was not read")

    def _give_up(self, reason: str, what: str) -> None:
        if self.transport is not None:
            self.server.telemetry.given_up(self.server.kind, reason)
            _logger.warning("%s connection closed: %s within %g s", self.server.kind, what, PATIENCE_SECONDS)
            self.abort()

    def pause_writing(self) -> None:
        """See ``asyncio.BaseProtocol``: a peer that does not read its answers is not read from."""
        if self.transport is not None:
            self.transport.pause_reading()
            self._await_reading()

    def resume_writing(self) -> None:
        """See ``asyncio.BaseProtocol``."""
        if self._unread_timer is not None:
            self._unread_timer.cancel()
            self._unread_timer = None
        if self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See ``asyncio.BaseProtocol``."""
        # A promise of asyncio's that its types do not make; other event loops' transports are no subclass.
        transport = cast("asyncio.Transport", transport)
        server = self.server
        if len(server.connections) >= server.max_connections:
            server.telemetry.refused(server.kind)
            _logger.warning("%s connection refused: %d are open (limits.maxConnections)", server.kind, server.max_connections)
            transport.abort()
            return
        self.transport = transport
        server.connections.add(self)
        server.telemetry.connected(server.kind)
        self.opened(transport)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a reset is an ordinary end: HAProxy's workers do it
        """See ``asyncio.BaseProtocol``."""
        if self.transport is None:
            return
        self.transport = None
        for timer in (self._rest_timer, self._unread_timer):
            if timer is not None:
                timer.cancel()
        self.server.connections.discard(self)
        self.server.telemetry.disconnected(self.server.kind)
        self.closed()

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        """See ``asyncio.BufferedProtocol``."""
        return self.server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """See ``asyncio.BufferedProtocol``."""
        if self.transport is not None:
            self.received(bytes(self.server.buffer[:nbytes]))

    def eof_received(self) -> bool:
        """See ``asyncio.BufferedProtocol``: a peer that has closed its side is gone."""
        return False
