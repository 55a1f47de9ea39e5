"""Originals: what of the user's was replaced in a pod, kept in an annotation, so that an injected pod can be made what it was.

Only three things are ever replaced: a volume mount (by one at the same path), the name of a ConfigMap in a controller's arguments,
and the pod's default container, if it had none. All else is added, and known by its name.
"""

import copy
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ..names import ANNOTATION_CONFIG_HASH, ANNOTATION_INJECTED, GROUP, GUARD_VARIABLE, OWN_PREFIX

__all__ = ["Originals", "restored"]

_ANNOTATION = f"{GROUP}/originals"
_DEFAULT_CONTAINER = "kubectl.kubernetes.io/default-container"


@dataclass
class Originals:
    """What was replaced."""

    mounts: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """Container -> its mounts, all of them, in their order."""
    arguments: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    """Container -> ``command`` and ``args``, if it has them."""
    default_container: bool = False
    """Whether the annotation is ours."""

    def note_mounts(self, container: Mapping[str, Any]) -> None:
        """Before any of them is replaced."""
        self.mounts.setdefault(container["name"], copy.deepcopy(list(container.get("volumeMounts") or [])))

    def note_arguments(self, container: Mapping[str, Any]) -> None:
        """Before any of them is replaced."""
        kept = {name: list(container[name]) for name in ("command", "args") if container.get(name)}
        self.arguments.setdefault(container["name"], kept)

    def note_default_container(self, annotations: dict[str, str], container: str) -> None:
        """Has ``kubectl logs`` and ``exec`` go on meaning HAProxy."""
        if _DEFAULT_CONTAINER not in annotations:
            annotations[_DEFAULT_CONTAINER] = container
            self.default_container = True

    def write(self, annotations: dict[str, str]) -> None:
        """Into a pod's annotations."""
        kept = {"mounts": self.mounts, "arguments": self.arguments, "defaultContainer": self.default_container}
        annotations[_ANNOTATION] = json.dumps(kept, sort_keys=True, separators=(",", ":"))


def restored(pod: Mapping[str, Any]) -> dict[str, Any]:
    """A copy of a pod without anything of ours."""
    result: dict[str, Any] = copy.deepcopy(dict(pod))
    spec, metadata = result.setdefault("spec", {}), result.setdefault("metadata", {})
    annotations = metadata.get("annotations") or {}
    kept = _read(annotations)
    for name in ("initContainers", "containers", "volumes"):
        if name in spec:
            _keep(spec, name, _is_others)
    for container in (*(spec.get("initContainers") or ()), *(spec.get("containers") or ())):
        mounts = kept.get("mounts", {}).get(container["name"])
        if mounts:
            container["volumeMounts"] = mounts
        elif mounts is not None:
            container.pop("volumeMounts", None)
        container.update(kept.get("arguments", {}).get(container["name"], {}))
        _keep(container, "volumeMounts", _is_others)
        _keep(container, "env", lambda name: name != GUARD_VARIABLE)
    if kept.get("defaultContainer"):
        annotations.pop(_DEFAULT_CONTAINER, None)
    for name in (ANNOTATION_INJECTED, ANNOTATION_CONFIG_HASH, _ANNOTATION):
        annotations.pop(name, None)
    if "annotations" in metadata and not annotations:
        del metadata["annotations"]
    return result


def _is_others(name: str) -> bool:
    return not name.startswith(OWN_PREFIX)


def _keep(parent: dict[str, Any], name: str, is_kept: Callable[[str], bool]) -> None:
    entries = parent.get(name)
    if not entries:
        return
    others = [entry for entry in entries if is_kept(entry["name"])]
    if others:
        parent[name] = others
    else:
        del parent[name]


def _read(annotations: Mapping[str, str]) -> dict[str, Any]:
    try:
        kept = json.loads(annotations.get(_ANNOTATION, "{}"))
    except ValueError:
        return {}
    return kept if isinstance(kept, dict) else {}
