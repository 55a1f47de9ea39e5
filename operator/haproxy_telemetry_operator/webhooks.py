"""The webhook's configuration, kept as it should be: one entry for each resource in charge, written as a whole.

It is the one object that all namespaces share, so there is one place that writes it.

API servers take a moment to honour a change of it ("a few seconds", says Kubernetes' documentation of admission webhooks), and the
injector one to hear of a resource: pods that were made anew within that moment would come as they were, and have to be made anew
once more. So a restart waits until entry and resource have been as they are for ``SETTLE_SECONDS``.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, NamedTuple

from .cluster import WEBHOOK_CONFIGURATIONS, Cluster
from .injection import Facts
from .inventory import Inventory
from .rendering import WEBHOOK_CONFIGURATION, render, webhook_configuration
from .rendering.webhook_configuration import entry_name, webhook_entry
from .resource import Spec, SpecProblem, TelemetryResource

__all__ = ["SETTLE_SECONDS", "Webhooks"]

SETTLE_SECONDS = 2.0
"""From the change of an entry to the first pod that may rely on it."""

ClientConfig = Callable[[], Awaitable[dict[str, Any] | str]]
"""How the API server reaches the injector; a sentence, if it can't yet."""


class _Known(NamedTuple):
    """What the API server and the injector have to know before a pod is made."""

    entry: dict[str, Any]
    generation: int
    """Of the resource."""
    since_seconds: float


class Webhooks:
    """Writes the configuration.

    Args:
        cluster: the connection.
        inventory: all resources.
        client_config: how API servers reach the injector.
        published: is told which bundle (base64) all entries have.
        clock_seconds: monotonic.
    """

    def __init__(
        self,
        cluster: Cluster,
        inventory: Inventory,
        client_config: ClientConfig,
        published: Callable[[str], None],
        clock_seconds: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._published = published
        self._inventory = inventory
        self._client_config = client_config
        self._lock = asyncio.Lock()
        self._clock_seconds = clock_seconds
        self._written: dict[str, Any] | None = None
        self._basis: tuple[Any, ...] = ()
        """What it was made of: of a thousand resources, most looks change none."""
        self._known: dict[str, _Known] = {}
        """By name of the entry."""
        self._removed: dict[str, float] = {}
        """By name: when an entry was taken out, until that is long ago."""
        self._specs: dict[tuple[str, str], tuple[tuple[str, int], Spec | None]] = {}
        """By resource: of which generation, and what it comes to."""
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
            entries = self._entries(config)
            body = webhook_configuration(entry for entry, _ in entries)
            if body != self._written:
                if body["webhooks"]:
                    await self._cluster.apply(WEBHOOK_CONFIGURATIONS, body)
                else:
                    await self._cluster.delete(WEBHOOK_CONFIGURATIONS, None, WEBHOOK_CONFIGURATION)
                self._written = body
            self._basis = basis
            self._published(config["caBundle"])
            self._note(entries)
            return None

    def unsettled_seconds(self, resource: TelemetryResource) -> float:
        """How long a restart for the sake of this resource has to wait."""
        name = entry_name(resource)
        since = self._known[name].since_seconds if name in self._known else self._removed.get(name)
        return 0.0 if since is None else max(0.0, since + SETTLE_SECONDS - self._clock_seconds())

    def _note(self, entries: Iterable[tuple[dict[str, Any], int]]) -> None:
        now, before, known = self._clock_seconds(), self._known, dict[str, _Known]()
        for entry, generation in entries:
            name = entry["name"]
            known[name] = _Known(entry, generation, now)
            if name in before and before[name][:2] == known[name][:2]:
                known[name] = before[name]
        gone = dict.fromkeys(before.keys() - known.keys(), now)
        self._removed = {name: at for name, at in self._removed.items() if now - at < SETTLE_SECONDS} | gone
        self._known = known

    async def _withdraw(self) -> None:
        """Without a certificate no entry can be made, but those of resources that go leave: their pods are to come as they were."""
        found = await self._cluster.get(WEBHOOK_CONFIGURATIONS, None, WEBHOOK_CONFIGURATION)
        entries = [] if found is None else found.get("webhooks") or []
        names = {entry["name"] for entry, _ in self._entries({"url": ""})}
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
        self._specs.clear()

    def _entries(self, config: dict[str, Any]) -> list[tuple[dict[str, Any], int]]:
        """Each with its resource's generation."""
        entries: list[tuple[dict[str, Any], int]] = []
        for namespace in self._inventory.namespaces():
            resource = self._inventory.resources(namespace)[0]
            spec = None if resource.deleting else self._spec(resource)
            if spec is not None and not spec.suspend and spec.target.type != "Manual":
                entry = webhook_entry(resource, spec, client_config=config, native_sidecar=self.facts.native_sidecar)
                entries.append((entry, resource.generation))
        return entries

    def _spec(self, resource: TelemetryResource) -> Spec | None:
        """Its spec, if it can be used: found out once."""
        key = (resource.uid, resource.generation)
        if self._specs.get(resource.key, (None, None))[0] != key:
            try:
                self._specs[resource.key] = key, render(resource).spec
            except SpecProblem:
                self._specs[resource.key] = key, None
        return self._specs[resource.key][1]
