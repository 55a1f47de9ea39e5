"""ConfigMaps of ingress controllers: our block in, our block out, and nothing else ever.

Every write says what it expects to find (a JSON patch with ``test``): if somebody else has written in between, it fails, and is
tried again on what is there then. An annotation on the ConfigMap says which key we made, so that it can be taken away again.
"""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from .cluster import CONFIG_MAPS, ApiError, Cluster
from .names import ANNOTATION_MANAGED, shadow_name
from .rendering import Rendering, render_block, with_block, without_block
from .rendering.payload import owned
from .resource import TelemetryResource
from .state.conditions import Verdict
from .targets import Recognition, block_lines, managed_key

__all__ = ["ControllerConfigMaps"]

_KIND = "ConfigInjected"
_TRIES = 5
_CONTENTION = timedelta(minutes=10)
_MOST_WRITES = 3
"""Times that our block may vanish in ``_CONTENTION`` before we leave it to whoever takes it out."""


class _Wanted(NamedTuple):
    data: dict[str, str]
    """All of the ConfigMap's, with the block."""
    key: str
    created: bool
    """Whether there was no such key before."""


class ControllerConfigMaps:
    """Keeps the block in controllers' ConfigMaps."""

    def __init__(self, cluster: Cluster, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._lost: dict[tuple[str, str], list[datetime]] = {}
        """When a block of ours had vanished and was written again, by ConfigMap; there is an entry once we have written to it: who
        takes out our lines may take out our annotation, too."""

    async def inject(self, resource: TelemetryResource, rendering: Rendering, recognition: Recognition) -> Verdict:
        """Puts the block where a controller finds it.

        Raises:
            ApiError: the API server can't be asked.
        """
        if recognition.config_map is None:
            return Verdict(_KIND, "True", "NotApplicable", "A plain HAProxy's configuration is rewritten in its pod.")
        namespace, name = recognition.config_map
        if recognition.snippets_disabled:
            return _failed("SnippetsDisabled", "The controller runs with --disable-config-snippets: allow `frontend` there.")
        if namespace != resource.namespace:
            return _failed(
                "ConfigMapElsewhere",
                f"The controller's ConfigMap is in namespace {namespace}; a resource is for its own only.",
            )
        for _ in range(_TRIES):
            found = await self._cluster.get(CONFIG_MAPS, namespace, name)
            if found is None:
                return _failed("ConfigMapNotFound", f"The controller's ConfigMap {name} does not exist: an empty one will do.")
            wanted = _with_block(found, rendering, recognition)
            if isinstance(wanted, Verdict):
                return wanted
            if rendering.spec.injection.config_strategy == "Shadow":
                await self._shadow(owned(resource, shadow_name(name), wanted.data))
                return Verdict(
                    _KIND, "True", "Injected", f"The controller reads {shadow_name(name)}, a copy of {name} with our lines."
                )
            data = found.get("data") or {}
            if data == wanted.data and wanted.key in _managed(found):
                return Verdict(_KIND, "True", "Injected", f"Our lines are in {name}, key {wanted.key}.")
            is_lost = self._is_lost(found, wanted)
            if is_lost and len(self._losses(namespace, name)) >= _MOST_WRITES:
                return _failed(
                    "ContendedByFieldManager",
                    f"Somebody takes our lines out of {name} again and again ({_writers(found)}): have it leave {wanted.key} "
                    "alone, or set spec.injection.configStrategy to Shadow.",
                )
            try:
                await self._cluster.patch(CONFIG_MAPS, namespace, name, _operations(found, wanted))
            except ApiError as error:
                if error.status not in (409, 422):
                    raise
                continue
            self._lost[namespace, name] = [*self._losses(namespace, name), *([self._now()] if is_lost else [])]
            return Verdict(_KIND, "True", "Injected", f"Our lines are in {name}, key {wanted.key}.")
        return _failed("Contended", f"{name} changes faster than it can be written.")

    async def revert(self, namespace: str) -> list[str]:
        """Takes our blocks out of all ConfigMaps of a namespace; says what it could not do.

        Raises:
            ApiError: the API server can't be asked.
        """
        problems: list[str] = []
        for found in await self._cluster.all(CONFIG_MAPS, namespace):
            if ANNOTATION_MANAGED in ((found["metadata"].get("annotations")) or {}):
                problems += await self._revert(found)
        return problems

    async def _revert(self, found: Mapping[str, Any]) -> list[str]:
        namespace, name = found["metadata"]["namespace"], found["metadata"]["name"]
        current: Mapping[str, Any] | None = found
        for _ in range(_TRIES):
            if current is None:
                self._lost.pop((namespace, name), None)
                return []
            operations, problems = _removal(current)
            try:
                await self._cluster.patch(CONFIG_MAPS, namespace, name, operations)
            except ApiError as error:
                if error.status not in (404, 409, 422):
                    raise
                current = await self._cluster.get(CONFIG_MAPS, namespace, name)
                continue
            self._lost.pop((namespace, name), None)
            return [f"{name}: {problem}" for problem in problems]
        return [f"{name} changes faster than it can be written."]

    async def _shadow(self, body: Mapping[str, Any]) -> None:
        """Writes our copy, if it is another one."""
        found = await self._cluster.get(CONFIG_MAPS, body["metadata"]["namespace"], body["metadata"]["name"])
        owners = [entry.get("uid") for entry in body["metadata"]["ownerReferences"]]
        if (
            found is None
            or found.get("data") != body["data"]
            or [entry.get("uid") for entry in found["metadata"].get("ownerReferences") or ()] != owners
        ):
            await self._cluster.apply(CONFIG_MAPS, body)

    def _is_lost(self, found: Mapping[str, Any], wanted: _Wanted) -> bool:
        """Whether a block of ours was there and has vanished."""
        metadata = found["metadata"]
        text = (found.get("data") or {}).get(wanted.key, "")
        ours = wanted.key in _managed(found) or (metadata["namespace"], metadata["name"]) in self._lost
        return ours and without_block(text).text == text

    def _losses(self, namespace: str, name: str) -> list[datetime]:
        """Those that count still."""
        now = self._now()
        return [time for time in self._lost.get((namespace, name), ()) if now - time < _CONTENTION]


def _with_block(found: Mapping[str, Any], rendering: Rendering, recognition: Recognition) -> _Wanted | Verdict:
    data: dict[str, str] = dict(found.get("data") or {})
    key = managed_key(recognition.kind)
    plain = without_block(data.get(key, ""))
    if plain.damaged_line is not None:
        return _failed(
            "MarkersDamaged",
            f"In {found['metadata']['name']}, key {key}, line {plain.damaged_line} is a marker of ours without its pair: take "
            "out both markers and what is between them.",
        )
    lines = block_lines(recognition.kind, rendering.frontend_lines, data, plain.text)
    created = _managed(found).get(key, {}).get("created", key not in data)
    return _Wanted(data | {key: with_block(plain.text, render_block(lines)).text}, key, bool(created))


def _operations(found: Mapping[str, Any], wanted: _Wanted) -> list[dict[str, Any]]:
    metadata = found["metadata"]
    operations: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}]
    if found.get("data") is None:
        operations.append({"op": "add", "path": "/data", "value": {}})
    operations.append({"op": "add", "path": f"/data/{_pointer(wanted.key)}", "value": wanted.data[wanted.key]})
    if metadata.get("annotations") is None:
        operations.append({"op": "add", "path": "/metadata/annotations", "value": {}})
    managed = json.dumps(_managed(found) | {wanted.key: {"created": wanted.created}}, sort_keys=True)
    operations.append({"op": "add", "path": f"/metadata/annotations/{_pointer(ANNOTATION_MANAGED)}", "value": managed})
    return operations


def _removal(found: Mapping[str, Any]) -> tuple[list[dict[str, Any]], list[str]]:
    metadata = found["metadata"]
    data = found.get("data") or {}
    operations: list[dict[str, Any]] = [{"op": "test", "path": "/metadata/resourceVersion", "value": metadata["resourceVersion"]}]
    problems: list[str] = []
    for key, kept in _managed(found).items():
        if key not in data:
            continue
        plain = without_block(data[key])
        if plain.damaged_line is not None:
            problems.append(f"key {key}, line {plain.damaged_line}: a marker of ours without its counterpart; the lines stay.")
        elif plain.text == "" and kept.get("created"):
            operations.append({"op": "remove", "path": f"/data/{_pointer(key)}"})
        elif plain.text != data[key]:
            operations.append({"op": "replace", "path": f"/data/{_pointer(key)}", "value": plain.text})
    operations.append({"op": "remove", "path": f"/metadata/annotations/{_pointer(ANNOTATION_MANAGED)}"})
    return operations, problems


def _managed(found: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Key -> what we know of it."""
    try:
        kept = json.loads((found["metadata"].get("annotations") or {}).get(ANNOTATION_MANAGED, "{}"))
    except ValueError:
        return {}
    return {key: value for key, value in kept.items() if isinstance(value, dict)} if isinstance(kept, dict) else {}


def _writers(found: Mapping[str, Any]) -> str:
    names = {entry.get("manager", "") for entry in found["metadata"].get("managedFields") or ()}
    return ", ".join(sorted(names - {"", "haproxy-telemetry-operator"})) or "unknown"


def _pointer(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def _failed(reason: str, message: str) -> Verdict:
    return Verdict(_KIND, "False", reason, message)
