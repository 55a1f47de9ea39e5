"""The sidecar: the agent's container, what it reads, and who it says it is.

Its first process is a supervisor that never ends before it is told to: a sidecar that exits takes its pod out of service. No
liveness probe for the same reason, and a startup probe that only asks whether the supervisor runs.
"""

import copy
from collections.abc import Mapping
from typing import Any

from ..names import GUARD_VARIABLE, OWN_PREFIX, payload_name, routes_name
from ..rendering.agent_settings import Transport
from ..rendering.credentials import projected_sources
from ..rendering.payload import ENABLED_KEY, key_of
from ..rendering.places import CREDENTIALS_DIRECTORY, PAYLOAD_DIRECTORY, ROUTES_DIRECTORY, SOCKET_DIRECTORY, SPILL_DIRECTORY
from ..resource.spec import Spec
from .case import Case, Owner
from .containers import NO_TOKEN_MOUNT, NO_TOKEN_VOLUME, own_container
from .pod_parts import Parts

__all__ = ["METRICS_PORT_NAME", "PAYLOAD_VOLUME", "SIDECAR", "sidecar_parts", "transport_of"]

SIDECAR = OWN_PREFIX
PAYLOAD_VOLUME = OWN_PREFIX
METRICS_PORT_NAME = "ht-metrics"
_ROUTES_VOLUME = f"{OWN_PREFIX}-routes"
_CREDENTIALS_VOLUME = f"{OWN_PREFIX}-credentials"
_SOCKET_VOLUME = f"{OWN_PREFIX}-run"
_SPILL_VOLUME = f"{OWN_PREFIX}-spill"
_SERVICE_NAME_ANNOTATION = "resource.opentelemetry.io/service.name"
_SERVICE_NAME_LABELS = ("app.kubernetes.io/instance", "app.kubernetes.io/name")
_PRE_STOP_SECONDS = 20


def transport_of(spec: Spec, pod_spec: Mapping[str, Any]) -> Transport:
    """How HAProxy reaches the agent in this pod."""
    if spec.injection.transport == "Auto":
        return "Unix" if pod_spec.get("hostNetwork") else "TCP"
    return spec.injection.transport


def sidecar_parts(case: Case, pod: Mapping[str, Any]) -> Parts:
    """The container and its volumes, and the guard variable for HAProxy's containers."""
    spec, recognition = case.spec, case.recognition
    payload = payload_name(case.resource.name)
    container = own_container(SIDECAR, spec, case.facts) | {
        "command": ["haproxy-telemetry-agent"],
        "args": ["run", "--supervise", "--config", f"{PAYLOAD_DIRECTORY}/{key_of('agent.yaml', case.transport)}"],
        "env": [*_identity(case, pod), *(_optional(entry) for entry in spec.sidecar.env)],
        "startupProbe": {
            "exec": {"command": ["haproxy-telemetry-agent", "version"]},
            "periodSeconds": 1,
            "timeoutSeconds": 10,
            "failureThreshold": 30,
        },
        "volumeMounts": [
            {"name": PAYLOAD_VOLUME, "mountPath": PAYLOAD_DIRECTORY, "readOnly": True},
            {"name": _ROUTES_VOLUME, "mountPath": ROUTES_DIRECTORY, "readOnly": True},
            dict(NO_TOKEN_MOUNT),
        ],
    }
    if not pod["spec"].get("hostNetwork"):
        # There it would be a port of the node's, and keep a second pod off the node.
        container["ports"] = [{"name": METRICS_PORT_NAME, "containerPort": spec.injection.http_port, "protocol": "TCP"}]
    parts = Parts(
        volumes=[
            {"name": PAYLOAD_VOLUME, "configMap": {"name": payload, "optional": True}},
            {"name": _ROUTES_VOLUME, "configMap": {"name": routes_name(case.resource.name), "optional": True}},
            copy.deepcopy(dict(NO_TOKEN_VOLUME)),
        ]
    )
    sources = projected_sources(spec)
    if sources:
        parts.volumes.append({"name": _CREDENTIALS_VOLUME, "projected": {"sources": sources}})
        container["volumeMounts"].append({"name": _CREDENTIALS_VOLUME, "mountPath": CREDENTIALS_DIRECTORY, "readOnly": True})
    if spec.exporter.spill.enabled or any(other.spill.enabled for other in spec.exporters):
        parts.volumes.append({"name": _SPILL_VOLUME, "emptyDir": {}})
        container["volumeMounts"].append({"name": _SPILL_VOLUME, "mountPath": SPILL_DIRECTORY})
    if case.transport == "Unix":
        parts.volumes.append({"name": _SOCKET_VOLUME, "emptyDir": {}})
        mount = {"name": _SOCKET_VOLUME, "mountPath": SOCKET_DIRECTORY}
        container["volumeMounts"].append(dict(mount))
        parts.mounts = {name: [dict(mount)] for name in recognition.containers}
    # The variable is from the payload itself: with the payload gone a pod starts untraced, and not at all without `optional`.
    reference = {"configMapKeyRef": {"name": payload, "key": ENABLED_KEY, "optional": True}}
    parts.env = {name: [{"name": GUARD_VARIABLE, "valueFrom": copy.deepcopy(reference)}] for name in recognition.containers}
    _place(case, parts, container, pod["spec"])
    return parts


def _place(case: Case, parts: Parts, container: dict[str, Any], pod_spec: Mapping[str, Any]) -> None:
    wanted = case.spec.injection.native_sidecar
    native = wanted == "Enabled" or (wanted == "Auto" and case.facts.native_sidecar)
    if native:
        parts.first_init_containers.append(container | {"restartPolicy": "Always"})
        return
    # Both are told to stop at once: HAProxy goes on for a while, and so must the agent. The image has no other program that waits.
    grace = pod_spec.get("terminationGracePeriodSeconds", 30)
    seconds = min(max(grace - 5, 0), _PRE_STOP_SECONDS)
    if seconds:
        container["lifecycle"] = {"preStop": {"exec": {"command": ["python3", "-c", f"import time; time.sleep({seconds})"]}}}
    parts.containers.append(container)


def _identity(case: Case, pod: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The resource of the spans is HAProxy: its workload, its pod, its container. Never the sidecar."""
    namespace, container = case.namespace, case.recognition.containers[0]
    attributes = {
        "k8s.namespace.name": namespace,
        "k8s.pod.name": "$(POD_NAME)",
        "k8s.pod.uid": "$(POD_UID)",
        "k8s.node.name": "$(NODE_NAME)",
        "k8s.container.name": container,
        "service.namespace": namespace,
        "service.instance.id": f"{namespace}.$(POD_NAME).{container}",
        **_owner_attributes(case.owner),
    }
    if case.recognition.haproxy_version is not None:
        attributes["service.version"] = case.recognition.haproxy_version
    text = ",".join(f"{name}={value}" for name, value in sorted(attributes.items()))
    variables: list[dict[str, Any]] = [
        {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "POD_UID", "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}},
        {"name": "NODE_NAME", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}},
        {"name": "OTEL_RESOURCE_ATTRIBUTES", "value": text},
    ]
    if case.spec.resource.service_name is None:
        variables.append({"name": "OTEL_SERVICE_NAME", "value": _service_name(pod, case.owner)})
    return variables


def _owner_attributes(owner: Owner) -> dict[str, str]:
    if owner.is_of_deployment:
        return {"k8s.replicaset.name": owner.name, "k8s.deployment.name": owner.workload_name}
    return {f"k8s.{owner.kind.lower()}.name": owner.name}


def _service_name(pod: Mapping[str, Any], owner: Owner) -> str:
    """OpenTelemetry's order for Kubernetes: annotation, labels, workload."""
    metadata = pod.get("metadata") or {}
    annotated = (metadata.get("annotations") or {}).get(_SERVICE_NAME_ANNOTATION)
    labels = metadata.get("labels") or {}
    return annotated or next((labels[name] for name in _SERVICE_NAME_LABELS if labels.get(name)), owner.workload_name)


def _optional(variable: Mapping[str, Any]) -> dict[str, Any]:
    """A variable of the user's. What it refers to may be missing: it must not keep HAProxy from starting."""
    result: dict[str, Any] = copy.deepcopy(dict(variable))
    for kind in ("secretKeyRef", "configMapKeyRef"):
        reference = (result.get("valueFrom") or {}).get(kind)
        if reference is not None:
            reference.setdefault("optional", True)
    return result
