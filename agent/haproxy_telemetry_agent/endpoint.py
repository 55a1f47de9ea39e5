"""The HTTP endpoint: ``/metrics`` for Prometheus, ``/healthz`` and ``/readyz`` for probes, ``/debug`` for people.

Ready means listening: a collector that is away must never take HAProxy's pod out of service. Alive means that the loop turns: what
answers here is the loop that answers HAProxy.

Where clients need a certificate, all needs one but the probes: who asks them has none.
"""

import asyncio
import contextlib
import socket
from collections.abc import Callable

from aiohttp import web
from aiohttp.typedefs import Handler
from prometheus_client.exposition import choose_encoder

from .debug.pages import DebugPages
from .endpoint_connections import BoundedRunner
from .endpoint_tls import EndpointTls
from .request_exposition import render_requests
from .request_metrics import RequestMetrics
from .telemetry import Telemetry

__all__ = ["Endpoint"]

_END_SECONDS = 0.5
"""What a slow reader gets when the agent ends."""


_WITHOUT_CERTIFICATE = frozenset({"/healthz", "/readyz"})


@web.middleware
async def _want_certificate(request: web.Request, handler: Handler) -> web.StreamResponse:
    # The handshake has verified it, if there is one.
    shown = request.transport is not None and request.transport.get_extra_info("peercert")
    if not shown and request.path not in _WITHOUT_CERTIFICATE:
        return web.Response(text="a client certificate is needed\n", status=403)
    return await handler(request)


class Endpoint:
    """Serves the registry and the probes.

    Args:
        telemetry: what ``/metrics`` shows, and what counts connections.
        ready: whether both servers listen.
        requests: what it shows besides; None: nothing.
        tls: None: in the clear.
        debug: what stands below ``/debug``; None: nothing.
    """

    def __init__(
        self,
        *,
        telemetry: Telemetry,
        ready: Callable[[], bool],
        requests: RequestMetrics | None = None,
        tls: EndpointTls | None = None,
        debug: DebugPages | None = None,
    ) -> None:
        self._telemetry = telemetry
        self._ready = ready
        self._requests = requests
        self._tls = tls
        self._debug = debug
        self._runner: web.AppRunner | None = None

    async def start(self, listening: socket.socket) -> None:
        """Serve on a listening socket."""
        wants_certificates = self._tls is not None and self._tls.asks_for_certificates
        application = web.Application(middlewares=[_want_certificate] if wants_certificates else [])
        application.router.add_get("/metrics", self._metrics)
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        if self._debug is not None:
            self._debug.add_to(application.router)
        self._runner = BoundedRunner(application, telemetry=self._telemetry, shutdown_timeout=_END_SECONDS)
        await self._runner.setup()
        context = None if self._tls is None else self._tls.context
        await web.SockSite(self._runner, listening, ssl_context=context).start()

    async def close(self) -> None:
        """Stop serving."""
        if self._debug is not None:
            self._debug.close()
        if self._runner is not None:
            await self._runner.cleanup()

    async def _metrics(self, request: web.Request) -> web.StreamResponse:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        response = web.StreamResponse(headers={"Content-Type": content_type})
        await response.prepare(request)
        # A scraper that goes away in the middle is its own affair.
        with contextlib.suppress(ConnectionResetError):
            if self._requests is not None:
                openmetrics = content_type.startswith("application/openmetrics-text")
                for part in render_requests(self._requests, openmetrics=openmetrics):
                    await response.write(part)
                    # A thousand series are megabytes: they are never held as a whole, and HAProxy does not wait for them.
                    await asyncio.sleep(0)
            # OpenMetrics' end mark is in here: it comes last.
            await response.write(encode(self._telemetry.registry))
            await response.write_eof()
        return response

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self._ready() else web.Response(text="not listening\n", status=503)
