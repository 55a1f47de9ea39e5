"""Objects of a cluster as the API server has them: resources, pods of every kind that is known, workloads; new ones each time."""

import copy
from collections.abc import Mapping
from typing import Any

from haproxy_telemetry_operator.injection import Facts
from haproxy_telemetry_operator.resource import TelemetryResource

__all__ = [
    "COLLECTOR",
    "FACTS",
    "NAMESPACE",
    "PODS",
    "deployment",
    "ingress",
    "owned_pod",
    "pod_of",
    "telemetry",
    "telemetry_body",
]

NAMESPACE = "shop"
COLLECTOR = "http://otel-collector.observability:4318"
FACTS = Facts(image="registry.example:5000/haproxy-telemetry:1.0.0")
_TOKEN_MOUNT = {"name": "kube-api-access-x", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount", "readOnly": True}
_TOKEN_VOLUME = {"name": "kube-api-access-x", "projected": {"sources": [{"serviceAccountToken": {"path": "token"}}]}}


def telemetry_body(spec: Mapping[str, Any] | None = None, **metadata: Any) -> dict[str, Any]:
    """A HAProxyTelemetry; the least that is valid, and what is given over it."""
    return {
        "apiVersion": "haproxy-telemetry.io/v1alpha1",
        "kind": "HAProxyTelemetry",
        "metadata": {
            "name": "edge",
            "namespace": NAMESPACE,
            "uid": "11111111-2222-3333-4444-555555555555",
            "generation": 1,
            "creationTimestamp": "2026-01-01T00:00:00Z",
        }
        | metadata,
        "spec": {"exporter": {"endpoint": COLLECTOR}} | dict(spec or {}),
    }


def telemetry(spec: Mapping[str, Any] | None = None, **metadata: Any) -> TelemetryResource:
    """The same, as it is worked with."""
    return TelemetryResource.of_body(telemetry_body(spec, **metadata))


def pod_of(*containers: Mapping[str, Any], volumes: list[dict[str, Any]] | None = None, **spec: Any) -> dict[str, Any]:
    """A pod as it comes to the injector: of a Deployment, without a name, with the API server's token mounts."""
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "generateName": "web-6d4cf56db6-",
            "labels": {"app": "web", "pod-template-hash": "6d4cf56db6"},
            "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-6d4cf56db6", "controller": True}],
        },
        "spec": {
            "containers": [
                {**copy.deepcopy(dict(entry)), "volumeMounts": [*entry.get("volumeMounts", ()), dict(_TOKEN_MOUNT)]}
                for entry in containers
            ],
            "volumes": [*(volumes or ()), copy.deepcopy(_TOKEN_VOLUME)],
            "serviceAccountName": "default",
            "terminationGracePeriodSeconds": 30,
            **spec,
        },
    }


def owned_pod(kind: str, name: str, **labels: str) -> dict[str, Any]:
    """A plain pod with another owner."""
    pod = _plain_file()
    pod["metadata"]["ownerReferences"] = [{"kind": kind, "name": name, "controller": True}]
    pod["metadata"]["labels"] = {"app": "web", **labels}
    return pod


def _config_map(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "configMap": {"name": name, **fields}}


def _kubernetes_ingress(**container: Any) -> dict[str, Any]:
    return {
        "name": "kubernetes-ingress-controller",
        "image": "docker.io/haproxytech/kubernetes-ingress:3.2.11",
        "args": ["--configmap=shop/controller", "--default-backend-service=shop/default"],
        "env": [{"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}],
        **container,
    }


def _plain_file() -> dict[str, Any]:
    return pod_of(
        {
            "name": "haproxy",
            "image": "haproxy:3.2.4",
            "args": ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"],
            "volumeMounts": [
                {"name": "config", "mountPath": "/usr/local/etc/haproxy/haproxy.cfg", "subPath": "haproxy.cfg", "readOnly": True}
            ],
            "securityContext": {"runAsNonRoot": True, "runAsUser": 99},
        },
        volumes=[_config_map("config")],
    )


def _pods() -> dict[str, dict[str, Any]]:
    external = {"mountPath": "/etc/haproxy", "name": "scratch", "subPath": "etc"}
    return {
        "kubernetes-ingress": pod_of(_kubernetes_ingress()),
        "kubernetes-ingress-aux": pod_of(
            _kubernetes_ingress(
                volumeMounts=[
                    {"name": "tmp", "mountPath": "/tmp"},
                    {"name": "aux", "mountPath": "/usr/local/etc/haproxy/haproxy-aux.cfg", "subPath": "haproxy-aux.cfg"},
                ]
            ),
            volumes=[{"name": "tmp", "emptyDir": {"medium": "Memory"}}, _config_map("aux", optional=True)],
        ),
        "kubernetes-ingress-host-network": pod_of(_kubernetes_ingress(), hostNetwork=True),
        "haproxy-ingress": pod_of(
            {
                "name": "haproxy-ingress",
                "image": "quay.io/jcmoraisjr/haproxy-ingress:v0.16.1",
                "args": ["--configmap", "shop/haproxy-ingress"],
            }
        ),
        "haproxy-ingress-external": pod_of(
            {
                "name": "haproxy-ingress",
                "image": "quay.io/jcmoraisjr/haproxy-ingress:v0.16.1",
                "args": ["--configmap=shop/haproxy-ingress", "--master-worker"],
                "volumeMounts": [dict(external)],
            },
            {
                "name": "haproxy",
                "image": "haproxy:3.0.9-alpine",
                "args": ["-W", "-S", "/var/run/haproxy/master.sock,mode,600", "-f", "/etc/haproxy"],
                "volumeMounts": [dict(external)],
            },
            volumes=[{"name": "scratch", "emptyDir": {}}],
            initContainers=[{"name": "init", "image": "quay.io/jcmoraisjr/haproxy-ingress:v0.16.1", "args": ["--init"]}],
        ),
        "plain-file": _plain_file(),
        "plain-folder": pod_of(
            {
                "name": "proxy",
                "image": "haproxytech/haproxy-alpine:3.0",
                "command": ["haproxy"],
                "args": ["-f", "/etc/haproxy/global.cfg", "-f", "/etc/haproxy/conf.d"],
                "volumeMounts": [
                    {"name": "main", "mountPath": "/etc/haproxy"},
                    {"name": "more", "mountPath": "/etc/haproxy/conf.d", "readOnly": True},
                ],
            },
            volumes=[_config_map("main"), _config_map("more")],
        ),
        "plain-image": pod_of({"name": "haproxy", "image": "registry.example:5000/team/haproxy@sha256:0123", "workingDir": "/srv"}),
    }


PODS: Mapping[str, Mapping[str, Any]] = _pods()
"""By name; not to be changed: ``copy.deepcopy`` them."""


def deployment(pod: Mapping[str, Any], name: str = "web", **status: Any) -> dict[str, Any]:
    """A Deployment of such pods, done with its roll-out unless the status says otherwise."""
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, "generation": 3, "resourceVersion": "7"},
        "spec": {
            "replicas": 2,
            "template": {"metadata": {"labels": {"app": "web"}}, "spec": copy.deepcopy(dict(pod["spec"]))},
        },
        "status": {"observedGeneration": 3, "replicas": 2, "updatedReplicas": 2, "availableReplicas": 2} | status,
    }


def ingress(name: str, *rules: tuple[str, str, str], created: str = "2026-01-01T00:00:00Z", **spec: Any) -> dict[str, Any]:
    """An Ingress; a rule is ``(host, path, pathType)``."""
    return {
        "metadata": {"name": name, "namespace": NAMESPACE, "creationTimestamp": created},
        "spec": {
            "rules": [
                {
                    **({"host": host} if host else {}),
                    "http": {"paths": [{"path": path, "pathType": kind, "backend": {"service": {"name": f"{name}-service"}}}]},
                }
                for host, path, kind in rules
            ],
            **spec,
        },
    }
