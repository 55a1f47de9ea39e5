"""The webhook's configuration as a whole, and how long a restart waits for it. The API server is a list of what it was asked."""

from collections.abc import Mapping
from typing import Any

import pytest

from haproxy_telemetry_operator.cluster import Kind
from haproxy_telemetry_operator.inventory import Inventory
from haproxy_telemetry_operator.webhooks import SETTLE_SECONDS, Webhooks


class Calls:
    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []
        self.deleted: list[str] = []

    async def apply(self, _kind: Kind, body: Mapping[str, Any]) -> None:
        self.applied.append(dict(body))

    async def delete(self, _kind: Kind, _namespace: str | None, name: str) -> None:
        self.deleted.append(name)


class Bench:
    def __init__(self) -> None:
        self.calls = Calls()
        self.inventory = Inventory()
        self.now = 1000.0
        self.config: dict[str, Any] | str = {"url": "https://injector:9443", "caBundle": "eA=="}
        self.webhooks = Webhooks(self.calls, self.inventory, self._client_config, lambda: self.now)  # type: ignore[arg-type]

    async def _client_config(self) -> dict[str, Any] | str:
        return self.config

    def see(self, namespace: str = "edge", *, generation: int = 1, deleted: bool = False, gone: bool = False, **spec: Any) -> None:
        metadata: dict[str, Any] = {"namespace": namespace, "name": "traces", "uid": namespace, "generation": generation}
        if deleted:
            metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
        body = {"metadata": metadata, "spec": {"exporter": {"endpoint": "http://otelcol:4318"}} | spec}
        self.inventory.see_resource(body, gone=gone)
        self.resource = self.inventory.resources(namespace)[0] if not gone else self.resource

    def names(self) -> list[str]:
        return [entry["name"] for entry in self.calls.applied[-1]["webhooks"]]

    def wait_seconds(self) -> float:
        return self.webhooks.unsettled_seconds(self.resource)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def test_each_resource_in_charge_has_an_entry(bench: Bench) -> None:
    bench.see("a")
    bench.see("b")
    assert await bench.webhooks.update() is None
    assert bench.names() == ["traces.a.haproxy-telemetry.io", "traces.b.haproxy-telemetry.io"]
    await bench.webhooks.update()
    assert len(bench.calls.applied) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"suspend": True},
        {"target": {"type": "Manual"}},
        {"deleted": True},
        {"gone": True},
        {"spans": {"peerService": True, "servicePeerName": "Off"}},
        {"spans": {"peerService": "of no such type"}},
    ],
    ids=repr,
)
async def test_nobody_is_asked_for_a_resource_that_changes_no_pod(bench: Bench, change: dict[str, Any]) -> None:
    bench.see()
    await bench.webhooks.update()
    bench.see(generation=2, **change)
    await bench.webhooks.update()
    assert bench.calls.deleted == ["haproxy-telemetry"]


async def test_without_an_injector_nothing_is_written(bench: Bench) -> None:
    bench.see()
    bench.config = "there is no certificate yet"
    assert await bench.webhooks.update() == "there is no certificate yet"
    assert bench.calls.applied == []


async def test_what_others_have_changed_is_written_again(bench: Bench) -> None:
    bench.see()
    await bench.webhooks.update()
    bench.webhooks.forget()
    bench.now += 10
    await bench.webhooks.update()
    assert len(bench.calls.applied) == 2
    assert bench.wait_seconds() == 0.0


async def test_a_restart_waits_for_a_new_entry_and_no_longer(bench: Bench) -> None:
    bench.see()
    await bench.webhooks.update()
    assert bench.wait_seconds() == SETTLE_SECONDS
    bench.now += 0.5
    bench.see("other")
    bench.see()
    await bench.webhooks.update()
    assert bench.wait_seconds() == SETTLE_SECONDS - 0.5
    bench.now += SETTLE_SECONDS
    assert bench.wait_seconds() == 0.0


async def test_a_restart_waits_until_injectors_know_of_an_edit(bench: Bench) -> None:
    bench.see()
    await bench.webhooks.update()
    bench.now += 60
    bench.see(generation=2)
    await bench.webhooks.update()
    assert len(bench.calls.applied) == 1
    assert bench.wait_seconds() == SETTLE_SECONDS


async def test_the_way_back_waits_until_nobody_is_asked(bench: Bench) -> None:
    bench.see()
    await bench.webhooks.update()
    bench.now += 60
    bench.see(deleted=True)
    await bench.webhooks.update()
    assert bench.wait_seconds() == SETTLE_SECONDS
    bench.now += SETTLE_SECONDS
    await bench.webhooks.update()
    assert bench.wait_seconds() == 0.0
