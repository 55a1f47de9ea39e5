"""A server of byte streams: what the SPOP server and the record server have in common.

``BufferedProtocol`` with one buffer for all connections: asyncio's streams, and its plain protocols with their 256 KiB buffer a
read, cost more than the agent's own work (measured). Connections beyond the limit are closed at once, and counted.
"""

import asyncio
import logging
import socket
from collections.abc import Callable
from typing import cast

from .telemetry import Telemetry

__all__ = ["StreamConnection", "StreamServer"]

_logger = logging.getLogger(__name__)


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

    __slots__ = ("server", "transport")

    def __init__(self, server: StreamServer) -> None:
        self.server = server
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
