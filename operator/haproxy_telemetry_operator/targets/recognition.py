"""Recognition: is HAProxy in this pod, of which kind, in which containers, and where does its configuration come from?

By images and arguments, since every installation names its containers as it likes; or the resource tells. What can't be told for
sure is not guessed: such a pod is left alone, with a word on why.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ..names import OWN_PREFIX
from ..resource.spec import Target
from .command_line import config_paths, option_values, words

__all__ = ["Kind", "NotRecognised", "Recognition", "recognise"]

Kind = Literal["KubernetesIngress", "HAProxyIngress", "Plain"]

_KUBERNETES_INGRESS = re.compile(r"(.*/)?(haproxy-)?kubernetes-ingress(-.*)?")
_HAPROXY_INGRESS = re.compile(r"(.*/)?haproxy-ingress(-controller)?(-.*)?")
_PLAIN = re.compile(r"(.*/)?haproxy(-(alpine|debian|ubuntu|lts|enterprise|ee).*)?")
_PLAIN_COMMAND = re.compile(r"(.*/)?haproxy")
_VERSION = re.compile(r"v?(\d+\.\d+(?:\.\d+)?)")
_DEFAULT_PATHS = (
    (re.compile(r"(.*/)?bitnami(legacy)?/haproxy"), "/bitnami/haproxy/conf/haproxy.cfg"),
    (re.compile(r".*"), "/usr/local/etc/haproxy/haproxy.cfg"),
)


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was found."""

    kind: Kind
    containers: tuple[str, ...]
    """Names of those that run HAProxy or check its configuration; the first one is HAProxy's."""
    config_map: tuple[str, str] | None = None
    """``(namespace, name)`` of an ingress controller's ConfigMap; None: it has none."""
    config_paths: tuple[str, ...] = ()
    """Plain only: what HAProxy reads, in order."""
    snippets_disabled: bool = False
    """The controller was told not to take our lines."""
    haproxy_version: str | None = None
    """What the image's tag says; of an ingress controller the controller's."""


@dataclass(frozen=True, slots=True)
class NotRecognised:
    """Why a pod is not instrumented, although it may be meant."""

    message: str


def recognise(pod_spec: Mapping[str, Any], namespace: str, target: Target) -> Recognition | NotRecognised | None:
    """What is in a pod.

    Args:
        pod_spec: ``spec`` of a pod or a pod template.
        namespace: where it is.
        target: what the resource says.

    Returns:
        None if there is no HAProxy in it.
    """
    containers = [entry for entry in pod_spec.get("containers") or () if not entry["name"].startswith(OWN_PREFIX)]
    if target.type == "Manual":
        return None
    if target.container_name is not None:
        containers = _chosen_first(containers, target.container_name)
        if not containers:
            return None
    if target.type in ("Auto", "KubernetesIngress"):
        found = _of_image(containers, _KUBERNETES_INGRESS) or (
            containers[:1] if target.type == "KubernetesIngress" and target.container_name else []
        )
        if found:
            return _kubernetes_ingress(found[0], namespace, target)
    if target.type in ("Auto", "HAProxyIngress"):
        found = _of_image(containers, _HAPROXY_INGRESS) or (
            containers[:1] if target.type == "HAProxyIngress" and target.container_name else []
        )
        if found:
            return _haproxy_ingress(found[0], containers, namespace, target)
    if target.type in ("Auto", "Plain"):
        return _plain(containers, target)
    return None


def _kubernetes_ingress(container: Mapping[str, Any], namespace: str, target: Target) -> Recognition | NotRecognised:
    arguments = words(container)
    config_map = _config_map(arguments, namespace, target)
    if isinstance(config_map, NotRecognised):
        return config_map
    disabled = {part.strip() for value in option_values(arguments, "--disable-config-snippets") for part in value.split(",")}
    return Recognition(
        "KubernetesIngress",
        (container["name"],),
        config_map,
        snippets_disabled=bool(disabled & {"frontend", "all"}),
        haproxy_version=_version(container),
    )


def _haproxy_ingress(
    controller: Mapping[str, Any], containers: Sequence[Mapping[str, Any]], namespace: str, target: Target
) -> Recognition | NotRecognised:
    config_map = _config_map(words(controller), namespace, target)
    if isinstance(config_map, NotRecognised):
        return config_map
    external = [entry for entry in containers if entry is not controller and _is_plain(entry)]
    names = (*(entry["name"] for entry in external), controller["name"])
    return Recognition(
        "HAProxyIngress",
        names,
        config_map,
        haproxy_version=_version(external[0] if external else controller),
    )


def _config_map(arguments: Sequence[str], namespace: str, target: Target) -> tuple[str, str] | NotRecognised:
    if target.config_map_ref is not None:
        return namespace, target.config_map_ref.name
    values = option_values(arguments, "--configmap")
    if not values:
        return NotRecognised("The controller has no --configmap argument: set one, or spec.target.configMapRef.")
    where, slash, name = values[-1].partition("/")
    return (where, name) if slash else (namespace, where)


def _plain(containers: Sequence[Mapping[str, Any]], target: Target) -> Recognition | NotRecognised | None:
    told = target.container_name is not None
    found = list(containers[:1]) if told else [entry for entry in containers if _is_plain(entry)]
    if not found:
        return None
    if len(found) > 1:
        names = ", ".join(entry["name"] for entry in found)
        return NotRecognised(f"HAProxy is in several containers ({names}): set spec.target.containerName.")
    container = found[0]
    paths = [target.config_path] if target.config_path is not None else config_paths(words(container))
    if not paths:
        image = _repository(container)
        paths = [next(path for pattern, path in _DEFAULT_PATHS if pattern.fullmatch(image))]
    relative = [path for path in paths if not path.startswith("/")]
    if relative:
        return NotRecognised(f"HAProxy reads {relative[0]!r}, which is no absolute path: set spec.target.configPath.")
    variable = [path for path in paths if "$(" in path]
    if variable:
        return NotRecognised(f"HAProxy reads {variable[0]!r}, a path with a variable in it: set spec.target.configPath.")
    return Recognition("Plain", (container["name"],), config_paths=tuple(paths), haproxy_version=_version(container))


def _is_plain(container: Mapping[str, Any]) -> bool:
    if _PLAIN.fullmatch(_repository(container)):
        return True
    command = (container.get("command") or [""])[0]
    return _PLAIN_COMMAND.fullmatch(command) is not None


def _of_image(containers: Sequence[Mapping[str, Any]], pattern: re.Pattern[str]) -> list[Mapping[str, Any]]:
    return [entry for entry in containers if pattern.fullmatch(_repository(entry))]


def _chosen_first(containers: Sequence[Mapping[str, Any]], name: str) -> list[Mapping[str, Any]]:
    chosen = [entry for entry in containers if entry["name"] == name]
    return [*chosen, *(entry for entry in containers if entry["name"] != name)] if chosen else []


def _repository(container: Mapping[str, Any]) -> str:
    """The image without registry's port confusion, tag and digest."""
    image = str(container.get("image") or "").partition("@")[0]
    front, slash, last = image.rpartition("/")
    return f"{front}{slash}{last.partition(':')[0]}"


def _version(container: Mapping[str, Any]) -> str | None:
    image = str(container.get("image") or "").partition("@")[0]
    match = _VERSION.match(image.rpartition("/")[2].partition(":")[2])
    return None if match is None else match[1]
