"""Workloads and pods, as far as they matter: which belong to a resource, and how far they are."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from ..names import ANNOTATION_CONFIG_HASH, ANNOTATION_INJECTED, ANNOTATION_RESTARTED_AT, GROUP, LABEL_INJECT
from ..resource.spec import LabelSelector

__all__ = ["ANNOTATION_ATTEMPTS", "Pod", "Workload", "selects"]

ANNOTATION_ATTEMPTS = f"{GROUP}/restarts"
"""On a pod template: how often it was restarted for the hash beside it."""
_TEMPLATE_HASH_LABEL = "pod-template-hash"
_PULL_ERRORS = frozenset(
    ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "CreateContainerConfigError")
)


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod."""

    name: str
    uid: str
    owner: tuple[str, str] | None
    """``(kind, name)`` of its workload."""
    labels: Mapping[str, str]
    injected: str | None
    """The resource whose agent is in it."""
    config_hash: str | None
    ready: bool
    ending: bool
    ip: str
    created: str
    waiting: str | None
    """Why a container of ours does not start."""

    @classmethod
    def of_body(cls, body: Mapping[str, Any]) -> Self:
        """From the API's object."""
        metadata, status = body["metadata"], body.get("status") or {}
        annotations, labels = metadata.get("annotations") or {}, metadata.get("labels") or {}
        conditions = {entry["type"]: entry["status"] for entry in status.get("conditions") or ()}
        return cls(
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            owner=_owner(metadata, labels),
            labels=labels,
            injected=annotations.get(ANNOTATION_INJECTED),
            config_hash=annotations.get(ANNOTATION_CONFIG_HASH),
            ready=conditions.get("Ready") == "True",
            ending=metadata.get("deletionTimestamp") is not None or status.get("phase") in ("Succeeded", "Failed"),
            ip=status.get("podIP", ""),
            created=metadata.get("creationTimestamp", ""),
            waiting=_waiting(status),
        )


def _owner(metadata: Mapping[str, Any], labels: Mapping[str, str]) -> tuple[str, str] | None:
    for reference in metadata.get("ownerReferences") or ():
        if not reference.get("controller"):
            continue
        if reference["kind"] == "ReplicaSet":
            template_hash = labels.get(_TEMPLATE_HASH_LABEL)
            if template_hash is None or not reference["name"].endswith(f"-{template_hash}"):
                return None
            return "Deployment", reference["name"].removesuffix(f"-{template_hash}")
        return reference["kind"], reference["name"]
    return None


def _waiting(status: Mapping[str, Any]) -> str | None:
    for entry in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (entry.get("state") or {}).get("waiting") or {}
        if entry["name"].startswith("haproxy-telemetry") and waiting.get("reason") in _PULL_ERRORS:
            return f"{entry['name']}: {waiting['reason']}: {waiting.get('message', '')}"[:300]
    return None


@dataclass(frozen=True, slots=True)
class Workload:
    """A Deployment, a StatefulSet or a DaemonSet."""

    kind: str
    name: str
    template: Mapping[str, Any]
    generation: int
    observed_generation: int
    replicas: int
    """Wanted ones."""
    updated: int
    available: int
    current: int
    """Pods that there are, old ones too."""
    paused: bool
    on_delete: bool
    stuck: bool
    """Its own controller has given up waiting."""
    refused: str = ""
    """Why its own controller can't make a pod: a quota, a policy."""

    @classmethod
    def of_body(cls, kind: str, body: Mapping[str, Any]) -> Self:
        """From the API's object."""
        metadata, spec, status = body["metadata"], body.get("spec") or {}, body.get("status") or {}
        daemons = kind == "DaemonSet"
        strategy = spec.get("updateStrategy") or {}
        conditions = {entry["type"]: entry for entry in status.get("conditions") or ()}
        return cls(
            kind=kind,
            name=metadata["name"],
            template=spec.get("template") or {},
            generation=metadata.get("generation", 0),
            observed_generation=status.get("observedGeneration", 0),
            replicas=status.get("desiredNumberScheduled", 0) if daemons else spec.get("replicas", 1),
            updated=status.get("updatedNumberScheduled" if daemons else "updatedReplicas", 0),
            available=status.get("numberAvailable" if daemons else "availableReplicas", 0),
            current=status.get("currentNumberScheduled", 0) if daemons else status.get("replicas", 0),
            paused=bool(spec.get("paused")),
            on_delete=strategy.get("type") == "OnDelete",
            stuck=conditions.get("Progressing", {}).get("reason") == "ProgressDeadlineExceeded"
            # What it says of an older template is past.
            and status.get("observedGeneration", 0) >= metadata.get("generation", 0),
            refused=_refusal(conditions.get("ReplicaFailure", {})),
        )

    @property
    def key(self) -> tuple[str, str]:
        """``(kind, name)``."""
        return self.kind, self.name

    @property
    def labels(self) -> Mapping[str, str]:
        """Of its pods."""
        return (self.template.get("metadata") or {}).get("labels") or {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """Of its pods."""
        return (self.template.get("metadata") or {}).get("annotations") or {}

    @property
    def settled(self) -> bool:
        """Whether all its pods are as its template says, and serve."""
        return (
            self.observed_generation >= self.generation
            and self.updated >= self.replicas
            and self.available >= self.replicas
            and self.current <= self.replicas
        )

    @property
    def restarted_for(self) -> str | None:
        """The hash that it was last restarted for."""
        return self.annotations.get(ANNOTATION_CONFIG_HASH)

    @property
    def restarted_at(self) -> str | None:
        """When; RFC 3339, UTC."""
        return self.annotations.get(ANNOTATION_RESTARTED_AT)

    @property
    def attempts(self) -> int:
        """How often it was restarted for that hash."""
        text = self.annotations.get(ANNOTATION_ATTEMPTS, "")
        return int(text) if text.isascii() and text.isdecimal() else 0


def _refusal(condition: Mapping[str, Any]) -> str:
    return str(condition.get("message", ""))[:300] if condition.get("status") == "True" else ""


def selects(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether pods with these labels are meant: the resource's selector, and nobody opted out."""
    if labels.get(LABEL_INJECT) == "false":
        return False
    if selector is None:
        return True
    if any(labels.get(key) != value for key, value in selector.match_labels.items()):
        return False
    for requirement in selector.match_expressions:
        value = labels.get(requirement.key)
        match requirement.operator:
            case "In" if value not in requirement.values:
                return False
            case "NotIn" if value in requirement.values:
                return False
            case "Exists" if value is None:
                return False
            case "DoesNotExist" if value is not None:
                return False
    return True
