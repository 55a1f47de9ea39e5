"""The SPOP server: sockets around ``spop.AgentConnection``.

All frames of one read are answered by one write. A peer that does not read its answers is not read from until it does; one that
takes too long for it, for a frame or for its HELLO is closed.
"""

import asyncio
import contextlib
import logging
import os
import socket
import time
from collections.abc import Callable

from .spop import (
    Action,
    AgentConnection,
    DisconnectReceived,
    HelloReceived,
    LocalProtocolError,
    Message,
    NotifyReceived,
    ProtocolViolated,
    State,
)
from .stream_server import StreamConnection, StreamServer
from .telemetry import Telemetry

__all__ = ["SpopServer"]

_logger = logging.getLogger(__name__)

_HELLO_TIMEOUT_SECONDS = 10.0
_READ_BYTES = 65_536
_WRITE_HIGH_WATER_BYTES = 256 * 1024

Notify = Callable[[list[Message]], list[Action]]


class SpopServer(StreamServer):
    """Accepts HAProxy's SPOE connections.

    Args:
        notify: answers the messages of one NOTIFY; must not wait.
        telemetry, max_connections: see ``StreamServer``.
        max_frame_size_bytes: see ``AgentConnection``.
    """

    def __init__(self, *, notify: Notify, telemetry: Telemetry, max_connections: int, max_frame_size_bytes: int) -> None:
        super().__init__(
            kind="spop",
            connect=lambda server: _Connection(server, notify, max_frame_size_bytes),
            telemetry=telemetry,
            max_connections=max_connections,
            read_bytes=_READ_BYTES,
        )

    def close(self) -> None:
        """Stop accepting, and say good-bye to every HAProxy: it goes on without us."""
        self.stop_accepting()
        for connection in list(self.connections):
            assert isinstance(connection, _Connection)  # noqa: S101 - we made them
            connection.say_goodbye()


class _Connection(StreamConnection):
    """One connection of HAProxy's."""

    __slots__ = ("_hello_timer", "_ignored_count", "_notify", "_protocol")

    def __init__(self, server: StreamServer, notify: Notify, max_frame_size_bytes: int) -> None:
        super().__init__(server)
        self._notify = notify
        self._protocol = AgentConnection(max_frame_size_bytes=max_frame_size_bytes)
        self._hello_timer: asyncio.TimerHandle | None = None
        self._ignored_count = 0

    def opened(self, transport: asyncio.Transport) -> None:
        transport.set_write_buffer_limits(high=_WRITE_HIGH_WATER_BYTES)
        self._hello_timer = asyncio.get_running_loop().call_later(_HELLO_TIMEOUT_SECONDS, self._give_up_waiting)

    def closed(self) -> None:
        self._stop_timer()

    def received(self, data: bytes) -> None:
        start_seconds = time.perf_counter()
        telemetry = self.server.telemetry
        protocol = self._protocol
        answered = 0
        events = protocol.receive(data)
        for event in events:
            if type(event) is NotifyReceived:
                self._answer(event)
                answered += 1
            elif isinstance(event, HelloReceived):
                self._greet(event)
            elif isinstance(event, DisconnectReceived):
                telemetry.spop_disconnect(event.status_code)
            elif isinstance(event, ProtocolViolated):
                telemetry.spop_violated(event.error.status_code)
                _logger.warning("SPOP connection closed: %s", event.error)
        self._write()
        if protocol.ignored_count != self._ignored_count:
            telemetry.frames_ignored(protocol.ignored_count - self._ignored_count)
            self._ignored_count = protocol.ignored_count
        if answered:
            telemetry.messages_answered(answered, time.perf_counter() - start_seconds)
        if protocol.state is State.CLOSED:
            self.finish()
        elif protocol.state is State.OPEN:
            self.await_rest(unfinished=protocol.unfinished, progressed=bool(events))

    def say_goodbye(self) -> None:
        if self.transport is None:
            return
        self._answer_what_came()
        if self.transport is not None and self._protocol.state is State.OPEN:
            self._protocol.disconnect()
            self.server.telemetry.spop_closed()
            self._write()
        self.finish()

    def _answer_what_came(self) -> None:
        """Questions that the kernel has and the loop has not seen: closed over, they would take our answers down in a reset."""
        assert self.transport is not None  # noqa: S101 - the caller knows
        with (
            contextlib.suppress(OSError),
            socket.socket(fileno=os.dup(self.transport.get_extra_info("socket").fileno())) as own,
        ):
            while self.transport is not None and self._protocol.state is State.OPEN:
                data = own.recv(_READ_BYTES, socket.MSG_DONTWAIT)
                if not data:
                    return
                self.received(data)

    def _answer(self, event: NotifyReceived) -> None:
        try:
            self._protocol.acknowledge(event, self._notify(event.messages))
        except LocalProtocolError as error:
            # HAProxy waits for an answer all the same.
            self._protocol.acknowledge(event, [])
            self.server.telemetry.answer_too_long()
            _logger.warning("NOTIFY answered without actions: %s: raise tune.bufsize", error)

    def _write(self) -> None:
        data = self._protocol.data_to_send()
        if data and self.transport is not None:
            self.transport.write(data)

    def _greet(self, event: HelloReceived) -> None:
        self._stop_timer()
        self.server.telemetry.spop_hello(healthcheck=event.hello.healthcheck)
        if not event.hello.healthcheck:
            _logger.debug("engine %s connected", event.hello.engine_id)

    def _give_up_waiting(self) -> None:
        _logger.warning("SPOP connection closed: no HELLO within %g s", _HELLO_TIMEOUT_SECONDS)
        self.server.telemetry.hello_timed_out()
        self.abort()

    def _stop_timer(self) -> None:
        if self._hello_timer is not None:
            self._hello_timer.cancel()
            self._hello_timer = None
