"""The agent as a whole: settings become objects, objects are wired, started, and ended in order.

Knows everybody; does nothing else.

The end has an order: no new questions, then the records of what was answered, while HAProxy has any and there is time, then their
export.
"""

import asyncio
import contextlib
import logging
import random
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .access_log import AccessLog
from .endpoint import Endpoint
from .endpoint_tls import make_endpoint_tls
from .exporters import SCOPE_NAME, describe_destinations, make_exporters, make_replacements
from .foreign_messages import ForeignMessages, make_minilanguage
from .listener import listen, unlink
from .log_telemetry import LogTelemetry
from .loop_lag import LoopLag
from .memory import MemoryGuard, read_rss_bytes, return_free_memory
from .parts import load_routes, make_parts
from .pipeline import Pipeline
from .record_server import RecordServer
from .request_metrics import RequestMetrics
from .resource import resource_attributes
from .settings import Change, Settings, compare_settings, duration_seconds
from .spop_server import SpopServer
from .telemetry import Telemetry
from .tracing import IdGenerator
from .version import VERSION
from .window import Window
from .worker import Worker

if TYPE_CHECKING:
    from .metrics_push import MetricsPush

__all__ = ["Service"]

_logger = logging.getLogger(__name__)

_ALONE = Worker()
_MEMORY_POLL_SECONDS = 0.25
_ROUTES_POLL_SECONDS = 2.0
_EXPIRE_SECONDS = 1.0
_EXPIRE_MORE_SECONDS = 0.01


class Service:
    """One agent. Must be made on a running event loop.

    Args:
        settings: checked settings.
        environ: where attributes of ``env`` are from.
        worker_restarts: how often the supervisor has restarted the agent.
        worker: which of several that share the addresses.

    Raises:
        SettingsError: a certificate, a header's file or the file of routes can't be loaded, or the addresses can't be shared.
    """

    def __init__(
        self, settings: Settings, environ: Mapping[str, str], *, worker_restarts: int = 0, worker: Worker = _ALONE
    ) -> None:
        self._settings = settings
        self._worker = worker
        self._addresses = worker.addresses(settings.listen)
        self._environ = environ
        self.telemetry = Telemetry(worker_restarts=worker_restarts)
        self._resource = resource_attributes(service_name=settings.resource.service_name, attributes=settings.resource.attributes)
        self.telemetry.describe_resource(self._resource)
        self._ids = IdGenerator(random.Random(random.SystemRandom().getrandbits(256)).getrandbits)  # noqa: S311 - ids, not secrets
        # Whoever writes it may come later than we do, and names of spans are no reason to have none.
        self._routes = load_routes(settings, tolerant=True)
        if self._routes is not None and self._routes.error is not None:
            _logger.error("spans.routesFile: %s; there are no routes until it can be used", self._routes.error)
            self.telemetry.routes_read(ok=False)
        parts = make_parts(settings, environ, ids=self._ids, routes=self._routes, extracts=self.telemetry.extracts)
        self._attributes = parts.attributes
        logs = self.telemetry.watch_logs() if settings.logs.enabled else None
        self._exporters = make_exporters(settings, self.telemetry.destination, logs, worker.own_path)
        self.telemetry.watch_queues(self._exporters.queues)
        self._memory = MemoryGuard(
            max_bytes=settings.limits.max_memory_bytes,
            read=read_rss_bytes,
            waiting=self._exporters.waiting,
            shed=self._exporters.shed,
            resume=self._exporters.resume,
            release=return_free_memory,
        )
        self.telemetry.watch_memory(self._memory)
        minilanguage = make_minilanguage(settings.minilanguage, sampler=parts.sampler, ids=self._ids)
        self.telemetry.watch_minilanguage(minilanguage)
        self._foreign = ForeignMessages(minilanguage=minilanguage, telemetry=self.telemetry, offer=self._exporters.offer)
        self._requests = self._make_request_metrics()
        self.window = Window(
            settings=lambda: self._settings,
            attributes=lambda: self._attributes,
            service_name=lambda: str(self._resource.get("service.name", "")),
            collect=self.telemetry.registry.collect,
            listening={name: getattr(self._addresses, name) for name in ("spop", "records", "http")},
        )
        self._foreign.recent = self.window.recent_if_wanted()
        self._pipeline = Pipeline(
            answerer=parts.answerer,
            tracer=parts.tracer,
            connection_tracer=parts.connection_tracer,
            foreign=self._foreign,
            telemetry=self.telemetry,
            offer=self._exporters.offer,
            asks=settings.profile != "Stream",
            requests=self._requests,
            access_log=self._make_access_log(logs),
            recent=self._foreign.recent,
        )
        limits = settings.limits
        self._spop_server = SpopServer(
            notify=self._pipeline.notify,
            telemetry=self.telemetry,
            max_connections=limits.max_connections,
            max_frame_size_bytes=limits.max_frame_size_bytes,
        )
        self._record_server = RecordServer(
            record=self._pipeline.record,
            telemetry=self.telemetry,
            max_connections=limits.max_connections,
            max_record_bytes=limits.max_record_bytes,
        )
        self._expiry: asyncio.TimerHandle | None = None
        self._listening = False
        self._watches: list[asyncio.Task[None]] = []
        self._push = self._make_push()
        self._loop_lag = LoopLag(asyncio.get_running_loop(), self.telemetry.loop_was_late)
        self._endpoint = Endpoint(
            telemetry=self.telemetry,
            ready=lambda: self._listening,
            requests=self._requests,
            tls=make_endpoint_tls(settings.listen.http_tls),
            debug=self.window.pages,
        )

    async def start(self) -> None:
        """Listen on all three addresses.

        Raises:
            ListenError: one of them can't be had; none is kept then.
        """
        addresses, shared = self._addresses, self._worker.shares
        with contextlib.ExitStack() as opened:

            def open_one(setting: str, address: str, *, shared: bool = False) -> socket.socket:
                listening = opened.enter_context(contextlib.closing(listen(setting, address, shared=shared)))
                opened.callback(unlink, address)
                return listening

            spop = open_one("listen.spop", addresses.spop, shared=shared)
            records = open_one("listen.records", addresses.records, shared=shared)
            http = open_one("listen.http", addresses.http)
            opened.pop_all()
        self._exporters.start()
        await self._record_server.start(records)
        await self._spop_server.start(spop)
        self._expire()
        self._loop_lag.start()
        self.window.start()
        if self._push is not None:
            self._push.start()
        self._listening = True
        await self._endpoint.start(http)
        self.telemetry.configured()
        self._watches = [asyncio.create_task(self._watch_routes()), asyncio.create_task(self._watch_memory())]
        _logger.info(
            "listening: spop %s, records %s, http %s; exporting to %s",
            addresses.spop,
            addresses.records,
            addresses.http,
            describe_destinations(self._settings),
        )

    def apply(self, wanted: Settings) -> Change:
        """Take changed settings, all that can be taken now or none; also reads certificates again.

        Raises:
            SettingsError: a certificate or the file of routes can't be loaded; all goes on as before.
        """
        change = compare_settings(self._settings, wanted)
        settings = change.effective
        same_file = settings.spans.routes_file == self._settings.spans.routes_file
        routes = self._routes if same_file else load_routes(settings)
        parts = make_parts(settings, self._environ, ids=self._ids, routes=routes, extracts=self.telemetry.extracts)
        replacements = make_replacements(settings)
        # From here on nothing can fail.
        self._settings, self._routes, self._attributes = settings, routes, parts.attributes
        self._pipeline.replace(
            answerer=parts.answerer,
            tracer=parts.tracer,
            connection_tracer=parts.connection_tracer,
            asks=settings.profile != "Stream",
        )
        self._resource = resource_attributes(service_name=settings.resource.service_name, attributes=settings.resource.attributes)
        self.telemetry.describe_resource(self._resource)
        self._foreign.replace_sampler(parts.sampler)
        self._foreign.recent = self._pipeline.recent = self.window.recent_if_wanted()
        self._exporters.replace(replacements)
        if self._requests is not None:
            self._requests.attributes = parts.attributes
        return change

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

    async def _watch_routes(self) -> None:
        while True:
            await asyncio.sleep(_ROUTES_POLL_SECONDS)
            self.reload_routes()

    async def _watch_memory(self) -> None:
        while True:
            await asyncio.sleep(_MEMORY_POLL_SECONDS)
            self._memory.check()

    async def stop(self) -> None:
        """End in order, within ``shutdownTimeout``."""
        timeout_seconds = duration_seconds(self._settings.shutdown_timeout)
        loop = asyncio.get_running_loop()
        deadline_seconds = loop.time() + timeout_seconds
        self._listening = False
        self._spop_server.close()
        if self._expiry is not None:
            self._expiry.cancel()
        # Half of the time is the export's.
        drain_seconds = min(duration_seconds(self._settings.drain_timeout), timeout_seconds / 2)
        await self._record_server.wait_until_left(drain_seconds)
        self._loop_lag.stop()
        self.window.stop()
        self._foreign.close()
        await self._record_server.close()
        for watch in self._watches:
            watch.cancel()
        left_seconds = max(deadline_seconds - loop.time(), 0.1)
        closing = [self._exporters.close(left_seconds)]
        if self._push is not None:
            closing.append(self._push.close(left_seconds))
        await asyncio.gather(*closing)
        await self._endpoint.close()
        addresses = self._addresses
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

    def _make_access_log(self, telemetry: LogTelemetry | None) -> AccessLog | None:
        offer = self._exporters.offer_log_record
        return None if telemetry is None or offer is None else AccessLog(offer=offer, telemetry=telemetry)

    def _make_push(self) -> "MetricsPush | None":
        push = self._settings.metrics.push
        if not push.enabled:
            return None
        # Imported here: who does not push does without the SDK's exporter and its HTTP client.
        from .metrics_push import MetricsPush, make_exporter  # noqa: PLC0415

        return MetricsPush(
            exporter=make_exporter(push, self._settings.exporter),
            telemetry=self.telemetry,
            requests=self._requests,
            # A stream of metrics has one writer: workers must not look like one.
            resource=self._resource | ({"haproxy_telemetry.worker": self._worker.number} if self._worker.shares else {}),
            scope=(SCOPE_NAME, VERSION),
            interval_seconds=duration_seconds(push.interval),
        )
