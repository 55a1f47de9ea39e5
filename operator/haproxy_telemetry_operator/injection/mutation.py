"""The mutation: ``mutate(pod, resource, facts)``. What it is not sure of, it leaves alone.

All of it is computed from the pod as it came. A pod that is injected as the resource wants it is left as it is, which makes a
second call nothing (the API server does call twice); one that was injected otherwise is first made what it was.
"""

import copy
from collections.abc import Mapping
from typing import Any, NamedTuple

from ..names import ANNOTATION_CONFIG_HASH, ANNOTATION_INJECTED, LABEL_INJECT, OWN_PREFIX
from ..rendering import render
from ..resource import SpecProblem, TelemetryResource
from ..targets import NotRecognised, recognise
from .case import Case, Owner
from .facts import Facts
from .originals import Originals, restored
from .pod_parts import Parts, add_parts
from .refusal import CannotInject
from .sidecar import sidecar_parts, transport_of
from .ways_in import way_in

__all__ = ["Mutation", "is_injected", "mutate", "owner_of"]

_OWNER_KINDS = frozenset(("ReplicaSet", "DaemonSet", "StatefulSet"))
"""Whose pods live on: no Job would ever end beside a sidecar on old clusters, and nobody restarts a pod without an owner."""


class Mutation(NamedTuple):
    """What becomes of a pod."""

    pod: dict[str, Any] | None
    """Changed; None: it stays as it is."""
    result: str
    """``injected``, ``unchanged``, or why not: ``opted_out``, ``not_owned``, ``not_haproxy``, ``suspended``, ``unsupported``,
    ``invalid_resource``."""
    message: str = ""
    """For people."""


def mutate(pod: Mapping[str, Any], *, namespace: str, resource: TelemetryResource, facts: Facts) -> Mutation:
    """Puts the agent into a pod.

    Args:
        pod: as it came; not changed.
        namespace: where it is to be made (its own may be missing).
        resource: the one in charge of the namespace.
        facts: of the cluster.
    """
    metadata = pod.get("metadata") or {}
    if (metadata.get("labels") or {}).get(LABEL_INJECT) == "false":
        return Mutation(None, "opted_out")
    owner = owner_of(pod)
    if owner is None:
        return Mutation(None, "not_owned")
    if resource.deleting:
        return Mutation(None, "suspended")
    try:
        rendering = render(resource)
    except SpecProblem as problem:
        return Mutation(None, "invalid_resource", str(problem))
    if rendering.spec.suspend:
        return Mutation(None, "suspended")
    annotations = metadata.get("annotations") or {}
    if is_injected(pod) and annotations.get(ANNOTATION_CONFIG_HASH) == rendering.config_hash:
        return Mutation(None, "unchanged")
    taken = _taken_name(pod)
    if not is_injected(pod) and taken is not None:
        return Mutation(None, "unsupported", f"{taken!r} is a name that only the injector may give: rename it.")
    original = restored(pod) if is_injected(pod) else pod
    recognition = recognise(original.get("spec") or {}, namespace, rendering.spec.target)
    if recognition is None:
        return Mutation(None, "not_haproxy")
    if isinstance(recognition, NotRecognised):
        return Mutation(None, "unsupported", recognition.message)
    transport = transport_of(rendering.spec, original["spec"])
    case = Case(namespace, resource, rendering, recognition, owner, transport, facts)
    try:
        injected = _injected(case, original)
    except CannotInject as reason:
        return Mutation(None, "unsupported", str(reason))
    return Mutation(injected, "injected")


def is_injected(pod: Mapping[str, Any]) -> bool:
    """Whether the agent is in it."""
    return ANNOTATION_INJECTED in ((pod.get("metadata") or {}).get("annotations") or {})


def _taken_name(pod: Mapping[str, Any]) -> str | None:
    """A container or a volume of the user's that would be taken for one of ours."""
    spec = pod.get("spec") or {}
    names = (entry["name"] for key in ("initContainers", "containers", "volumes") for entry in spec.get(key) or ())
    return next((name for name in names if name.startswith(OWN_PREFIX)), None)


def owner_of(pod: Mapping[str, Any]) -> Owner | None:
    """The controller of a pod, if it is one that makes it anew."""
    for reference in (pod.get("metadata") or {}).get("ownerReferences") or ():
        if reference.get("controller") and reference.get("kind") in _OWNER_KINDS:
            template_hash = (pod["metadata"].get("labels") or {}).get("pod-template-hash")
            return Owner(reference["kind"], reference["name"], template_hash)
    return None


def _injected(case: Case, original: Mapping[str, Any]) -> dict[str, Any]:
    pod = copy.deepcopy(dict(original))
    spec = pod["spec"]
    originals = Originals()
    parts = Parts()
    parts += sidecar_parts(case, pod)
    parts += way_in(case, spec, originals)
    add_parts(spec, parts)
    annotations = pod["metadata"].get("annotations") or {}
    pod["metadata"]["annotations"] = annotations
    annotations[ANNOTATION_INJECTED] = case.resource.name
    annotations[ANNOTATION_CONFIG_HASH] = case.rendering.config_hash
    originals.note_default_container(annotations, case.recognition.containers[0])
    originals.write(annotations)
    return pod
