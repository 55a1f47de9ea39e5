"""The one webhook configuration of a cluster, with an entry for each resource in charge."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from haproxy_telemetry_operator.cluster import WEBHOOK_CONFIGURATIONS, ApiError, Kind
from haproxy_telemetry_operator.injection import Facts
from haproxy_telemetry_operator.inventory import Inventory
from haproxy_telemetry_operator.webhooks import SETTLE_SECONDS, Webhooks
from support.cluster_objects import telemetry_body
from support.fake_cluster import FakeCluster

NAME = "haproxy-telemetry"
WRITE = f"PATCH mutatingwebhookconfigurations/{NAME}"


class Case:
    def __init__(self) -> None:
        self.cluster = FakeCluster()
        self.generation = 0
        self.inventory = Inventory()
        self.config: dict[str, Any] | str = {"service": {"name": "injector", "namespace": "telemetry"}, "caBundle": "QQ=="}
        self.published: list[str] = []
        self.webhooks = Webhooks(self.cluster, self.inventory, self._client_config, self.published.append)

    async def _client_config(self) -> dict[str, Any] | str:
        await asyncio.sleep(0)
        return self.config

    def see(self, namespace: str, name: str = "edge", *, gone: bool = False, spec: Any = None, **metadata: Any) -> None:
        # Whatever is changed is of another generation.
        self.generation += 1
        body = telemetry_body(spec, namespace=namespace, name=name, **{"generation": self.generation, **metadata})
        self.inventory.see_resource(body, gone=gone)

    @property
    def entries(self) -> list[str] | None:
        found = self.cluster.find(WEBHOOK_CONFIGURATIONS, "", NAME)
        return None if found is None else [entry["name"].removesuffix(".haproxy-telemetry.io") for entry in found["webhooks"]]


@pytest.fixture
def case() -> Case:
    return Case()


async def test_an_entry_for_each_namespace_written_once(case: Case) -> None:
    case.see("shop")
    case.see("bank")
    case.see("shop", "younger", creationTimestamp="2026-02-01T00:00:00Z")
    assert await case.webhooks.update() is None
    assert case.entries == ["edge.bank", "edge.shop"]
    assert case.cluster.writes() == [WRITE]
    await asyncio.gather(*(case.webhooks.update() for _ in range(5)))
    case.see("shop", labels={"of": "no matter"})
    await case.webhooks.update()
    case.see("shop", generation=2)
    await case.webhooks.update()
    assert case.cluster.writes() == []
    assert set(case.published) == {"QQ=="}


@pytest.mark.parametrize(
    "change",
    [
        {"gone": True},
        {"deletionTimestamp": "2026-01-02T00:00:00Z", "finalizers": ["haproxy-telemetry.io/revert"]},
        {"spec": {"suspend": True}},
        {"spec": {"target": {"type": "Manual"}}},
        {"spec": {"target": 1}},
    ],
)
async def test_the_entry_of_a_resource_that_goes_goes_with_it_and_the_last_one_takes_all(case: Case, change: Any) -> None:
    case.see("shop")
    case.see("bank")
    await case.webhooks.update()
    case.see("shop", **change)
    await case.webhooks.update()
    assert case.entries == ["edge.bank"]
    case.see("bank", **change)
    case.cluster.writes()
    await case.webhooks.update()
    assert case.entries is None
    await case.webhooks.update()
    assert case.cluster.writes() == [f"DELETE mutatingwebhookconfigurations/{NAME}"]


async def test_the_next_oldest_takes_over(case: Case) -> None:
    case.see("shop")
    case.see("shop", "younger", creationTimestamp="2026-02-01T00:00:00Z")
    await case.webhooks.update()
    case.see("shop", gone=True)
    await case.webhooks.update()
    assert case.entries == ["younger.shop"]


async def test_another_bundle_and_other_nodes_are_written(case: Case) -> None:
    case.see("shop")
    await case.webhooks.update()
    assert isinstance(case.config, dict)
    case.config = case.config | {"caBundle": "Qg=="}
    await case.webhooks.update()
    assert case.published[-1] == "Qg=="
    case.webhooks.facts = Facts(image="", native_sidecar=False)
    await case.webhooks.update()
    assert case.cluster.writes() == [WRITE] * 3
    found = case.cluster.find(WEBHOOK_CONFIGURATIONS, "", NAME)
    assert found is not None
    (entry,) = found["webhooks"]
    assert entry["clientConfig"]["service"]["path"] == "/inject/container/shop/edge"
    assert entry["clientConfig"]["caBundle"] == "Qg=="


async def test_at_a_resync_it_is_written_again(case: Case) -> None:
    case.see("shop")
    await case.webhooks.update()
    case.cluster.remove(WEBHOOK_CONFIGURATIONS, "", NAME)
    case.webhooks.forget()
    await case.webhooks.update()
    assert case.entries == ["edge.shop"]


async def test_what_was_refused_is_neither_published_nor_taken_for_written(case: Case) -> None:
    case.see("shop")
    case.cluster.fail("PATCH", 500)
    with pytest.raises(ApiError):
        await case.webhooks.update()
    assert case.published == []
    await case.webhooks.update()
    assert case.entries == ["edge.shop"]
    assert case.published == ["QQ=="]


async def test_without_a_certificate_it_is_said_why_and_nobody_is_added(case: Case) -> None:
    case.see("shop")
    case.config = "there is none"
    assert await case.webhooks.update() == "there is none"
    assert case.cluster.writes() == []
    assert case.published == []


async def test_without_a_certificate_entries_leave_all_the_same(case: Case) -> None:
    case.see("shop")
    case.see("bank")
    await case.webhooks.update()
    config, case.config = case.config, "there is none"
    case.see("bank", spec={"suspend": True})
    assert await case.webhooks.update() == "there is none"
    assert case.entries == ["edge.shop"]
    case.cluster.writes()
    await case.webhooks.update()
    assert case.cluster.writes() == []
    case.see("shop", spec={"suspend": True})
    await case.webhooks.update()
    assert case.entries is None
    case.config = config
    case.see("shop")
    await case.webhooks.update()
    assert case.entries == ["edge.shop"]


class Calls:
    def __init__(self) -> None:
        self.applied: list[dict[str, Any]] = []
        self.deleted: list[str] = []

    async def apply(self, _kind: Kind, body: Mapping[str, Any]) -> None:
        self.applied.append(dict(body))

    async def delete(self, _kind: Kind, _namespace: str | None, name: str) -> None:
        self.deleted.append(name)

    async def get(self, _kind: Kind, _namespace: str | None, _name: str) -> None:
        return None


class Bench:
    def __init__(self) -> None:
        self.calls = Calls()
        self.inventory = Inventory()
        self.now = 1000.0
        self.config: dict[str, Any] | str = {"url": "https://injector:9443", "caBundle": "eA=="}
        self.webhooks = Webhooks(self.calls, self.inventory, self._client_config, lambda _bundle: None, lambda: self.now)  # type: ignore[arg-type]

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


async def test_looks_at_the_same_time_write_once(case: Case) -> None:
    case.see("shop")
    await asyncio.gather(*(case.webhooks.update() for _ in range(5)))
    assert case.cluster.writes() == [WRITE]
