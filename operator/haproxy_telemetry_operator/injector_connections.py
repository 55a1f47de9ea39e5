"""The injector's connections: bounded in number, and in how long one may be open without a question.

aiohttp bounds what a question may be, but not how many connections there are, and it waits without end for the first question. And
anybody in the cluster can connect.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import Any, cast

from aiohttp import web

__all__ = ["MAX_CONNECTIONS", "BoundedRunner"]

_logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 256
"""Of API servers, of which there are few, and which ask many questions on one connection, or a connection for each at once."""
_FIRST_SECONDS = 10.0
_IDLE_SECONDS = 75.0
_END_SECONDS = 5.0


class BoundedRunner(web.AppRunner):
    """Runs an application for as many connections as there may be.

    Args:
        application: answers.
        given_up: called for each connection that is refused or closed by us.
        max_connections: at once.
        first_seconds: how long a connection may be open without a byte.
    """

    def __init__(
        self,
        application: web.Application,
        *,
        given_up: Callable[[], None],
        max_connections: int = MAX_CONNECTIONS,
        first_seconds: float = _FIRST_SECONDS,
    ) -> None:
        super().__init__(application, access_log=None, shutdown_timeout=_END_SECONDS, keepalive_timeout=_IDLE_SECONDS)
        self.given_up = given_up
        self.max_connections = max_connections
        self.first_seconds = first_seconds
        self.connections = 0

    @property
    def server(self) -> Any:
        """What a site asks for the protocol of a new connection."""
        return self._connect

    def _connect(self) -> "_Guard":
        server = super().server
        assert server is not None  # noqa: S101 - sites start after the runner is set up
        return _Guard(self, server())


class _Guard(asyncio.Protocol):
    """One connection: hands everything on, once it may."""

    __slots__ = ("_inner", "_runner", "_timer", "_transport")

    def __init__(self, runner: BoundedRunner, inner: asyncio.Protocol) -> None:
        self._runner = runner
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        if self._runner.connections >= self._runner.max_connections:
            self._runner.given_up()
            _logger.warning("a connection was refused: %d are open", self._runner.max_connections)
            transport.abort()
            return
        self._transport = transport
        self._runner.connections += 1
        self._timer = asyncio.get_running_loop().call_later(self._runner.first_seconds, self._give_up)
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        self._stop_timer()
        self._runner.connections -= 1
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._stop_timer()
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._inner.resume_writing()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self) -> None:
        if self._transport is not None:
            self._runner.given_up()
            _logger.warning("a connection was closed: no question came within %g s", self._runner.first_seconds)
            self._transport.abort()
