"""The connections of the HTTP endpoint: bounded in number, and in how long a peer may take.

aiohttp bounds what a request may be, but not how many connections there are, and it waits without end for a peer to read. Each
connection gets a guard in front of aiohttp's own protocol.
"""

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

from aiohttp import http, web

from .stream_server import PATIENCE_SECONDS
from .telemetry import Telemetry

__all__ = ["MAX_CONNECTIONS", "BoundedRunner"]

_logger = logging.getLogger(__name__)

MAX_CONNECTIONS = 64
"""Scrapers, probes and people, of which there are few."""
_IDLE_SECONDS = 75.0
"""Longer than scrapes are apart."""
_MAX_LINE_BYTES = 8_190
_LINGER_SECONDS = 1.0
"""How long a body is read that nobody wants, so that its sender sees the answer."""
_KIND = "http"


if TYPE_CHECKING:
    _Adapter = logging.LoggerAdapter[logging.Logger]
else:
    _Adapter = logging.LoggerAdapter


class BoundedRunner(web.AppRunner):
    """Runs an application for as many connections as there may be.

    Args:
        application: answers.
        telemetry: counts.
        shutdown_timeout: see ``web.AppRunner``.
    """

    def __init__(self, application: web.Application, *, telemetry: Telemetry, shutdown_timeout: float) -> None:
        application.on_response_prepare.append(_note_request)
        super().__init__(
            application,
            logger=_RequestLog(_logger, telemetry),
            access_log=None,
            handle_signals=False,
            shutdown_timeout=shutdown_timeout,
            keepalive_timeout=_IDLE_SECONDS,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
            lingering_time=_LINGER_SECONDS,
        )
        self.telemetry = telemetry
        self.connections: set[_Guard] = set()

    @property
    def server(self) -> Any:
        """What a site asks for the protocol of a new connection."""
        return self._connect

    def _connect(self) -> "_Guard":
        server = super().server
        assert server is not None  # noqa: S101 - sites start after the runner is set up
        return _Guard(self, server())


class _RequestLog(_Adapter):
    """What aiohttp logs. A request that is none is the client's fault: a line, and not a stack with the client's bytes in it."""

    def __init__(self, logger: logging.Logger, telemetry: Telemetry) -> None:
        super().__init__(logger, {})
        self._telemetry = telemetry

    def debug(self, msg: object, *args: object, **kwargs: Any) -> None:
        if not self._is_refused(kwargs.get("exc_info")):
            super().debug(msg, *args, **kwargs)

    def exception(self, msg: object, *args: object, **kwargs: Any) -> None:
        if not self._is_refused(kwargs.get("exc_info")):
            super().exception(msg, *args, **kwargs)

    def _is_refused(self, error: object) -> bool:
        if not isinstance(error, http.HttpProcessingError):
            return False
        self._telemetry.http_request_refused()
        _logger.warning("http request refused: %s", type(error).__name__)
        return True


async def _note_request(request: web.Request, _response: web.StreamResponse) -> None:
    if request.transport is not None:
        guard = request.transport.get_protocol()
        if isinstance(guard, _Guard):
            guard.asked()


class _Guard(asyncio.Protocol):
    """One connection: hands everything on, and looks at the clock."""

    __slots__ = ("_inner", "_runner", "_timer", "_transport")

    def __init__(self, runner: BoundedRunner, inner: asyncio.Protocol) -> None:
        self._runner = runner
        self._inner = inner
        self._transport: asyncio.Transport | None = None
        self._timer: asyncio.TimerHandle | None = None

    def asked(self) -> None:
        """Its first request has come."""
        self._stop_timer()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        transport = cast("asyncio.Transport", transport)
        runner = self._runner
        if len(runner.connections) >= MAX_CONNECTIONS:
            runner.telemetry.refused(_KIND)
            _logger.warning("http connection refused: %d are open", MAX_CONNECTIONS)
            transport.abort()
            return
        self._transport = transport
        runner.connections.add(self)
        runner.telemetry.connected(_KIND)
        self._start_timer("unfinished", "no request came")
        self._inner.connection_made(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._transport is None:
            return
        self._transport = None
        self._stop_timer()
        self._runner.connections.discard(self)
        self._runner.telemetry.disconnected(_KIND)
        self._inner.connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._transport is not None:
            self._inner.data_received(data)

    def eof_received(self) -> bool | None:
        return self._inner.eof_received() if self._transport is not None else None

    def pause_writing(self) -> None:
        self._stop_timer()
        self._start_timer("unread", "what it was sent was not read")
        self._inner.pause_writing()

    def resume_writing(self) -> None:
        self._stop_timer()
        self._inner.resume_writing()

    def _start_timer(self, reason: str, what: str) -> None:
        self._timer = asyncio.get_running_loop().call_later(PATIENCE_SECONDS, self._give_up, reason, what)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _give_up(self, reason: str, what: str) -> None:
        if self._transport is not None:
            self._runner.telemetry.given_up(_KIND, reason)
            _logger.warning("http connection closed: %s within %g s", what, PATIENCE_SECONDS)
            self._transport.abort()
