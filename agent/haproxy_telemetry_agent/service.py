"""The agent as a whole: settings become objects, objects are wired, started, and ended in order.

Knows everybody; does nothing else.

The end has an order: no new questions, then the records of what was answered, then their export.
"""

import asyncio
import contextlib
import logging
import random
import socket
import ssl
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from .content import make_attribute_builder, make_limits
from .endpoint import Endpoint
from .export import Backoff, BatchPolicy, Exporter, SpanQueue, encode_resource, encode_scope
from .export.otlp_http import OtlpHttpTransport
from .foreign_messages import ForeignMessages, make_minilanguage
from .listener import listen, unlink
from .loop_lag import LoopLag
from .pipeline import Pipeline
from .record_server import RecordServer
from .request_metrics import RequestMetrics
from .resource import resource_attributes
from .route_file import RouteFile
from .samplers import make_excluder, make_keeper, make_sampler
from .settings import Settings, SettingsError, duration_seconds
from .spop_server import SpopServer
from .telemetry import Telemetry
from .tracing import (
    Answerer,
    ConnectionTracer,
    ExchangeTracer,
    IdGenerator,
    Propagation,
    RoutesError,
)
from .tracing.semconv import SCHEMA_URL
from .version import VERSION

if TYPE_CHECKING:
    from .metrics_push import MetricsPush

__all__ = ["Service"]

_logger = logging.getLogger(__name__)

_ROUTES_POLL_SECONDS = 2.0
SCOPE_NAME = "haproxy-telemetry-agent"
_EXPIRE_SECONDS = 1.0
_EXPIRE_MORE_SECONDS = 0.01


class Service:
    """One agent. Must be made on a running event loop.

    Args:
        settings: checked settings.
        environ: where attributes of ``env`` are from.

    Raises:
        SettingsError: a certificate or the file of routes can't be loaded.
    """

    def __init__(self, settings: Settings, environ: Mapping[str, str]) -> None:
        self._settings = settings
        self.telemetry = Telemetry()
        self._resource = resource_attributes(service_name=settings.resource.service_name, attributes=settings.resource.attributes)
        self.telemetry.describe_resource(self._resource)
        sampler = make_sampler(settings.sampling)
        self._routes = None if settings.spans.routes_file is None else RouteFile(Path(settings.spans.routes_file))
        self._attributes = make_attribute_builder(settings.spans, environ)
        self._load_routes()
        ids = IdGenerator(random.Random(random.SystemRandom().getrandbits(256)).getrandbits)  # noqa: S311 - ids, not secrets
        self._exporter = self._make_exporter()
        minilanguage = make_minilanguage(settings.minilanguage, sampler=sampler, ids=ids)
        self.telemetry.watch_minilanguage(minilanguage)
        self._foreign = ForeignMessages(minilanguage=minilanguage, telemetry=self.telemetry, offer=self._exporter.offer)
        propagation = settings.propagation
        requests = self._make_request_metrics()
        pipeline = Pipeline(
            answerer=Answerer(
                sampler=sampler,
                ids=ids,
                propagation=Propagation(
                    propagation.propagators,
                    mode=propagation.mode,
                    trusted_networks=propagation.trusted_networks,
                    link_untrusted=propagation.link_untrusted,
                ),
                excluder=make_excluder(settings.sampling),
                baggage_keys=propagation.baggage_attributes,
            ),
            tracer=ExchangeTracer(
                sampler=sampler,
                ids=ids,
                attributes=self._attributes,
                profile=settings.profile,
                keeper=make_keeper(settings.sampling),
                limits=make_limits(settings.spans),
                baggage_keys=propagation.baggage_attributes,
            ),
            connection_tracer=ConnectionTracer(sampler=sampler, limits=make_limits(settings.spans)),
            foreign=self._foreign,
            telemetry=self.telemetry,
            offer=self._exporter.offer,
            asks=settings.profile != "Stream",
            requests=requests,
        )
        limits = settings.limits
        self._spop_server = SpopServer(
            notify=pipeline.notify,
            telemetry=self.telemetry,
            max_connections=limits.max_connections,
            max_frame_size_bytes=limits.max_frame_size_bytes,
        )
        self._record_server = RecordServer(
            record=pipeline.record,
            telemetry=self.telemetry,
            max_connections=limits.max_connections,
            max_record_bytes=limits.max_record_bytes,
        )
        self._expiry: asyncio.TimerHandle | None = None
        self._listening = False
        self._watch: asyncio.Task[None] | None = None
        self._push = self._make_push(requests)
        self._loop_lag = LoopLag(asyncio.get_running_loop(), self.telemetry.loop_was_late)
        self._endpoint = Endpoint(registry=self.telemetry.registry, ready=lambda: self._listening, requests=requests)

    async def start(self) -> None:
        """Listen on all three addresses.

        Raises:
            ListenError: one of them can't be had; none is kept then.
        """
        addresses = self._settings.listen
        with contextlib.ExitStack() as opened:

            def open_one(setting: str, address: str) -> socket.socket:
                listening = opened.enter_context(contextlib.closing(listen(setting, address)))
                opened.callback(unlink, address)
                return listening

            spop = open_one("listen.spop", addresses.spop)
            records = open_one("listen.records", addresses.records)
            http = open_one("listen.http", addresses.http)
            opened.pop_all()
        self._exporter.start()
        await self._record_server.start(records)
        await self._spop_server.start(spop)
        self._expire()
        self._loop_lag.start()
        if self._push is not None:
            self._push.start()
        self._listening = True
        await self._endpoint.start(http)
        if self._routes is not None:
            self._watch = asyncio.create_task(self._watch_routes())
        _logger.info(
            "listening: spop %s, records %s, http %s; exporting to %s",
            addresses.spop,
            addresses.records,
            addresses.http,
            traces_url(self._settings),
        )

    def reload_routes(self) -> None:
        """Look whether the file of routes is another one; one that can't be used is refused, and the old routes stay."""
        if self._routes is None or not self._routes.poll():
            return
        if self._routes.error is not None:
            _logger.error("spans.routesFile: %s; the routes stay as they were", self._routes.error)
        else:
            self._attributes.routes = self._routes.table
            _logger.info("spans.routesFile: read again")
        self.telemetry.routes_read(ok=self._routes.error is None)

    def _load_routes(self) -> None:
        if self._routes is None:
            return
        try:
            self._routes.load()
        except RoutesError as error:
            raise SettingsError(f"spans.routesFile: {error}") from None
        self._attributes.routes = self._routes.table

    async def _watch_routes(self) -> None:
        while True:
            await asyncio.sleep(_ROUTES_POLL_SECONDS)
            self.reload_routes()

    async def stop(self) -> None:
        """End in order, within ``shutdownTimeout``."""
        timeout_seconds = duration_seconds(self._settings.shutdown_timeout)
        loop = asyncio.get_running_loop()
        deadline_seconds = loop.time() + timeout_seconds
        self._listening = False
        if self._watch is not None:
            self._watch.cancel()
        self._spop_server.close()
        if self._expiry is not None:
            self._expiry.cancel()
        self._loop_lag.stop()
        self._foreign.close()
        await self._record_server.close()
        closing = [self._exporter.close(max(deadline_seconds - loop.time(), 0.1))]
        if self._push is not None:
            closing.append(self._push.close(max(deadline_seconds - loop.time(), 0.1)))
        await asyncio.gather(*closing)
        await self._endpoint.close()
        addresses = self._settings.listen
        for address in (addresses.spop, addresses.records, addresses.http):
            unlink(address)
        _logger.info("stopped")

    def _expire(self) -> None:
        more = self._foreign.expire()
        self._expiry = asyncio.get_running_loop().call_later(_EXPIRE_MORE_SECONDS if more else _EXPIRE_SECONDS, self._expire)

    def _make_request_metrics(self) -> RequestMetrics | None:
        metrics = self._settings.metrics
        if not metrics.requests:
            return None
        requests = RequestMetrics(
            attributes=self._attributes,
            labels=metrics.labels,
            max_series=metrics.max_series,
            exemplars=metrics.exemplars,
            excluded_requests=metrics.excluded_requests,
        )
        self.telemetry.watch_requests(requests)
        return requests

    def _make_push(self, requests: RequestMetrics | None) -> "MetricsPush | None":
        settings = self._settings
        push = settings.metrics.push
        if not push.enabled:
            return None
        # Imported here: who does not push does without the SDK's exporter and its HTTP client.
        from .metrics_push import MetricsPush, make_exporter  # noqa: PLC0415

        url = push.endpoint or settings.exporter.endpoint.rstrip("/") + "/v1/metrics"
        return MetricsPush(
            exporter=make_exporter(url=url, settings=settings.exporter),
            telemetry=self.telemetry,
            requests=requests,
            resource=self._resource,
            scope=(SCOPE_NAME, VERSION),
            interval_seconds=duration_seconds(push.interval),
        )

    def _make_exporter(self) -> Exporter:
        settings = self._settings.exporter
        batch = settings.batch
        queue = SpanQueue(max_spans=batch.max_queue_spans, max_bytes=batch.max_queue_bytes)
        self.telemetry.watch_queue(queue)
        return Exporter(
            transport=OtlpHttpTransport(
                url=traces_url(self._settings),
                headers={header.name: header.value for header in settings.headers},
                timeout_seconds=duration_seconds(settings.timeout),
                gzip=settings.compression == "gzip",
                tls=make_tls(self._settings),
                resource=encode_resource(self._resource),
                scope=encode_scope(SCOPE_NAME, VERSION),
                schema_url=SCHEMA_URL,
                user_agent=f"{SCOPE_NAME}/{VERSION}",
            ),
            queue=queue,
            policy=BatchPolicy(batch.max_batch_spans, duration_seconds(batch.delay), duration_seconds(batch.retry)),
            backoff=Backoff(random=random.random),
            observer=self.telemetry,
        )


def make_tls(settings: Settings) -> ssl.SSLContext | None:
    """The TLS context of the exporter, or None for the system's defaults.

    Raises:
        SettingsError: a file can't be used.
    """
    tls = settings.exporter.tls
    if tls.ca_file is None and tls.certificate_file is None and not tls.insecure_skip_verify:
        return None
    try:
        context = ssl.create_default_context(cafile=tls.ca_file)
    except OSError as error:
        raise SettingsError(f"exporter.tls.caFile: {tls.ca_file!r}: can't be used: {error.strerror or error}") from None
    if tls.insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if tls.certificate_file is not None:
        try:
            context.load_cert_chain(tls.certificate_file, tls.key_file)
        except OSError as error:
            raise SettingsError(
                f"exporter.tls.certificateFile: {tls.certificate_file!r} with keyFile {tls.key_file!r}: "
                f"can't be used: {error.strerror or error}"
            ) from None
    return context


def traces_url(settings: Settings) -> str:
    """The URL that batches are posted to: ``tracesEndpoint`` as it is, or ``endpoint`` with ``/v1/traces``."""
    exporter = settings.exporter
    return exporter.traces_endpoint or exporter.endpoint.rstrip("/") + "/v1/traces"


def describe(settings: Settings, sources: dict[str, str]) -> Iterable[str]:
    """What differs from the defaults and where it is from, for the start-up log; values of headers are not shown."""
    for field, source in sorted(sources.items()):
        if not field.startswith("exporter.headers"):
            yield f"{field} from {source}"
    for header in settings.exporter.headers:
        yield f"header {header.name} (value not shown)"
