"""A double of the API server, in memory: as much of it as the operator uses, with its refusals.

Below ``Cluster``'s own methods, in place of HTTP: paths, verbs and patches come in as they would go out. It keeps no schemas and no
rights, and merges nothing deeper than server-side apply has to here.
"""

import asyncio
import copy
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jsonpatch

from haproxy_telemetry_operator.cluster import ApiError, Cluster, Kind

__all__ = ["Call", "FakeCluster"]

_Key = tuple[str, str, str, str]
"""Prefix, plural, namespace, name."""
_WRITES = frozenset(("POST", "PUT", "PATCH", "DELETE"))


class Call(NamedTuple):
    """A request."""

    method: str
    path: str
    body: Any

    @property
    def short(self) -> str:
        """Such as ``PATCH configmaps/edge``, or ``POST events``."""
        parts = self.path.split("/")
        names = parts[parts.index("namespaces") + 2 :] if "namespaces" in parts else parts[3 if parts[1] == "api" else 4 :]
        return f"{self.method} {'/'.join(names)}"


class FakeCluster(Cluster):
    """Objects by where they are; every request is counted and remembered."""

    def __init__(self) -> None:
        self.calls = 0
        self.requests: list[Call] = []
        self.meanwhile: list[Callable[[], None]] = []
        """What others do, one before each of the next writes."""
        self._objects: dict[_Key, dict[str, Any]] = {}
        self._failures: list[tuple[str, ApiError]] = []
        self._version = 100

    # What a test does and sees.

    def put(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """An object is there, whatever was before."""
        metadata = body["metadata"]
        return self._store((kind.prefix, kind.plural, metadata.get("namespace", ""), metadata["name"]), copy.deepcopy(dict(body)))

    def find(self, kind: Kind, namespace: str, name: str) -> dict[str, Any] | None:
        """An object, without a request."""
        return copy.deepcopy(self._objects.get((kind.prefix, kind.plural, namespace, name)))

    def objects(self, kind: Kind) -> list[dict[str, Any]]:
        """All of a kind, without a request."""
        return [copy.deepcopy(body) for key, body in sorted(self._objects.items()) if key[:2] == (kind.prefix, kind.plural)]

    def remove(self, kind: Kind, namespace: str, name: str) -> None:
        """An object is gone."""
        self._objects.pop((kind.prefix, kind.plural, namespace, name), None)

    def fail(self, text: str, status: int, message: str = "refused", *, times: int = 1) -> None:
        """The next requests with this text in ``METHOD path`` are refused."""
        self._failures += [(text, ApiError(status, message))] * times

    def writes(self) -> list[str]:
        """The writes since the last time, each as ``Call.short``."""
        found = [call.short for call in self.requests if call.method in _WRITES]
        self.requests.clear()
        return found

    # What the operator does.

    async def close(self) -> None:
        """Nothing is open."""

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        self.calls += 1
        body = copy.deepcopy(body)
        # As over a network, others get on in the meantime.
        await asyncio.sleep(0)
        self.requests.append(Call(method, path, body))
        for entry in self._failures:
            if entry[0] in f"{method} {path}":
                self._failures.remove(entry)
                raise entry[1]
        if method in _WRITES and self.meanwhile:
            self.meanwhile.pop(0)()
        if path == "/version":
            return {"gitVersion": "v1.36.4"}
        key, subresource = _parse(path)
        match method:
            case "GET" if not key[3]:
                return self._list(key, (query or {}).get("labelSelector", ""))
            case "GET":
                return copy.deepcopy(self._get(key))
            case "POST":
                return self._create(key, body)
            case "PUT":
                return self._replace(key, body)
            case "PATCH":
                return self._patch(key, subresource, content_type, body)
            case "DELETE":
                return self._delete(key)
        raise NotImplementedError(method)

    def _list(self, key: _Key, selector: str) -> dict[str, Any]:
        wanted = dict(term.split("=") for term in selector.split(",") if term)
        items = [
            copy.deepcopy(body)
            for where, body in sorted(self._objects.items())
            if where[:2] == key[:2]
            and key[2] in ("", where[2])
            and wanted.items() <= (body["metadata"].get("labels") or {}).items()
        ]
        return {"items": items, "metadata": {"resourceVersion": str(self._version)}}

    def _get(self, key: _Key) -> dict[str, Any]:
        if key not in self._objects:
            raise ApiError(404, f'{key[1]} "{key[3]}" not found')
        return self._objects[key]

    def _create(self, key: _Key, body: dict[str, Any]) -> dict[str, Any]:
        metadata = body["metadata"]
        name = metadata.setdefault("name", f"{metadata.get('generateName', '')}{self._version}")
        key = (*key[:3], name)
        if key in self._objects:
            raise ApiError(409, f'{key[1]} "{name}" already exists')
        return copy.deepcopy(self._store(key, body))

    def _replace(self, key: _Key, body: dict[str, Any]) -> dict[str, Any]:
        _check_version(self._get(key), body)
        return copy.deepcopy(self._store(key, body))

    def _patch(self, key: _Key, subresource: str, content_type: str, body: Any) -> dict[str, Any]:
        if content_type == "application/apply-patch+yaml":
            before = self._objects.get(key, {"metadata": {}})
            after = {**before, **body, "metadata": {**before["metadata"], **body["metadata"]}}
        elif content_type == "application/json-patch+json":
            try:
                after = jsonpatch.apply_patch(self._get(key), body)
            except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException) as error:
                raise ApiError(422, f"the server rejected our request: {error}") from None
        elif content_type == "application/merge-patch+json":
            before = self._get(key)
            _check_version(before, body)
            given = {name: value for name, value in body.items() if (name == "status") == (subresource == "status")}
            after = _merged(before, given)
        else:
            raise NotImplementedError(content_type)
        return copy.deepcopy(self._store(key, after))

    def _delete(self, key: _Key) -> dict[str, Any]:
        found = self._get(key)
        if found["metadata"].get("finalizers"):
            found["metadata"].setdefault("deletionTimestamp", "2026-01-01T01:00:00Z")
        else:
            del self._objects[key]
        return {}

    def _store(self, key: _Key, body: dict[str, Any]) -> dict[str, Any]:
        before = self._objects.get(key, {"metadata": {}})
        metadata = body["metadata"]
        metadata["resourceVersion"] = before["metadata"].get("resourceVersion", "")
        if body == before:
            return before
        self._version += 1
        metadata["resourceVersion"] = str(self._version)
        if "spec" in before and body.get("spec") != before["spec"]:
            metadata["generation"] = metadata.get("generation", 0) + 1
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            self._objects.pop(key, None)
        else:
            self._objects[key] = body
        return body


def _parse(path: str) -> tuple[_Key, str]:
    parts = path.split("/")[1:]
    length = 2 if parts[0] == "api" else 3
    prefix, rest = "/" + "/".join(parts[:length]), parts[length:]
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    plural, name, subresource = [*rest, "", ""][:3]
    return (prefix, plural, namespace, name), subresource


def _check_version(before: Mapping[str, Any], given: Mapping[str, Any]) -> None:
    version = (given.get("metadata") or {}).get("resourceVersion")
    if version and version != before["metadata"]["resourceVersion"]:
        raise ApiError(409, "the object has been modified; please apply your changes to the latest version and try again")


def _merged(before: Any, patch: Any) -> Any:
    """RFC 7396."""
    if not isinstance(patch, dict):
        return patch
    result = dict(before) if isinstance(before, dict) else {}
    for name, value in patch.items():
        if value is None:
            result.pop(name, None)
        else:
            result[name] = _merged(result.get(name), value)
    return result
