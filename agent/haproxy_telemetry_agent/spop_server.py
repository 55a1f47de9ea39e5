"""The SPOP server: sockets around ``spop.AgentConnection``.

``BufferedProtocol`` with one buffer for all connections: asyncio's streams, and its plain protocols with their 256 KiB buffer a
read, cost more than the agent's own work (measured). All frames of one read are answered by one write. A peer that does not read
its answers is not read from until it does; one that never says HELLO is closed.
"""

import asyncio
import logging
import socket
import time
from collections.abc import Callable

from .spop import Action, AgentConnection, DisconnectReceived, HelloReceived, Message, NotifyReceived, ProtocolViolated, State
from .telemetry import Telemetry

__all__ = ["SpopServer"]

_logger = logging.getLogger(__name__)

_READ_BYTES = 65_536
_HELLO_TIMEOUT_SECONDS = 10.0
_WRITE_HIGH_WATER_BYTES = 256 * 1024


class SpopServer:
    """Accepts HAProxy's SPOE connections.

    Args:
        notify: answers the messages of one NOTIFY; must not wait.
        telemetry: counts.
        max_connections: further ones are closed at once.
        max_frame_size_bytes: see ``AgentConnection``.
    """

    def __init__(
        self,
        *,
        notify: Callable[[list[Message]], list[Action]],
        telemetry: Telemetry,
        max_connections: int,
        max_frame_size_bytes: int,
    ) -> None:
        self.notify = notify
        self.telemetry = telemetry
        self.max_connections = max_connections
        self.max_frame_size_bytes = max_frame_size_bytes
        self.buffer = memoryview(bytearray(_READ_BYTES))
        self.connections: set[_Connection] = set()
        self._server: asyncio.Server | None = None

    async def start(self, listening: socket.socket) -> None:
        """Accept on a listening socket."""
        loop = asyncio.get_running_loop()
        unix = listening.family == socket.AF_UNIX
        create = loop.create_unix_server if unix else loop.create_server
        self._server = await create(lambda: _Connection(self), sock=listening)

    async def close(self) -> None:
        """Stop accepting, and say good-bye to every HAProxy: it goes on without us."""
        if self._server is not None:
            self._server.close()
        for connection in list(self.connections):
            connection.say_goodbye()


class _Connection(asyncio.BufferedProtocol):
    """One connection of HAProxy's."""

    __slots__ = ("_hello_timer", "_protocol", "_server", "_transport")

    def __init__(self, server: SpopServer) -> None:
        self._server = server
        self._protocol = AgentConnection(max_frame_size_bytes=server.max_frame_size_bytes)
        self._transport: asyncio.Transport | None = None
        self._hello_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101 - asyncio's own promise
        server = self._server
        if len(server.connections) >= server.max_connections:
            server.telemetry.refused("spop")
            _logger.warning("SPOP connection refused: %d are open (limits.maxConnections)", server.max_connections)
            transport.abort()
            return
        self._transport = transport
        transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER_BYTES)
        server.connections.add(self)
        server.telemetry.connected("spop")
        self._hello_timer = asyncio.get_running_loop().call_later(_HELLO_TIMEOUT_SECONDS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - a reset is an ordinary end: HAProxy's workers do it
        if self in self._server.connections:
            self._server.connections.discard(self)
            self._server.telemetry.disconnected("spop")
        self._stop_timer()
        self._transport = None

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._server.buffer

    def buffer_updated(self, nbytes: int) -> None:
        transport = self._transport
        if transport is None:
            return
        start_seconds = time.perf_counter()
        server = self._server
        protocol = self._protocol
        answered = 0
        for event in protocol.receive(bytes(server.buffer[:nbytes])):
            if type(event) is NotifyReceived:
                protocol.acknowledge(event, server.notify(event.messages))
                answered += 1
            elif isinstance(event, HelloReceived):
                self._greet(event)
            elif isinstance(event, DisconnectReceived):
                server.telemetry.spop_disconnect(event.status_code)
            elif isinstance(event, ProtocolViolated):
                server.telemetry.spop_disconnect(event.error.status_code)
                _logger.warning("SPOP connection closed: %s", event.error)
        data = protocol.data_to_send()
        if data:
            transport.write(data)
        if answered:
            server.telemetry.messages_answered(answered, time.perf_counter() - start_seconds)
        if protocol.state is State.CLOSED:
            transport.close()

    def eof_received(self) -> bool:
        return False

    def pause_writing(self) -> None:
        if self._transport is not None:
            self._transport.pause_reading()

    def resume_writing(self) -> None:
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def say_goodbye(self) -> None:
        if self._transport is None:
            return
        if self._protocol.state is State.OPEN:
            self._protocol.disconnect()
            self._server.telemetry.spop_disconnect(0)
            self._transport.write(self._protocol.data_to_send())
        self._transport.close()

    def _greet(self, event: HelloReceived) -> None:
        self._stop_timer()
        if event.hello.healthcheck:
            self._server.telemetry.health_checked()
        else:
            _logger.debug("engine %s connected", event.hello.engine_id)

    def _give_up(self) -> None:
        if self._transport is not None:
            _logger.warning("SPOP connection closed: no HELLO within %g s", _HELLO_TIMEOUT_SECONDS)
            self._transport.abort()

    def _stop_timer(self) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
            self._hello_timer = None
