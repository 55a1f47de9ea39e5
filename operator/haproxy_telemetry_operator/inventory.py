"""The inventory: what watches have told of every namespace, so that a look at it costs no call.

Filled from lists at the start and at every resync, and kept by events. It is a cache: whatever is written because of it is written
with a condition that fails when it was out of date.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from .resource import TelemetryResource
from .state.workload import Pod, Workload

__all__ = ["Inventory"]


class Inventory:
    """Objects by namespace and name, as far as they matter."""

    def __init__(self) -> None:
        self._resources: dict[str, dict[str, TelemetryResource]] = {}
        self.resource_changes = 0
        """Grows whenever a resource comes, changes or goes."""
        self._pods: dict[str, dict[str, Pod]] = {}
        self._workloads: dict[str, dict[tuple[str, str], Workload]] = {}
        self._versions: dict[tuple[str, str, str], str] = {}
        """``resourceVersion`` of workloads, for writes that must not be based on an old one."""
        self._ingresses: dict[str, dict[str, Mapping[str, Any]]] = {}

    # What is there.

    def namespaces(self) -> list[str]:
        """Those that have a resource."""
        return sorted(namespace for namespace, resources in self._resources.items() if resources)

    def resources(self, namespace: str) -> list[TelemetryResource]:
        """Of a namespace, the one in charge first."""
        return sorted(self._resources.get(namespace, {}).values(), key=lambda resource: resource.precedence)

    def pods(self, namespace: str) -> list[Pod]:
        """Of a namespace."""
        return list(self._pods.get(namespace, {}).values())

    def workloads(self, namespace: str) -> list[Workload]:
        """Of a namespace."""
        return list(self._workloads.get(namespace, {}).values())

    def workload_version(self, namespace: str, workload: Workload) -> str:
        """The ``resourceVersion`` that was seen last."""
        return self._versions.get((namespace, *workload.key), "")

    def ingresses(self) -> Iterable[Mapping[str, Any]]:
        """Of all namespaces: a controller serves more than its own."""
        return [ingress for by_name in self._ingresses.values() for ingress in by_name.values()]

    def counts(self) -> dict[str, int]:
        """How many objects are held, by kind."""
        return {
            "resources": sum(map(len, self._resources.values())),
            "pods": sum(map(len, self._pods.values())),
            "workloads": sum(map(len, self._workloads.values())),
            "ingresses": sum(map(len, self._ingresses.values())),
        }

    def instrumented(self) -> int:
        """Pods that have the agent in them."""
        return sum(pod.injected is not None for by_name in self._pods.values() for pod in by_name.values())

    # What has changed.

    def see_resource(self, body: Mapping[str, Any], *, gone: bool = False) -> bool:
        """A resource; whether anything has changed that matters."""
        resource = TelemetryResource.of_body(body)
        changed = _keep(self._resources, resource.namespace, resource.name, None if gone else resource)
        self.resource_changes += changed
        return changed

    def see_pod(self, body: Mapping[str, Any], *, gone: bool = False) -> bool:
        """A pod; whether anything has changed that matters."""
        metadata = body["metadata"]
        return _keep(self._pods, metadata["namespace"], metadata["name"], None if gone else Pod.of_body(body))

    def see_workload(self, kind: str, body: Mapping[str, Any], *, gone: bool = False) -> bool:
        """A workload; whether anything has changed that matters."""
        metadata = body["metadata"]
        key = (metadata["namespace"], kind, metadata["name"])
        if gone:
            self._versions.pop(key, None)
        else:
            self._versions[key] = metadata.get("resourceVersion", "")
        workload = None if gone else Workload.of_body(kind, body)
        return _keep(self._workloads, metadata["namespace"], (kind, metadata["name"]), workload)

    def see_ingress(self, body: Mapping[str, Any], *, gone: bool = False) -> bool:
        """An Ingress; whether anything has changed that matters."""
        metadata = body["metadata"]
        kept = {
            "metadata": {
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "creationTimestamp": metadata.get("creationTimestamp", ""),
                "annotations": {
                    key: value for key, value in (metadata.get("annotations") or {}).items() if key.endswith("ingress.class")
                },
            },
            "spec": body.get("spec") or {},
        }
        return _keep(self._ingresses, metadata["namespace"], metadata["name"], None if gone else kept)

    def forget(self, kind: str, keep: Callable[[str], Iterable[Any]], *, only: str | None = None) -> None:
        """After a list: drops what was not in it.

        Args:
            kind: ``resources``, ``pods``, ``workloads`` or ``ingresses``.
            keep: the names that are left of a namespace; of workloads ``(kind, name)``.
            only: of this namespace; None: of all.
        """
        store: dict[str, dict[Any, Any]] = getattr(self, f"_{kind}")
        for namespace in [only] if only is not None else list(store):
            objects = store.get(namespace, {})
            for name in objects.keys() - set(keep(namespace)):
                del objects[name]
                self.resource_changes += 1
                if kind == "workloads":
                    self._versions.pop((namespace, *name), None)
            if not objects:
                store.pop(namespace, None)


def _keep(store: dict[str, dict[Any, Any]], namespace: str, name: Any, value: Any) -> bool:
    objects = store.setdefault(namespace, {})
    before = objects.get(name)
    if value is None:
        objects.pop(name, None)
        if not objects:
            del store[namespace]
    else:
        objects[name] = value
    return bool(before != value)
