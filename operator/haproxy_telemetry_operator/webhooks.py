"""The webhook's configuration, kept as it should be: one entry for each resource in charge, written as a whole.

It is the one object that all namespaces share, so there is one place that writes it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from .cluster import WEBHOOK_CONFIGURATIONS, Cluster
from .injection import Facts
from .inventory import Inventory
from .rendering import WEBHOOK_CONFIGURATION, webhook_configuration
from .rendering.webhook_configuration import webhook_entry
from .resource import SpecProblem

__all__ = ["Webhooks"]

ClientConfig = Callable[[], Awaitable[dict[str, Any] | str]]
"""How the API server reaches the injector; a sentence, if it can't yet."""


class Webhooks:
    """Writes the configuration.

    Args:
        cluster: the connection.
        inventory: all resources.
        client_config: how API servers reach the injector.
        published: is told which bundle (base64) all entries have.
    """

    def __init__(
        self, cluster: Cluster, inventory: Inventory, client_config: ClientConfig, published: Callable[[str], None]
    ) -> None:
        self._cluster = cluster
        self._published = published
        self._inventory = inventory
        self._client_config = client_config
        self._lock = asyncio.Lock()
        self._written: dict[str, Any] | None = None
        self._basis: tuple[Any, ...] = ()
        """What it was made of: of a thousand resources, most looks change none."""
        self.facts = Facts(image="")

    async def update(self) -> str | None:
        """Writes it, if it is another one than before; returns why pods can't be injected yet, or None.

        Raises:
            ApiError: the API server can't be asked.
        """
        async with self._lock:
            config = await self._client_config()
            if isinstance(config, str):
                await self._withdraw()
                return config
            basis = (self._inventory.resource_changes, self.facts.native_sidecar, config["caBundle"])
            if self._written is not None and basis == self._basis:
                return None
            body = webhook_configuration(self._entries(config))
            if body != self._written:
                if body["webhooks"]:
                    await self._cluster.apply(WEBHOOK_CONFIGURATIONS, body)
                else:
                    await self._cluster.delete(WEBHOOK_CONFIGURATIONS, None, WEBHOOK_CONFIGURATION)
                self._written = body
            self._basis = basis
            self._published(config["caBundle"])
            return None

    async def _withdraw(self) -> None:
        """Without a certificate no entry can be made, but those of resources that go leave: their pods are to come as they were."""
        found = await self._cluster.get(WEBHOOK_CONFIGURATIONS, None, WEBHOOK_CONFIGURATION)
        entries = [] if found is None else found.get("webhooks") or []
        names = {entry["name"] for entry in self._entries({"url": ""})}
        left = [entry for entry in entries if entry["name"] in names]
        if len(left) == len(entries):
            return
        self._written = None
        if left:
            await self._cluster.apply(WEBHOOK_CONFIGURATIONS, webhook_configuration(left))
        else:
            await self._cluster.delete(WEBHOOK_CONFIGURATIONS, None, WEBHOOK_CONFIGURATION)

    def forget(self) -> None:
        """At a resync: what somebody else has changed is written again."""
        self._written = None

    def _entries(self, config: dict[str, Any]) -> list[dict[str, Any]]:
        entries: list[dict[str, Any]] = []
        for namespace in self._inventory.namespaces():
            resource = self._inventory.resources(namespace)[0]
            if resource.deleting:
                continue
            try:
                spec = resource.spec()
            except SpecProblem:
                continue
            if not spec.suspend and spec.target.type != "Manual":
                entries.append(webhook_entry(resource, spec, client_config=config, native_sidecar=self.facts.native_sidecar))
        return entries
