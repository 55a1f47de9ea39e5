"""The way into a plain HAProxy: its configuration's mounts are swapped, and an init container fills what is mounted instead.

Each mount that a ``-f`` lies on becomes an empty volume at the same path. One init container of ours copies what was mounted there,
with our lines in it; one of HAProxy's own image then has HAProxy check the result, and puts the original back if it is refused.
What lies on no volume is in the image: there a first init container, of that image, copies the directory out.
"""

import copy
import posixpath
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..names import OWN_PREFIX
from ..pod_check import check_command
from ..rendering.payload import key_of
from ..rendering.places import PAYLOAD_DIRECTORY
from ..targets.command_line import words
from .case import Case
from .containers import NO_TOKEN_MOUNT, own_container
from .originals import Originals
from .pod_parts import Parts
from .refusal import CannotInject
from .sidecar import PAYLOAD_VOLUME

__all__ = ["plain_parts"]

_VOLUME = f"{OWN_PREFIX}-config"
_REWRITER = f"{OWN_PREFIX}-config"
_IMAGE_COPY = f"{OWN_PREFIX}-image"
_CHECK = f"{OWN_PREFIX}-check"
_SOURCE = "/haproxy-telemetry/source"
_DESTINATION = "/haproxy-telemetry/destination"
_READ_ONLY_KINDS = ("configMap", "secret", "projected", "downwardAPI")
_FOLDERS = frozenset(("/etc/haproxy", "/usr/local/etc/haproxy"))
"""What every image that has them has as folders."""


@dataclass(frozen=True)
class _Swap:
    """One mount that becomes ours."""

    number: int
    mount: Mapping[str, Any] | None
    """The user's; None: the path is in the image."""
    mount_path: str
    is_file: bool
    """Whether a single file is mounted."""

    @property
    def volume(self) -> str:
        return f"{_VOLUME}-{self.number}"

    @property
    def image_volume(self) -> str:
        return f"{_IMAGE_COPY}-{self.number}"


def plain_parts(case: Case, spec: dict[str, Any], originals: Originals) -> Parts:
    """The init containers and volumes; replaces mounts of HAProxy's container.

    Raises:
        CannotInject: the configuration can't be got at.
    """
    recognition = case.recognition
    container = next(entry for entry in spec["containers"] if entry["name"] == recognition.containers[0])
    volumes = {entry["name"]: entry for entry in spec.get("volumes") or ()}
    swaps = _swaps(container, recognition.config_paths, volumes)
    parts = Parts(mounts={container["name"]: [{"name": PAYLOAD_VOLUME, "mountPath": PAYLOAD_DIRECTORY, "readOnly": True}]})
    before = copy.deepcopy(container)
    originals.note_mounts(container)
    for swap in swaps:
        volume = {} if swap.mount is None else volumes.get(swap.mount["name"], {})
        _check_readable(spec, volume, swap)
        _swap(container, swap, parts, read_only=any(kind in volume for kind in _READ_ONLY_KINDS))
    copied = [swap for swap in swaps if swap.mount is None]
    if copied:
        parts.init_containers.append(_image_copy(before, copied))
    parts.init_containers.append(
        own_container(_REWRITER, case.spec, case.facts)
        | {
            "command": ["haproxy-telemetry-operator"],
            "args": [
                "rewrite",
                "--plan",
                f"{PAYLOAD_DIRECTORY}/{key_of('insertions.json', case.transport)}",
                *(word for swap in swaps for word in ("--mount", swap.mount_path, _source(swap), _destination(swap))),
                *(word for path in recognition.config_paths for word in ("--file", path)),
            ],
            "volumeMounts": [
                {"name": PAYLOAD_VOLUME, "mountPath": PAYLOAD_DIRECTORY, "readOnly": True},
                *(_source_mount(swap) for swap in swaps),
                *({"name": swap.volume, "mountPath": _destination(swap)} for swap in swaps),
                dict(NO_TOKEN_MOUNT),
            ],
        }
    )
    parts.init_containers.append(_check(container, swaps, recognition.config_paths))
    return parts


def _swaps(container: Mapping[str, Any], paths: Sequence[str], volumes: Mapping[str, Mapping[str, Any]]) -> list[_Swap]:
    """Several paths on one mount are one swap."""
    by_path: dict[str, Mapping[str, Any] | None] = {}
    for path in paths:
        mounts = [mount for mount in container.get("volumeMounts") or () if _is_within(path, mount["mountPath"])]
        mount = max(mounts, key=lambda entry: len(entry["mountPath"].rstrip("/")), default=None)
        if mount is not None and mount.get("mountPropagation") not in (None, "None"):
            raise CannotInject(f"{path} lies on a mount with mountPropagation, which can't be replaced by another one.")
        if mount is not None and mount.get("subPathExpr"):
            raise CannotInject(f"{path} lies on a mount with subPathExpr, which means something else in another container.")
        where = _folder_in_the_image(path) if mount is None else mount["mountPath"]
        by_path[where] = mount
    return [
        _Swap(number, mount, where, mount is not None and _is_file(mount, volumes.get(mount["name"], {})))
        for number, (where, mount) in enumerate(by_path.items())
    ]


def _folder_in_the_image(path: str) -> str:
    """What is copied out of the image for a path on no volume. Where a folder is mounted over a file no container starts."""
    where = posixpath.dirname(path) if _looks_like_a_file(path) else path.rstrip("/")
    if where in ("", "/"):
        raise CannotInject(f"HAProxy reads {path}, and the root of an image's file system can't be replaced.")
    if not (_looks_like_a_file(path) or path.endswith(("/", ".d")) or path in _FOLDERS):
        raise CannotInject(
            f"HAProxy reads {path}, which is in its image and may be a file or a folder: set spec.target.configPath, "
            "with a slash at its end for a folder, or mount the configuration."
        )
    return where


def _is_file(mount: Mapping[str, Any], volume: Mapping[str, Any]) -> bool:
    """Whether a mount is of a single file."""
    host_path = volume.get("hostPath")
    if not mount.get("subPath"):
        # Only of the host can a volume as a whole be a file.
        kind = (host_path or {}).get("type") or ""
        return host_path is not None and (kind.startswith("File") or (not kind and _looks_like_a_file(host_path["path"])))
    for kind in ("configMap", "secret"):
        if kind in volume:
            items = volume[kind].get("items")
            return not items or any(item["path"] == mount["subPath"] for item in items)
    return _looks_like_a_file(mount["subPath"])


def _is_within(path: str, mount_path: str) -> bool:
    return path == mount_path.rstrip("/") or path.startswith(mount_path.rstrip("/") + "/")


def _looks_like_a_file(path: str) -> bool:
    return "." in posixpath.basename(path) and not path.endswith(".d")


def _check_readable(spec: Mapping[str, Any], volume: Mapping[str, Any], swap: _Swap) -> None:
    """The copy is made by a user of no rights: what only root may read would keep the pod from starting."""
    if (spec.get("securityContext") or {}).get("fsGroup") is not None:
        return
    for kind in _READ_ONLY_KINDS:
        source = volume.get(kind) or {}
        parts = [source, *(part for entry in source.get("sources") or () for part in entry.values())]
        modes = [part["defaultMode"] for part in parts if part.get("defaultMode") is not None]
        modes += [item["mode"] for part in parts for item in part.get("items") or () if item.get("mode") is not None]
        if any(not mode & 0o004 for mode in modes):
            raise CannotInject(
                f"{swap.mount_path} has files that only root may read: set the pod's fsGroup, or a mode such as 0644."
            )


def _swap(container: dict[str, Any], swap: _Swap, parts: Parts, *, read_only: bool) -> None:
    parts.volumes.append({"name": swap.volume, "emptyDir": {}})
    ours: dict[str, Any] = {"name": swap.volume, "mountPath": swap.mount_path}
    if swap.is_file:
        ours["subPath"] = posixpath.basename(swap.mount_path)
    if swap.mount is None:
        parts.volumes.append({"name": swap.image_volume, "emptyDir": {}})
        container["volumeMounts"] = [*(container.get("volumeMounts") or ()), ours]
        return
    if read_only or swap.mount.get("readOnly"):
        ours["readOnly"] = True
    mounts = container["volumeMounts"]
    mounts[mounts.index(swap.mount)] = ours


def _source(swap: _Swap) -> str:
    return f"{_SOURCE}/{swap.number}"


def _destination(swap: _Swap) -> str:
    return f"{_DESTINATION}/{swap.number}"


def _source_mount(swap: _Swap) -> dict[str, Any]:
    if swap.mount is None:
        return {"name": swap.image_volume, "mountPath": _source(swap), "readOnly": True}
    return {key: value for key, value in swap.mount.items() if key in ("name", "subPath")} | {
        "mountPath": _source(swap),
        "readOnly": True,
    }


def _image_copy(container: Mapping[str, Any], swaps: Sequence[_Swap]) -> dict[str, Any]:
    commands = " && ".join(shlex.join(["cp", "-R", f"{swap.mount_path}/.", f"{_source(swap)}/"]) for swap in swaps)
    return _of_users_image(_IMAGE_COPY, container) | {
        "command": ["/bin/sh", "-c", f"{commands} || true"],
        "volumeMounts": [
            *({"name": swap.image_volume, "mountPath": _source(swap)} for swap in swaps),
            dict(NO_TOKEN_MOUNT),
        ],
    }


def _check(container: Mapping[str, Any], swaps: Sequence[_Swap], paths: Sequence[str]) -> dict[str, Any]:
    """All that HAProxy will see, and beside it the whole of the volumes."""
    arguments = [word for path in paths for word in ("-f", path)]
    command = check_command([_destination(swap) for swap in swaps], arguments, program=_program(container))
    return _of_users_image(_CHECK, container) | {
        "command": command,
        "volumeMounts": [
            *copy.deepcopy(container["volumeMounts"]),
            {"name": PAYLOAD_VOLUME, "mountPath": PAYLOAD_DIRECTORY, "readOnly": True},
            *({"name": swap.volume, "mountPath": _destination(swap)} for swap in swaps),
        ],
    }


def _of_users_image(name: str, container: Mapping[str, Any]) -> dict[str, Any]:
    kept = ("image", "imagePullPolicy", "env", "envFrom", "securityContext", "resources", "workingDir")
    return {"name": name} | {key: copy.deepcopy(container[key]) for key in kept if key in container}


def _program(container: Mapping[str, Any]) -> str:
    first = next(iter(words(container)), "")
    return first if posixpath.basename(first) == "haproxy" else "haproxy"
