"""The injector: an HTTPS server that the API server asks about new pods. It keeps nothing, and any number of it may run.

``POST /inject/{sidecar}/{namespace}/{name}``: the operator writes the path into the webhook's entry; ``sidecar`` is ``native`` or
``container``. Every answer allows the pod. Metrics and probes are on a port of their own, in clear.
"""

import asyncio
import contextlib
import logging
import ssl
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from aiohttp import web

from .admission import BadReview, answer, read_question
from .certificates import expiry_of
from .injection import Facts, Mutation, mutate
from .injector_telemetry import InjectorTelemetry
from .inventory import Inventory
from .logs import RateLimited
from .resource_watch import ResourceWatch

__all__ = ["Injector", "InjectorError"]

_logger = logging.getLogger(__name__)
_MAX_BODY_BYTES = 8 * 1024 * 1024
_LOOK_SECONDS = 2.0
_DRAIN_SECONDS = 5.0
_LEAST_VALIDITY = timedelta(hours=24)


class InjectorError(Exception):
    """It can't start; the words say why."""


class Injector:
    """Both servers, and the watch.

    Args:
        facts: of this installation; ``native_sidecar`` comes with each question.
        inventory: of resources; ``watch`` fills it.
        watch: the watch.
        certificate_directory: where ``tls.crt`` and ``tls.key`` are; read again when they change.
        host: to listen on.
        port: for HTTPS; 0: any free one.
        http_port: for metrics and probes; 0: any free one.
        now: UTC.
    """

    def __init__(
        self,
        *,
        facts: Facts,
        inventory: Inventory,
        watch: ResourceWatch,
        certificate_directory: Path,
        host: str = "0.0.0.0",
        port: int = 9443,
        http_port: int = 8080,
        now: Callable[[], datetime],
    ) -> None:
        self._facts = facts
        self._inventory = inventory
        self._watch = watch
        self._directory = certificate_directory
        self._host, self._port, self._http_port = host, port, http_port
        self._now = now
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.minimum_version = ssl.TLSVersion.TLSv1_2
        self._loaded: tuple[bytes, bytes] | None = None
        self._expires: datetime | None = None
        self._errors = RateLimited(_logger)
        self._stopping = False
        self.telemetry = InjectorTelemetry(inventory, lambda: self._expires, lambda: time.monotonic() - watch.last_seen_seconds)
        self.addresses: list[tuple[str, int]] = []
        """Of HTTPS and HTTP, once they listen."""

    async def run(self, stop: asyncio.Event) -> None:
        """Until ``stop``; then what was asked is answered.

        Raises:
            InjectorError: a port can't be had.
        """
        while not self._load_certificate():
            # The operator makes it, and the kubelet brings it: neither has to be there before us.
            self._errors.warning("certificate", "waiting for tls.crt and tls.key in %s", self._directory)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), _LOOK_SECONDS)
                return
        https, http = web.Application(client_max_size=_MAX_BODY_BYTES), web.Application()
        https.router.add_post("/inject/{sidecar}/{namespace}/{name}", self._inject)
        https.router.add_get("/readyz", self._readyz)
        http.router.add_get("/healthz", self._healthz)
        http.router.add_get("/readyz", self._readyz)
        http.router.add_get("/metrics", self._metrics)
        runners = [web.AppRunner(application, access_log=None) for application in (https, http)]
        tasks: list[asyncio.Task[None]] = []
        try:
            for runner, port, context in zip(runners, (self._port, self._http_port), (self._context, None), strict=True):
                await runner.setup()
                site = web.TCPSite(runner, self._host, port, ssl_context=context, shutdown_timeout=_DRAIN_SECONDS)
                try:
                    await site.start()
                except OSError as error:
                    raise InjectorError(f"port {port} can't be had: {error.strerror or error}") from None
                self.addresses.append(runner.addresses[0][:2])
            _logger.info("listening: https %s, http %s", *self.addresses)
            tasks = [asyncio.create_task(self._watch.run()), asyncio.create_task(self._keep_certificate())]
            await stop.wait()
            self._stopping = True
        finally:
            for task in tasks:
                task.cancel()
            for runner in runners:
                await runner.cleanup()

    async def _inject(self, request: web.Request) -> web.Response:
        begin = time.perf_counter()
        try:
            question = read_question(await request.read())
        except BadReview as error:
            self.telemetry.admitted("bad_review", 0.0, dry_run=False)
            return web.Response(status=400, text=f"{error}\n")
        facts = replace(self._facts, native_sidecar=request.match_info["sidecar"] == "native")
        resources = self._inventory.resources(question.namespace)
        in_charge = next(iter(resources), None)
        if in_charge is None or in_charge.name != request.match_info["name"]:
            # Either it has just gone, or we have not heard of it yet.
            reply = answer(question, lambda _pod: _unknown())
        else:
            reply = answer(question, partial(mutate, namespace=question.namespace, resource=in_charge, facts=facts))
        self.telemetry.admitted(reply.result, time.perf_counter() - begin, dry_run=question.dry_run)
        if reply.result in ("error", "unsupported", "invalid_resource"):
            self._errors.warning(
                reply.result, "%s: a pod is left as it is: %s: %s", question.namespace, reply.result, reply.message
            )
        return web.json_response(reply.body)

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        problems = []
        if self._stopping:
            problems.append("stopping")
        if not self._watch.synced:
            problems.append("the resources are not known yet")
        if self._expires is None or self._expires - self._now() < _LEAST_VALIDITY:
            problems.append("the certificate ends within 24 h")
        return web.Response(status=503 if problems else 200, text=", ".join(problems or ["ok"]) + "\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self.telemetry.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})

    async def _keep_certificate(self) -> None:
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            self._load_certificate()

    def _load_certificate(self) -> bool:
        """Reads the files; what is new is used with the next connection. Whether there is a certificate."""
        certificate_path, key_path = self._directory / "tls.crt", self._directory / "tls.key"
        try:
            found = certificate_path.read_bytes(), key_path.read_bytes()
            if found == self._loaded:
                return True
            self._context.load_cert_chain(certificate_path, key_path)
        except (OSError, ssl.SSLError) as error:
            # Half of a change, perhaps: looked at again.
            if self._loaded is not None:
                self._errors.warning("certificate", "the certificate in %s can't be used: %s", self._directory, error)
            return self._loaded is not None
        self._loaded = found
        self._expires = expiry_of(found[0])
        return True


def _unknown() -> Mutation:
    return Mutation(None, "no_resource")
