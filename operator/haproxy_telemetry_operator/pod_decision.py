"""Which resource a pod is for, and whether that one is in charge: what comes before a pod is changed.

The API server asks at a path that names the resource, since each has a webhook of its own. So every pod that arrives was chosen by
its labels already; what the pod is, ``mutate`` finds out.
"""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, Protocol

from .admission import Decision
from .resource import TelemetryResource

__all__ = ["SIDECARS", "Change", "Refusal", "Route", "Sidecar", "decide"]

Sidecar = Literal["native", "container"]
SIDECARS: tuple[Sidecar, ...] = ("native", "container")
"""``native``: an init container that goes on, for nodes of Kubernetes 1.29 or later; ``container``: one beside HAProxy."""


class Route(NamedTuple):
    """The path of a question: ``/inject/{sidecar}/{namespace}/{name}``."""

    sidecar: Sidecar
    namespace: str
    name: str


class Refusal(NamedTuple):
    """The pod stays as it is."""

    result: str
    message: str
    pod: None = None


class Resources(Protocol):
    """What of the cache is needed."""

    def get(self, namespace: str, name: str) -> TelemetryResource | None:
        """One resource."""
        ...

    def in_charge(self, namespace: str) -> TelemetryResource | None:
        """The one of a namespace that counts."""
        ...


Change = Callable[[Mapping[str, Any], TelemetryResource, Sidecar], Decision]
"""``injection.mutate`` with its facts."""


def decide(pod: Mapping[str, Any], namespace: str, route: Route, *, resources: Resources, change: Change) -> Decision:
    """What to do with a pod of a namespace."""
    if namespace != route.namespace:
        return Refusal("other_namespace", f"HAProxyTelemetry {route.namespace}/{route.name} is of another namespace")
    resource = resources.get(route.namespace, route.name)
    if resource is None:
        # Just made and not heard of yet, or just deleted.
        return Refusal("unknown_resource", f"HAProxyTelemetry {route.name} is not known (yet)")
    if resource.deleting:
        return Refusal("deleting", f"HAProxyTelemetry {route.name} is being deleted")
    winner = resources.in_charge(namespace)
    if winner is not None and winner.name != resource.name:
        return Refusal("conflicted", f"HAProxyTelemetry {winner.name} is in charge of the namespace")
    return change(pod, resource, route.sidecar)
