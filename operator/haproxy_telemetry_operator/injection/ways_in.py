"""Ways in: how each kind of HAProxy comes by its configuration for the agent, beside the sidecar.

* An ingress controller has our lines in its ConfigMap; the sections behind them are mounted as a file that HAProxy reads anyway.
* A plain HAProxy reads a copy of its configuration with the lines in it: the mounts that it lies on are swapped for an empty volume
  at the same paths, which an init container fills. No argument and no path of the user's changes.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ..names import OWN_PREFIX, payload_name, shadow_name
from ..rendering.payload import key_of
from ..rendering.places import PAYLOAD_DIRECTORY
from .case import Case
from .originals import Originals
from .plain import plain_parts
from .pod_parts import Parts
from .refusal import CannotInject
from .sidecar import PAYLOAD_VOLUME

__all__ = ["way_in"]

_AUX_FILE = "/etc/haproxy/haproxy-aux.cfg"
_AUX_FILE_SPELLINGS = frozenset((_AUX_FILE, "/usr/local/etc/haproxy/haproxy-aux.cfg"))
_LAST_FILE = "/etc/haproxy/zz-haproxy-telemetry.cfg"
"""haproxy-ingress has HAProxy read all of a directory, in the order of names."""
_AUX_VOLUME = f"{OWN_PREFIX}-aux"


def way_in(case: Case, spec: dict[str, Any], originals: Originals) -> Parts:
    """What this kind needs; replaces in ``spec`` what has to be replaced, and notes it.

    Raises:
        CannotInject: this pod can't be instrumented.
    """
    recognition = case.recognition
    if recognition.kind == "Plain":
        return plain_parts(case, spec, originals)
    parts = Parts()
    payload = {"name": PAYLOAD_VOLUME, "mountPath": PAYLOAD_DIRECTORY, "readOnly": True}
    key = key_of("haproxy-aux.cfg", case.transport)
    for container in spec["containers"]:
        if container["name"] not in recognition.containers:
            continue
        mounts = parts.mounts.setdefault(container["name"], [dict(payload)])
        if recognition.kind == "HAProxyIngress":
            mounts.append({"name": PAYLOAD_VOLUME, "mountPath": _LAST_FILE, "subPath": key, "readOnly": True})
            continue
        taken = next((mount for mount in container.get("volumeMounts") or () if mount["mountPath"] in _AUX_FILE_SPELLINGS), None)
        if taken is None:
            mounts.append({"name": PAYLOAD_VOLUME, "mountPath": _AUX_FILE, "subPath": key, "readOnly": True})
        else:
            parts.volumes.append(_both_files(spec, taken, payload_name(case.resource.name), key))
            originals.note_mounts(container)
            container["volumeMounts"].remove(taken)
            mounts.append({"name": _AUX_VOLUME, "mountPath": taken["mountPath"], "readOnly": True})
    if case.spec.injection.config_strategy == "Shadow" and recognition.config_map is not None:
        _point_at_shadow(spec, recognition.containers, recognition.config_map, originals)
    return parts


def _both_files(spec: Mapping[str, Any], mount: Mapping[str, Any], payload: str, key: str) -> dict[str, Any]:
    """A directory in place of the user's file, with that file and ours in it."""
    volume: Mapping[str, Any] = next((entry for entry in spec.get("volumes") or () if entry["name"] == mount["name"]), {})
    sub_path = mount.get("subPath")
    source: dict[str, Any] | None = None
    for kind, name_field in (("configMap", "name"), ("secret", "secretName")):
        if kind in volume and sub_path:
            items = {item["path"]: item["key"] for item in volume[kind].get("items") or ()}
            source = {
                kind: {
                    "name": volume[kind][name_field],
                    "items": [{"key": items.get(sub_path, sub_path), "path": "10-user.cfg"}],
                }
            }
            if volume[kind].get("optional"):
                source[kind]["optional"] = True
    if source is None:
        raise CannotInject(
            f"{mount['mountPath']} is of volume {mount['name']!r}, which is neither a ConfigMap nor a Secret with a subPath."
        )
    ours = {
        "configMap": {
            "name": payload,
            "items": [{"key": key, "path": "90-haproxy-telemetry.cfg"}],
            "optional": True,
        }
    }
    return {"name": _AUX_VOLUME, "projected": {"sources": [source, ours]}}


def _point_at_shadow(spec: dict[str, Any], containers: Sequence[str], config_map: tuple[str, str], originals: Originals) -> None:
    """The controller reads our copy of its ConfigMap."""
    namespace, name = config_map
    before = {f"{namespace}/{name}", name}
    pointed = False
    for container in spec["containers"]:
        if container["name"] not in containers:
            continue
        for field in ("command", "args"):
            for index, word in enumerate(container.get(field) or ()):
                option, equals, value = word.partition("=")
                previous = container[field][index - 1] if index else ""
                if option.lstrip("-") == "configmap" and equals and value in before:
                    originals.note_arguments(container)
                    container[field][index] = f"{option}={namespace}/{shadow_name(name)}"
                    pointed = True
                elif previous.lstrip("-") == "configmap" and word in before:
                    originals.note_arguments(container)
                    container[field][index] = f"{namespace}/{shadow_name(name)}"
                    pointed = True
    if not pointed:
        raise CannotInject(
            f"Strategy Shadow changes the --configmap argument, and no argument names {name}: add one, or set "
            "spec.injection.configStrategy to Merge."
        )
