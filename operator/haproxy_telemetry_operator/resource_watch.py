"""A watch over all resources, for the injector: it answers from memory, and has no other right than to look at them."""

import asyncio
import json
import logging
import time
from collections.abc import Mapping, Sequence
from typing import Any

import aiohttp

from .cluster import TELEMETRIES, ApiError, Cluster
from .inventory import Inventory

__all__ = ["ResourceWatch"]

_logger = logging.getLogger(__name__)
_WATCH_SECONDS = 240
_MAX_DELAY_SECONDS = 15.0
_GONE = 410


class ResourceWatch:
    """Lists, then watches, and starts again whenever that ends.

    Args:
        cluster: the connection.
        inventory: filled with resources.
        namespaces: those to look at; none: all.
    """

    def __init__(self, cluster: Cluster, inventory: Inventory, namespaces: Sequence[str] = ()) -> None:
        self._cluster = cluster
        self._inventory = inventory
        self._namespaces: Sequence[str | None] = namespaces or (None,)
        self._synced: set[str | None] = set()
        self.last_seen_seconds = 0.0
        """Monotonic: when the API server was last heard of."""

    @property
    def synced(self) -> bool:
        """Whether all that there was at the start is known."""
        return len(self._synced) == len(self._namespaces)

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for namespace in self._namespaces:
                tasks.create_task(self._follow(namespace))

    async def _follow(self, namespace: str | None) -> None:
        delay_seconds = 0.2
        while True:
            try:
                version = await self._list(namespace)
                delay_seconds = 0.2
                await self._watch(namespace, version)
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
                _logger.warning("resources can't be watched: %s", error or type(error).__name__)
                await asyncio.sleep(delay_seconds)
                delay_seconds = min(delay_seconds * 2, _MAX_DELAY_SECONDS)

    async def _list(self, namespace: str | None) -> str:
        items, version = await self._cluster.all_with_version(TELEMETRIES, namespace)
        names: dict[str, set[str]] = {}
        for body in items:
            names.setdefault(body["metadata"]["namespace"], set()).add(body["metadata"]["name"])
            self._inventory.see_resource(body)
        self._inventory.forget("resources", lambda where: names.get(where, ()), only=namespace)
        self._synced.add(namespace)
        self.last_seen_seconds = time.monotonic()
        return version

    async def _watch(self, namespace: str | None, version: str) -> None:
        async for line in self._cluster.watch(TELEMETRIES, namespace, version, seconds=_WATCH_SECONDS):
            self.last_seen_seconds = time.monotonic()
            event: Mapping[str, Any] = json.loads(line)
            kind, body = event["type"], event["object"]
            if kind == "ERROR":
                raise ApiError(int(body.get("code", 0)), str(body.get("message")))
            if kind != "BOOKMARK":
                self._inventory.see_resource(body, gone=kind == "DELETED")
