"""The table of routes: which Ingress a request belongs to, by host and path, for ``http.route`` and the names on a span.

No record tells the Ingress (on-a-cluster.md 4): HAProxy's names are made of the service alone. So the table is made of the Ingress
objects, and the agent looks hosts and paths up.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["MAX_ROUTES_BYTES", "IngressClasses", "render_routes"]

MAX_ROUTES_BYTES = 900_000
"""A ConfigMap holds 1 MiB."""
_CLASS_ANNOTATIONS = ("kubernetes.io/ingress.class", "haproxy.org/ingress.class")


class IngressClasses:
    """Which Ingress objects a controller takes, by class.

    Args:
        names: of the classes; None: whatever there is.
        without_class: whether those without a class are taken, too.
    """

    def __init__(self, names: frozenset[str] | None, *, without_class: bool = False) -> None:
        self._names = names
        self._without_class = without_class

    def takes(self, ingress: Mapping[str, Any]) -> bool:
        """Whether this one is taken."""
        if self._names is None:
            return True
        annotations = ingress["metadata"].get("annotations") or {}
        name = (ingress.get("spec") or {}).get("ingressClassName") or next(
            (annotations[key] for key in _CLASS_ANNOTATIONS if key in annotations), None
        )
        return self._without_class if name is None else name in self._names


def render_routes(ingresses: Iterable[Mapping[str, Any]], classes: IngressClasses) -> tuple[str, int]:
    """``(text, left_out)``: the agent's file of routes, and how many had no room in it.

    Of two rules for the same host and path the older Ingress's counts, as it does for the controllers.
    """
    entries: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    for ingress in ingresses:
        if classes.takes(ingress):
            entries += _entries(ingress)
    entries.sort(key=lambda entry: entry[0])
    texts: list[str] = []
    size = 0
    for _, entry in entries:
        text = json.dumps(entry, sort_keys=True, separators=(",", ":"))
        size += len(text.encode()) + 2
        if size > MAX_ROUTES_BYTES:
            break
        texts.append(text)
    return '{"routes":[\n' + ",\n".join(texts) + "\n]}\n", len(entries) - len(texts)


def _entries(ingress: Mapping[str, Any]) -> list[tuple[tuple[str, ...], dict[str, Any]]]:
    metadata = ingress["metadata"]
    spec = ingress.get("spec") or {}
    found: list[tuple[tuple[str, ...], dict[str, Any]]] = []
    for rule in spec.get("rules") or ():
        host = (rule.get("host") or "").lower()
        for path in (rule.get("http") or {}).get("paths") or ():
            text = path.get("path") or "/"
            kind = "Exact" if path.get("pathType") == "Exact" else "Prefix"
            attributes = {"haproxy.ingress.name": metadata["name"], "haproxy.ingress.namespace": metadata["namespace"]}
            service = (path.get("backend") or {}).get("service")
            if service:
                attributes["haproxy.ingress.service.name"] = service["name"]
            if spec.get("ingressClassName"):
                attributes["haproxy.ingress.class"] = spec["ingressClassName"]
            if not text.startswith("/") or len(text) > 1024:
                continue
            entry: dict[str, Any] = {"path": text, "pathType": kind, "attributes": attributes}
            if host:
                entry["host"] = host
            if len(text) > 256:
                entry["route"] = text[:256]
            # To the agent /a and /a/ are one prefix, of which the first one counts.
            same = text if kind == "Exact" else text.rstrip("/")
            order = (host, same, kind, metadata.get("creationTimestamp", ""), metadata["namespace"], metadata["name"])
            found.append((order, entry))
    return found
