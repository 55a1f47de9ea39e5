"""Parts: what is added to a pod, by the place where it goes."""

from dataclasses import dataclass, field
from typing import Any, Self

__all__ = ["Parts", "add_parts"]


@dataclass
class Parts:
    """All of it is added, in this order; nothing of the pod's moves."""

    volumes: list[dict[str, Any]] = field(default_factory=list)
    first_init_containers: list[dict[str, Any]] = field(default_factory=list)
    """In front of the pod's own: a sidecar serves while those run."""
    init_containers: list[dict[str, Any]] = field(default_factory=list)
    """Behind the pod's own, which may make the configuration that ours read."""
    containers: list[dict[str, Any]] = field(default_factory=list)
    env: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By container."""
    mounts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """By container."""

    def __iadd__(self, other: Self) -> Self:
        for name in ("volumes", "first_init_containers", "init_containers", "containers"):
            getattr(self, name).extend(getattr(other, name))
        for name in ("env", "mounts"):
            for container, entries in getattr(other, name).items():
                getattr(self, name).setdefault(container, []).extend(entries)
        return self


def add_parts(spec: dict[str, Any], parts: Parts) -> None:
    """Adds them to a pod's spec."""
    if parts.volumes:
        spec["volumes"] = [*(spec.get("volumes") or ()), *parts.volumes]
    if parts.first_init_containers or parts.init_containers:
        spec["initContainers"] = [*parts.first_init_containers, *(spec.get("initContainers") or ()), *parts.init_containers]
    for container in spec.get("containers") or ():
        for key, entries in (("env", parts.env), ("volumeMounts", parts.mounts)):
            added = entries.get(container["name"])
            if added:
                container[key] = [*(container.get(key) or ()), *added]
    spec["containers"] = [*(spec.get("containers") or ()), *parts.containers]
