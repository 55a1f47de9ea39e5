"""All resources HAProxyTelemetry that the injector may be asked for, as the API server last told of them.

An answer to a pod must not wait for another question: it is given from here. What is here may be a little behind, and for as long
as the API server can't be reached it stays as it was.
"""

import logging
from collections.abc import Iterable, Mapping
from typing import Any

from .resource import TelemetryResource

__all__ = ["ResourceCache", "ResourceScope"]

_logger = logging.getLogger(__name__)

_MAX_RESOURCES = 10_000
"""One for a namespace is usual."""


class ResourceCache:
    """Resources by namespace and name.

    Args:
        namespaces: to be told of; empty: all.
    """

    def __init__(self, namespaces: Iterable[str] = (), *, max_resources: int = _MAX_RESOURCES) -> None:
        self._max_resources = max_resources
        self._by_namespace: dict[str, dict[str, TelemetryResource]] = {}
        self._count = 0
        self.refused = 0
        """How many could not be taken: there were too many, or they could not be read."""
        self.scopes = [ResourceScope(self, namespace) for namespace in dict.fromkeys(namespaces)] or [ResourceScope(self, None)]
        """What to fill it with: one for each list and watch."""

    def __len__(self) -> int:
        return self._count

    @property
    def synced(self) -> bool:
        """Whether all there was has been heard of once."""
        return all(scope.synced for scope in self.scopes)

    def get(self, namespace: str, name: str) -> TelemetryResource | None:
        """One resource."""
        return self._by_namespace.get(namespace, {}).get(name)

    def in_charge(self, namespace: str) -> TelemetryResource | None:
        """The resource of a namespace that counts: the oldest that is not being deleted."""
        candidates = [resource for resource in self._by_namespace.get(namespace, {}).values() if not resource.deleting]
        return min(candidates, key=lambda resource: resource.precedence, default=None)

    def put(self, body: Mapping[str, Any]) -> None:
        """Take one as the API has it."""
        try:
            resource = TelemetryResource.of_body(body)
        except (LookupError, TypeError, AttributeError) as problem:
            self.refused += 1
            _logger.warning("a resource can't be read: %r", problem)
            return
        names = self._by_namespace.get(resource.namespace, {})
        if resource.name not in names:
            if self._count >= self._max_resources:
                self.refused += 1
                _logger.warning("more than %d resources: %s/%s is left out", self._max_resources, *resource.key)
                return
            self._count += 1
        self._by_namespace.setdefault(resource.namespace, {})[resource.name] = resource

    def remove(self, namespace: str, name: str) -> None:
        """Forget one."""
        names = self._by_namespace.get(namespace, {})
        if names.pop(name, None) is not None:
            self._count -= 1
        if not names:
            self._by_namespace.pop(namespace, None)

    def keys(self, namespace: str | None) -> list[tuple[str, str]]:
        """Namespace and name of all, or of all of a namespace."""
        namespaces = list(self._by_namespace) if namespace is None else [namespace]
        return [(space, name) for space in namespaces for name in self._by_namespace.get(space, {})]


class ResourceScope:
    """The part of the cache that one list and watch fills (``api_watch.Sink``)."""

    def __init__(self, cache: ResourceCache, namespace: str | None) -> None:
        self._cache = cache
        self.namespace = namespace
        """None: all namespaces."""
        self.synced = False

    def replace(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """These are all."""
        before = set(self._cache.keys(self.namespace))
        now = set()
        listed = list(bodies)
        for body in listed:
            metadata = body.get("metadata") or {}
            now.add((metadata.get("namespace"), metadata.get("name")))
        # First those that are gone, else there might be no room.
        for key in before - now:
            self._cache.remove(*key)
        for body in listed:
            self._cache.put(body)
        self.synced = True

    def apply(self, kind: str, body: Mapping[str, Any]) -> None:
        """An event of the watch: ADDED, MODIFIED or DELETED."""
        if kind == "DELETED":
            metadata = body.get("metadata") or {}
            self._cache.remove(str(metadata.get("namespace")), str(metadata.get("name")))
        else:
            self._cache.put(body)
