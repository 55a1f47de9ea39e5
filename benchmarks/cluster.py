"""The operator and the injector with many resources: time of a look, of an answer, calls to the API server, memory.

The API server is a stand-in in memory that answers at once, so the times are those of our own work; calls are counted. One process
has the operator's parts, as ``haproxy-telemetry-operator run`` puts them together, without Kopf's watches.
"""

import argparse
import asyncio
import json
import resource as process
import statistics
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, cast

from haproxy_telemetry_operator.admission import answer
from haproxy_telemetry_operator.agents import Agents
from haproxy_telemetry_operator.cluster import Cluster, Kind
from haproxy_telemetry_operator.injection import Facts, mutate
from haproxy_telemetry_operator.inventory import Inventory
from haproxy_telemetry_operator.names import ANNOTATION_CONFIG_HASH, ANNOTATION_INJECTED
from haproxy_telemetry_operator.reconciliation import Reconciler
from haproxy_telemetry_operator.rendering import render
from haproxy_telemetry_operator.resource import TelemetryResource
from haproxy_telemetry_operator.settings import OperatorSettings
from haproxy_telemetry_operator.webhooks import Webhooks

from .machine import describe

__all__ = ["main"]

_FACTS = Facts("example.com/agent:1")


class InstantCluster:
    """A stand-in for the API server: takes everything, and has nothing to say."""

    def __init__(self) -> None:
        self.calls = 0

    async def get(self, _kind: Kind, namespace: str | None, name: str) -> dict[str, Any]:
        """An object without content."""
        self.calls += 1
        return {"metadata": {"name": name, "namespace": namespace, "resourceVersion": "1"}}

    async def all(self, *_arguments: Any, **_options: Any) -> list[dict[str, Any]]:
        """None."""
        self.calls += 1
        return []

    async def _take(self, *_arguments: Any, **_options: Any) -> dict[str, Any]:
        self.calls += 1
        return {}

    apply = create = merge = patch = delete = replace = _take


class SilentAgents(Agents):
    """A stand-in for the agents, which are asked over the network."""

    async def look(self, *_arguments: Any) -> tuple[list[Any], list[Any], int]:
        """Nobody answers."""
        return [], [], 0


def bodies(namespace: str, pods: int) -> tuple[dict[str, Any], dict[str, Any], list[dict[str, Any]]]:
    """A resource, a Deployment that it means, and its pods, injected already."""
    telemetry = {
        "metadata": {
            "name": "edge",
            "namespace": namespace,
            "uid": namespace,
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "finalizers": ["haproxy-telemetry.io/revert"],
        },
        "spec": {"exporter": {"endpoint": "http://collector:4318"}, "spans": {"requestHeaders": ["X-Request-Id"]}},
    }
    wanted = render(TelemetryResource.of_body(telemetry)).config_hash
    template = {
        "metadata": {"labels": {"app": "haproxy"}},
        "spec": {
            "containers": [
                {
                    "name": "haproxy",
                    "image": "haproxy:3.0",
                    "volumeMounts": [{"name": "config", "mountPath": "/usr/local/etc/haproxy"}],
                }
            ],
            "volumes": [{"name": "config", "configMap": {"name": "haproxy"}}],
        },
    }
    deployment = {
        "metadata": {"name": "haproxy", "namespace": namespace, "generation": 1, "resourceVersion": "1"},
        "spec": {"replicas": pods, "template": template},
        "status": {"observedGeneration": 1, "updatedReplicas": pods, "availableReplicas": pods, "replicas": pods},
    }
    owner = {"kind": "ReplicaSet", "name": "haproxy-abc", "controller": True}
    made = [
        {
            "metadata": {
                "name": f"haproxy-abc-{number}",
                "namespace": namespace,
                "labels": {"app": "haproxy", "pod-template-hash": "abc"},
                "annotations": {ANNOTATION_INJECTED: "edge", ANNOTATION_CONFIG_HASH: wanted},
                "ownerReferences": [owner],
            },
            "status": {"conditions": [{"type": "Ready", "status": "True"}], "podIP": "10.0.0.1"},
        }
        for number in range(pods)
    ]
    return telemetry, deployment, made


async def measure_operator(namespaces: int, pods: int) -> dict[str, float]:
    """Figures of the operator."""
    cluster, inventory = InstantCluster(), Inventory()
    for number in range(namespaces):
        telemetry, deployment, made = bodies(f"ns-{number}", pods // namespaces)
        inventory.see_resource(telemetry)
        inventory.see_workload("Deployment", deployment)
        for pod in made:
            inventory.see_pod(pod)

    async def client_config() -> dict[str, Any]:
        return {"service": {"name": "injector", "namespace": "telemetry"}, "caBundle": "Cg=="}

    typed = cast("Cluster", cluster)
    webhooks = Webhooks(typed, inventory, client_config, lambda _bundle: None)
    reconciler = Reconciler(
        typed, inventory, webhooks, OperatorSettings("agent"), lambda: datetime.now(UTC), SilentAgents(), _FACTS
    )
    webhooks.facts = _FACTS
    first, calls_first = await _looks(reconciler, inventory, cluster)
    again, calls_again = await _looks(reconciler, inventory, cluster)
    return {
        "first look p50, ms": statistics.median(first),
        "first look p99, ms": statistics.quantiles(first, n=100)[98],
        "calls, first look": calls_first,
        "look after an event p50, ms": statistics.median(again),
        "look after an event p99, ms": statistics.quantiles(again, n=100)[98],
        "calls, nothing changed": calls_again,
        "peak memory of the process, MiB": process.getrusage(process.RUSAGE_SELF).ru_maxrss / 1024,
    }


async def _looks(reconciler: Reconciler, inventory: Inventory, cluster: InstantCluster) -> tuple[list[float], float]:
    before = cluster.calls
    times = []
    for namespace in inventory.namespaces():
        begin = time.perf_counter()
        await reconciler.reconcile(namespace)
        times.append((time.perf_counter() - begin) * 1_000)
    return times, (cluster.calls - before) / len(times)


def measure_injector(questions: int) -> dict[str, float]:
    """Figures of one answer: from the bytes of the question to those of the answer."""
    telemetry, deployment, _made = bodies("ns", 1)
    owner = {"kind": "ReplicaSet", "name": "haproxy-abc", "controller": True}
    template: Mapping[str, Any] = deployment["spec"]["template"]
    pod = {"kind": "Pod", **template, "metadata": {**template["metadata"], "generateName": "x-", "ownerReferences": [owner]}}
    review = {
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {"uid": "1", "namespace": "ns", "operation": "CREATE", "object": pod},
    }
    body = json.dumps(review).encode()
    decide = partial(_decide, TelemetryResource.of_body(telemetry))
    times = []
    for _ in range(questions):
        begin = time.perf_counter()
        answered = answer(body, decide)
        json.dumps(answered.review)
        times.append((time.perf_counter() - begin) * 1_000)
    assert answered.result == "injected", answered
    return {"answer p50, ms": statistics.median(times), "answer p99, ms": statistics.quantiles(times, n=100)[98]}


def _decide(telemetry: TelemetryResource, pod: Mapping[str, Any], namespace: str) -> Any:
    return mutate(pod, namespace=namespace, resource=telemetry, facts=_FACTS)


def main() -> int:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--namespaces", type=int, default=1_000, help="each with a resource (%(default)s)")
    parser.add_argument("--pods", type=int, default=10_000, help="in all (%(default)s)")
    parser.add_argument("--questions", type=int, default=1_000, help="to the injector (%(default)s)")
    options = parser.parse_args()
    print("\n".join(describe()) + f"\n\n{options.namespaces} namespaces with a resource, {options.pods} pods\n")
    figures = measure_injector(options.questions) | asyncio.run(measure_operator(options.namespaces, options.pods))
    for name, value in figures.items():
        print(f"{name:34} {value:8.2f}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
