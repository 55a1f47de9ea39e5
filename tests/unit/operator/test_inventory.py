"""The inventory."""

import copy
from typing import Any

import pytest

from haproxy_telemetry_operator.inventory import Inventory
from support.cluster_objects import PODS, deployment, ingress, telemetry_body


@pytest.fixture
def inventory() -> Inventory:
    return Inventory()


def pod(name: str, namespace: str = "shop", **annotations: str) -> dict[str, Any]:
    body: dict[str, Any] = copy.deepcopy(dict(PODS["plain-file"]))
    body["metadata"] |= {"name": name, "namespace": namespace, "annotations": annotations}
    return body


def test_the_one_in_charge_comes_first(inventory: Inventory) -> None:
    assert inventory.see_resource(telemetry_body(name="b", creationTimestamp="2026-01-02T00:00:00Z"))
    assert inventory.see_resource(telemetry_body(name="c"))
    assert inventory.see_resource(telemetry_body(name="a", namespace="other"))
    assert [resource.name for resource in inventory.resources("shop")] == ["c", "b"]
    assert inventory.namespaces() == ["other", "shop"]
    assert inventory.resources("nowhere") == []


def test_only_what_matters_is_a_change(inventory: Inventory) -> None:
    assert inventory.see_resource(telemetry_body())
    assert not inventory.see_resource(telemetry_body() | {"status": {"configHash": "x"}})
    assert inventory.see_resource(telemetry_body(generation=2))
    assert inventory.see_pod(pod("p"))
    assert not inventory.see_pod(pod("p"))
    changed = pod("p")
    changed["status"] = {"startTime": "2026-01-01T00:00:00Z"}
    assert not inventory.see_pod(changed)
    changed["status"]["podIP"] = "10.0.0.1"
    assert inventory.see_pod(changed)
    entry = ingress("i", ("h", "/", "Prefix"))
    assert inventory.see_ingress(entry)
    assert not inventory.see_ingress(entry | {"status": {"loadBalancer": {}}})
    entry["metadata"]["annotations"] = {"a": "b"}
    assert not inventory.see_ingress(entry)
    entry["metadata"]["annotations"] = {"kubernetes.io/ingress.class": "b"}
    assert inventory.see_ingress(entry)


def test_the_version_of_a_workload_is_the_last_one_seen(inventory: Inventory) -> None:
    body = deployment(PODS["plain-file"])
    assert inventory.see_workload("Deployment", body)
    (workload,) = inventory.workloads("shop")
    assert inventory.workload_version("shop", workload) == "7"
    body["metadata"]["resourceVersion"] = "8"
    assert not inventory.see_workload("Deployment", body)
    assert inventory.workload_version("shop", workload) == "8"
    assert inventory.see_workload("Deployment", body, gone=True)
    assert inventory.workload_version("shop", workload) == ""
    assert inventory.workloads("shop") == []


def test_what_has_gone(inventory: Inventory) -> None:
    inventory.see_resource(telemetry_body())
    inventory.see_pod(pod("p"))
    inventory.see_ingress(ingress("i"))
    assert inventory.see_resource(telemetry_body(), gone=True)
    assert inventory.see_pod(pod("p"), gone=True)
    assert inventory.see_ingress(ingress("i"), gone=True)
    assert not inventory.see_pod(pod("p"), gone=True)
    assert inventory.counts() == {"resources": 0, "pods": 0, "workloads": 0, "ingresses": 0}
    assert inventory.namespaces() == []


def test_the_others_of_a_namespace_stay(inventory: Inventory) -> None:
    inventory.see_pod(pod("p"))
    inventory.see_pod(pod("q"))
    assert inventory.see_pod(pod("p"), gone=True)
    assert [entry.name for entry in inventory.pods("shop")] == ["q"]


def test_changes_of_resources_are_counted(inventory: Inventory) -> None:
    inventory.see_resource(telemetry_body())
    before = inventory.resource_changes
    inventory.see_resource(telemetry_body())
    assert inventory.resource_changes == before
    inventory.see_resource(telemetry_body(generation=2))
    assert inventory.resource_changes == before + 1
    inventory.forget("resources", lambda _: [])
    assert inventory.resource_changes == before + 2


def test_counts(inventory: Inventory) -> None:
    inventory.see_pod(pod("p"))
    inventory.see_pod(pod("q", **{"haproxy-telemetry.io/injected": "edge"}))
    inventory.see_pod(pod("q", "other", **{"haproxy-telemetry.io/injected": "edge"}))
    inventory.see_ingress(ingress("i"))
    inventory.see_workload("Deployment", deployment(PODS["plain-file"]))
    assert inventory.instrumented() == 2
    assert inventory.counts() == {"resources": 0, "pods": 3, "workloads": 1, "ingresses": 1}
    assert len(inventory.pods("shop")) == 2
    assert [entry["metadata"]["name"] for entry in inventory.ingresses()] == ["i"]


def test_after_a_list_what_was_not_in_it_is_forgotten(inventory: Inventory) -> None:
    for namespace in ("shop", "other"):
        for name in ("p", "q"):
            inventory.see_pod(pod(name, namespace))
    inventory.forget("pods", lambda namespace: ["p"] if namespace == "shop" else [], only="shop")
    assert sorted(entry.name for entry in inventory.pods("shop")) == ["p"]
    assert len(inventory.pods("other")) == 2
    inventory.forget("pods", lambda namespace: ["p"] if namespace == "shop" else [])
    assert inventory.counts()["pods"] == 1
    inventory.forget("pods", lambda _: [], only="nowhere")


def test_nothing_of_a_workload_stays_behind(inventory: Inventory) -> None:
    body = deployment(PODS["plain-file"])
    inventory.see_workload("Deployment", body)
    inventory.see_workload("Deployment", deployment(PODS["plain-file"], "stays"))
    inventory.forget("workloads", lambda _: [("Deployment", "stays")])
    assert [workload.name for workload in inventory.workloads("shop")] == ["stays"]
    assert inventory._versions.keys() == {("shop", "Deployment", "stays")}
