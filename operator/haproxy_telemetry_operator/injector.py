"""The injector's servers: API servers ask over HTTPS, probes and Prometheus over plain HTTP.

An API server waits for the answer, and a pod with it. So nothing here waits for anything but the question itself; what is too
large, too slow or too much at once is turned away, which a webhook with ``failurePolicy: Ignore`` takes for "unchanged".
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import get_args

from aiohttp import web
from prometheus_client.exposition import choose_encoder

from .admission import Answer, answer
from .injector_connections import BoundedRunner
from .injector_telemetry import InjectorTelemetry
from .pod_decision import Change, Resources, Route, Sidecar, decide
from .serving_tls import ServingTls

__all__ = ["MAX_BODY_BYTES", "Injector"]

_logger = logging.getLogger(__name__)

MAX_BODY_BYTES = 8 * 1024 * 1024
"""An object of Kubernetes has 1.5 MiB at most (etcd's limit); a question may have two of them."""
_BODY_SECONDS = 4.0
"""The webhook's timeout is 5 s: whoever sends for longer has nobody waiting."""
_MAX_QUESTIONS = 64
"""At once: what bodies may need of memory is bounded by it."""


class Injector:
    """Serves; must be made on a running event loop.

    Args:
        resources: what pods are injected for.
        change: how.
        telemetry: what ``/metrics`` shows.
        tls: what to listen with.
        ready: why pods should rather be sent elsewhere; empty: no reason.
        body_seconds: how long a question may take to arrive.
    """

    def __init__(
        self,
        *,
        resources: Resources,
        change: Change,
        telemetry: InjectorTelemetry,
        tls: ServingTls,
        ready: Callable[[], str],
        body_seconds: float = _BODY_SECONDS,
    ) -> None:
        self._resources = resources
        self._change = change
        self._telemetry = telemetry
        self._tls = tls
        self._ready = ready
        self._body_seconds = body_seconds
        self._questions = asyncio.Semaphore(_MAX_QUESTIONS)
        self._draining = False
        self._runners: list[web.AppRunner] = []

    async def start(self, *, host: str | None, port: int, http_port: int) -> None:
        """Listen.

        Args:
            host: None: all addresses.
            port: HTTPS: ``/inject/...`` and the probes.
            http_port: HTTP: ``/metrics`` and the probes.

        Raises:
            OSError: a port can't be had.
        """
        secured = web.Application(client_max_size=MAX_BODY_BYTES)
        secured.router.add_post(f"/inject/{{sidecar:{'|'.join(get_args(Sidecar))}}}/{{namespace}}/{{name}}", self._inject)
        plain = web.Application()
        plain.router.add_get("/metrics", self._metrics)
        for application, its_port, context in ((plain, http_port, None), (secured, port, self._tls.context)):
            application.router.add_get("/healthz", self._healthz)
            application.router.add_get("/readyz", self._readyz)
            runner = BoundedRunner(application, given_up=self._telemetry.connection_given_up)
            self._runners.append(runner)
            await runner.setup()
            await web.TCPSite(runner, host, its_port, ssl_context=context).start()

    def drain(self) -> None:
        """Not ready from now on, but whoever still asks is answered; connections end with their next answer."""
        self._draining = True

    async def close(self) -> None:
        """Listen no more, and end when all questions are answered."""
        for runner in reversed(self._runners):
            await runner.cleanup()

    async def _inject(self, request: web.Request) -> web.Response:
        begun = time.monotonic()
        try:
            async with asyncio.timeout(self._body_seconds), self._questions:
                body = await request.read()
        except TimeoutError:
            return self._turn_away("too_slow", begun, 503)
        except web.HTTPRequestEntityTooLarge:
            return self._turn_away("too_large", begun, 413)
        info = request.match_info
        sidecar: Sidecar = "native" if info["sidecar"] == "native" else "container"
        route = Route(sidecar, info["namespace"], info["name"])
        answered = answer(
            body, lambda pod, namespace: decide(pod, namespace, route, resources=self._resources, change=self._change)
        )
        self._telemetry.admitted(answered.result, time.monotonic() - begun, dry_run=answered.dry_run)
        _log(answered, route)
        return self._end(web.json_response(answered.review))

    def _turn_away(self, result: str, begun: float, status: int) -> web.Response:
        self._telemetry.admitted(result, time.monotonic() - begun)
        _logger.warning("a question was turned away: %s", result)
        response = web.Response(text=f"{result}\n", status=status)
        # The rest of its body is not waited for.
        response.force_close()
        return response

    def _end(self, response: web.Response) -> web.Response:
        if self._draining:
            # An API server keeps its connections for as long as it can.
            response.force_close()
        return response

    async def _metrics(self, request: web.Request) -> web.Response:
        encode, content_type = choose_encoder(request.headers.get("Accept", ""))
        return web.Response(body=encode(self._telemetry.registry), headers={"Content-Type": content_type})

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        reason = "ending" if self._draining else self._ready()
        return web.Response(text=f"{reason}\n", status=503) if reason else web.Response(text="ok\n")


def _log(answered: Answer, route: Route) -> None:
    resource = f"{route.namespace}/{route.name}"
    if answered.problem:
        _logger.warning("%s stays as it is, for %s: %s", answered.pod or "a pod", resource, answered.problem)
    elif answered.result == "injected":
        _logger.info("%s injected, for %s%s", answered.pod, resource, " (dry run)" if answered.dry_run else "")
    else:
        _logger.info("%s stays as it is, for %s: %s %s", answered.pod, resource, answered.result, answered.message)
