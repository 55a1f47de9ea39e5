"""Matching: which workloads a resource means, and which of them can be instrumented."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from ..injection import Facts, mutate
from ..rendering import Rendering
from ..resource import TelemetryResource
from ..targets import NotRecognised, Recognition, recognise
from .workload import Pod, Workload, selects

__all__ = ["Match", "match"]


@dataclass(frozen=True, slots=True)
class Match:
    """A workload that is meant."""

    workload: Workload
    pods: Sequence[Pod]
    recognition: Recognition | None
    problem: str | None = None
    """Why it can't be instrumented."""


def match(
    resource: TelemetryResource, rendering: Rendering, workloads: Iterable[Workload], pods: Iterable[Pod], facts: Facts
) -> list[Match]:
    """All that are meant, in the order of kind and name. What has no HAProxy in it is not meant."""
    by_owner: dict[tuple[str, str], list[Pod]] = {}
    for pod in pods:
        if pod.owner is not None:
            by_owner.setdefault(pod.owner, []).append(pod)
    found: list[Match] = []
    for workload in sorted(workloads, key=lambda entry: entry.key):
        if not selects(rendering.spec.target.selector, workload.labels):
            continue
        spec = workload.template.get("spec") or {}
        recognition = recognise(spec, resource.namespace, rendering.spec.target)
        own = by_owner.get(workload.key, [])
        if isinstance(recognition, NotRecognised):
            found.append(Match(workload, own, None, f"{workload.kind} {workload.name}: {recognition.message}"))
        elif recognition is not None:
            tried = mutate(_pod_of(workload), namespace=resource.namespace, resource=resource, facts=facts)
            problem = None if tried.result == "injected" else f"{workload.kind} {workload.name}: {tried.message or tried.result}"
            found.append(Match(workload, own, recognition, problem))
    return found


def _pod_of(workload: Workload) -> dict[str, Any]:
    """A pod as the workload would make it."""
    metadata = {
        key: dict(value) for key, value in (workload.template.get("metadata") or {}).items() if key in ("labels", "annotations")
    }
    owner = {"kind": "ReplicaSet" if workload.kind == "Deployment" else workload.kind, "name": workload.name, "controller": True}
    return {"metadata": metadata | {"ownerReferences": [owner]}, "spec": workload.template.get("spec") or {}}
