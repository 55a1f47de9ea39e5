"""The operator as a whole: the parts put together, started and ended in order.

Watches are Kopf's: each event goes into the inventory, and its namespace into the queue. The inventory is filled from lists before
the first look, and again at every resync, so that a lost event is made good.
"""

import asyncio
import base64
import contextlib
import logging
import re
import time
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from .certificate_keeper import CertificateKeeper
from .cluster import CONFIG_MAPS, INGRESSES, NODES, PODS, TELEMETRIES, WORKLOADS, ApiError, Cluster, Kind
from .injection import Facts
from .injector_probe import InjectorProbe
from .inventory import Inventory
from .names import FIELD_MANAGER
from .own_traces import OwnTraces
from .reconciliation import Reconciler
from .settings import OperatorSettings
from .telemetry import OperatorTelemetry
from .webhooks import Webhooks
from .work_queue import WorkQueue

__all__ = ["HEARTBEAT", "OperatorService"]

_logger = logging.getLogger(__name__)
HEARTBEAT = "haproxy-telemetry-operator-heartbeat"
"""A ConfigMap in the operator's own namespace: written now and then, so that a watch which tells of nothing is known to be dead."""
_HEARTBEAT_SECONDS = 30.0
_DEAD_WATCH_SECONDS = 180.0
_CERTIFICATE_SECONDS = 60.0
_RESYNC_SECONDS = 600.0
_NATIVE_SINCE = (1, 29)
_VERSION = re.compile(r"v?(\d+)\.(\d+)")


class OperatorService:
    """Starts and ends; ``see`` is where Kopf's events come in."""

    def __init__(self, settings: OperatorSettings, cluster: Cluster, traces: OwnTraces) -> None:
        self.settings = settings
        self._cluster = cluster
        self._inventory = Inventory()
        self._keeper = CertificateKeeper(cluster, settings, _now)
        self._webhooks = Webhooks(cluster, self._inventory, self._keeper.client_config, self._bundle_published)
        url = settings.injector_url or f"https://{settings.injector_service}.{settings.own_namespace}.svc:{settings.injector_port}"
        self._reconciler = Reconciler(
            cluster,
            self._inventory,
            self._webhooks,
            settings,
            _now,
            injector_problem=InjectorProbe(url, lambda: self._keeper.bundle).problem,
        )
        self._heard_seconds = time.monotonic()
        self.telemetry = OperatorTelemetry(
            self._inventory,
            expires=lambda: self._keeper.expires,
            watch_age_seconds=lambda: time.monotonic() - self._heard_seconds,
            api_calls=lambda: cluster.calls,
        )
        self._queue = WorkQueue(self._reconciler.reconcile, self.telemetry, traces)
        self._tasks: list[asyncio.Task[None]] = []
        self._runner: web.AppRunner | None = None
        self._synced = False

    def _bundle_published(self, bundle: str) -> None:
        self._keeper.published = base64.b64decode(bundle)

    @property
    def alive(self) -> bool:
        """Whether watches still tell of anything."""
        return time.monotonic() - self._heard_seconds < _DEAD_WATCH_SECONDS

    async def start(self) -> None:
        """Listens, fills the inventory, and begins to look. It may be called again if it failed.

        Raises:
            ApiError: the API server can't be asked.
        """
        if self._runner is None:
            await self._listen()
        await self._learn_facts()
        if self.settings.manage_certificates:
            await self._keeper.look()
        await self._resync()
        self._synced = True
        self._tasks = [
            asyncio.create_task(self._queue.run()),
            asyncio.create_task(_every(_HEARTBEAT_SECONDS, self._beat)),
            asyncio.create_task(_every(_CERTIFICATE_SECONDS, self._look_at_certificate)),
            asyncio.create_task(_every(_RESYNC_SECONDS, self._resync)),
        ]

    async def stop(self) -> None:
        """Ends what it began; nothing in the cluster changes by it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._reconciler.close()
        if self._runner is not None:
            await self._runner.cleanup()
        await self._cluster.close()

    def see(self, kind: str, body: Mapping[str, Any], *, gone: bool) -> None:
        """An event of a watch; ``kind`` is that of the object."""
        self.telemetry.watched(kind)
        namespace, name = body["metadata"].get("namespace", ""), body["metadata"]["name"]
        inventory = self._inventory
        match kind:
            case "HAProxyTelemetry":
                if inventory.see_resource(body, gone=gone):
                    self._queue.add(namespace)
                return
            case "Pod":
                changed = inventory.see_pod(body, gone=gone)
            case "Ingress":
                if inventory.see_ingress(body, gone=gone):
                    for other in inventory.namespaces():
                        self._queue.add(other, 2.0)
                return
            case "ConfigMap":
                if name == HEARTBEAT and namespace == self.settings.own_namespace:
                    self._heard_seconds = time.monotonic()
                changed = bool(inventory.resources(namespace)) and _is_of_interest(body)
                if changed:
                    self._reconciler.forget_applied(namespace, name)
            case _:
                changed = inventory.see_workload(kind, body, gone=gone)
        if changed and inventory.resources(namespace):
            self._queue.add(namespace)

    async def _resync(self) -> None:
        """Lists everything, and looks at every namespace."""
        namespaces: tuple[str | None, ...] = self.settings.namespaces or (None,)
        for namespace in namespaces:
            await self._list(TELEMETRIES, "resources", "HAProxyTelemetry", namespace)
            await self._list(PODS, "pods", "Pod", namespace)
            await self._list(INGRESSES, "ingresses", "Ingress", namespace)
            workloads: set[tuple[str, str, str]] = set()
            for kind, where in WORKLOADS.items():
                for body in await self._cluster.all(where, namespace):
                    self._inventory.see_workload(kind, body)
                    workloads.add((body["metadata"]["namespace"], kind, body["metadata"]["name"]))
            by_namespace: dict[str, set[tuple[str, str]]] = {}
            for space, kind, name in workloads:
                by_namespace.setdefault(space, set()).add((kind, name))
            self._inventory.forget("workloads", lambda space, found=by_namespace: found.get(space, ()), only=namespace)  # type: ignore[misc]
        self._reconciler.forget_applied()
        self._webhooks.forget()
        await self._learn_facts()
        for space in self._inventory.namespaces():
            self._queue.add(space)
        if not self._inventory.namespaces():
            self._queue.add(self.settings.own_namespace)

    async def _list(self, where: Kind, store: str, kind: str, namespace: str | None) -> None:
        names: dict[str, set[str]] = {}
        for body in await self._cluster.all(where, namespace):
            names.setdefault(body["metadata"]["namespace"], set()).add(body["metadata"]["name"])
            match kind:
                case "HAProxyTelemetry":
                    self._inventory.see_resource(body)
                case "Pod":
                    self._inventory.see_pod(body)
                case _:
                    self._inventory.see_ingress(body)
        self._inventory.forget(store, lambda space: names.get(space, ()), only=namespace)

    async def _learn_facts(self) -> None:
        """Whether all nodes know init containers that stay. With no right to look at nodes, the API server's version tells."""
        versions = [await self._cluster.version()]
        with contextlib.suppress(ApiError):
            versions += [node["status"]["nodeInfo"]["kubeletVersion"] for node in await self._cluster.all(NODES)]
        native = all(
            (match := _VERSION.match(version)) is not None and (int(match[1]), int(match[2])) >= _NATIVE_SINCE
            for version in versions
        )
        facts = Facts(self.settings.image, self.settings.image_pull_policy, native, self.settings.set_user)
        self._reconciler.facts = self._webhooks.facts = replace(facts)

    async def _look_at_certificate(self) -> None:
        await self._keeper.look()
        await self._webhooks.update()

    async def _beat(self) -> None:
        await self._cluster.apply(
            CONFIG_MAPS,
            {
                "apiVersion": "v1",
                "kind": "ConfigMap",
                "metadata": {
                    "name": HEARTBEAT,
                    "namespace": self.settings.own_namespace,
                    "labels": {"app.kubernetes.io/managed-by": FIELD_MANAGER},
                },
                "data": {"at": _now().isoformat(timespec="seconds")},
            },
        )

    async def _listen(self) -> None:
        application = web.Application()
        application.router.add_get("/healthz", self._healthz)
        application.router.add_get("/readyz", self._readyz)
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, None, self.settings.http_port).start()

    async def _healthz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self.alive else web.Response(status=503, text="watches tell of nothing\n")

    async def _readyz(self, _request: web.Request) -> web.Response:
        return web.Response(text="ok\n") if self._synced else web.Response(status=503, text="objects are being listed\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        body, content_type = self.telemetry.exposition(request.headers.get("Accept", ""))
        return web.Response(body=body, headers={"Content-Type": content_type})


def _is_of_interest(body: Mapping[str, Any]) -> bool:
    """Not the leases and clocks that some keep in ConfigMaps."""
    return "control-plane.alpha.kubernetes.io/leader" not in (body["metadata"].get("annotations") or {})


def _now() -> datetime:
    return datetime.now(UTC)


async def _every(seconds: float, act: Any) -> None:
    while True:
        try:
            await act()
        except ApiError as error:
            _logger.warning("%s", error)
        await asyncio.sleep(seconds)
