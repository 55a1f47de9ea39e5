"""Objects that tests put into a cluster: HAProxies of every kind, each such that a rollout of it loses no request without us.

That takes a readiness probe, a new pod before an old one ends, and an end that waits until the Service knows of it.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["CONTROLLERS", "HOST", "collector", "echo", "ingress_controller", "namespace", "plain", "resource"]

Object = dict[str, Any]
HOST = "demo.example.com"
"""What ingress controllers route."""
CONTROLLERS: Mapping[str, str] = {
    "kubernetes-ingress": "haproxytech/kubernetes-ingress:1.11.12",
    "haproxy-ingress": "quay.io/jcmoraisjr/haproxy-ingress:v0.16.1",
}
_DRAIN_SECONDS = 5
_RESOURCES = {"requests": {"cpu": "20m", "memory": "16Mi"}}
"""Without a request a container has next to no CPU on a machine that others use, and answers after seconds."""
_RESTRICTED = {
    "runAsNonRoot": True,
    "runAsUser": 99,
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "seccompProfile": {"type": "RuntimeDefault"},
}
_ECHO = """\
import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Echo(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps({key.lower(): value for key, value in self.headers.items()}).encode()
        self.wfile.write(b"HTTP/1.1 200 OK\\r\\ncontent-length: %d\\r\\n\\r\\n%s" % (len(body), body))

    def log_message(self, *_):
        pass

ThreadingHTTPServer.request_queue_size = 128
ThreadingHTTPServer(("", 8080), Echo).serve_forever()
"""
_COLLECTOR = """\
receivers:
  otlp:
    protocols:
      http: {endpoint: "0.0.0.0:4318"}
exporters:
  file: {path: /dev/stdout}
service:
  telemetry: {logs: {level: error}, metrics: {level: none}}
  pipelines:
    traces: {receivers: [otlp], exporters: [file]}
"""


def namespace(name: str, labels: Mapping[str, str]) -> Object:
    """A namespace of ours."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": dict(labels)}}


def resource(namespace: str, name: str, endpoint: str, **spec: Any) -> Object:
    """An HAProxyTelemetry that sends spans at once."""
    return {
        "apiVersion": "haproxy-telemetry.io/v1alpha1",
        "kind": "HAProxyTelemetry",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"exporter": {"endpoint": endpoint, "batch": {"delay": "200ms"}}} | spec,
    }


def echo(namespace: str) -> list[Object]:
    """Answers with the headers it was asked with."""
    return [
        _config_map(namespace, "echo", {"echo.py": _ECHO}),
        _workload(
            "Deployment",
            namespace,
            "echo",
            {
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": "echo",
                        "image": "python:3.13-slim-trixie",
                        "imagePullPolicy": "IfNotPresent",
                        "resources": _RESOURCES,
                        "command": ["python3", "-u", "/app/echo.py"],
                        "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                        "volumeMounts": [{"name": "app", "mountPath": "/app"}],
                    }
                ],
                "volumes": [{"name": "app", "configMap": {"name": "echo"}}],
            },
        ),
        _service(namespace, "echo", 80, 8080),
    ]


def collector(namespace: str) -> list[Object]:
    """An OpenTelemetry Collector whose log is what it was sent, as OTLP JSON."""
    return [
        _config_map(namespace, "otelcol", {"config.yaml": _COLLECTOR}),
        _workload(
            "Deployment",
            namespace,
            "otelcol",
            {
                "terminationGracePeriodSeconds": 0,
                "containers": [
                    {
                        "name": "otelcol",
                        "image": "otel/opentelemetry-collector-contrib:0.152.0",
                        "imagePullPolicy": "IfNotPresent",
                        "resources": _RESOURCES,
                        "readinessProbe": {"tcpSocket": {"port": 4318}, "periodSeconds": 1},
                        "volumeMounts": [{"name": "config", "mountPath": "/etc/otelcol-contrib"}],
                    }
                ],
                "volumes": [{"name": "config", "configMap": {"name": "otelcol"}}],
            },
        ),
        _service(namespace, "otelcol", 4318, 4318),
    ]


def plain(
    kind: str,
    namespace: str,
    name: str,
    upstream: str,
    *,
    replicas: int = 2,
    image: str = "haproxy:3.0",
    labels: Mapping[str, str] | None = None,
    host_port: int | None = None,
) -> list[Object]:
    """A plain HAProxy with its configuration in a ConfigMap, and a Service.

    Args:
        kind: Deployment, DaemonSet or StatefulSet.
        namespace: where.
        name: of all of it.
        upstream: address and port.
        replicas: pods; of a DaemonSet the nodes decide.
        image: HAProxy's.
        labels: further ones of its pods.
        host_port: on the node's own network, on that port.
    """
    port = host_port or 8080
    text = "\n".join(
        (
            "global",
            "    maxconn 500",
            "defaults",
            "    mode http",
            "    timeout connect 2s",
            "    timeout client 10s",
            "    timeout server 10s",
            "    option httplog",
            "    option dontlognull",
            "    retries 3",
            "    option redispatch",
            "    log stdout format raw local0",
            "frontend web",
            f"    bind :{port}",
            "    default_backend app",
            "backend app",
            f"    server echo {upstream}",
            "",
        )
    )
    spec: Object = {
        "terminationGracePeriodSeconds": 20,
        "containers": [
            {
                "name": "haproxy",
                "image": image,
                "imagePullPolicy": "IfNotPresent",
                "resources": _RESOURCES,
                "ports": [{"containerPort": port}],
                "readinessProbe": {"tcpSocket": {"port": port}, "periodSeconds": 1},
                "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_SECONDS}}},
                "securityContext": _RESTRICTED,
                "volumeMounts": [{"name": "config", "mountPath": "/usr/local/etc/haproxy"}],
            }
        ],
        "volumes": [{"name": "config", "configMap": {"name": name}}],
    }
    if host_port is not None:
        spec["hostNetwork"] = True
        del spec["containers"][0]["ports"]
    return [
        _config_map(namespace, name, {"haproxy.cfg": text}),
        _service(namespace, name, 80, port),
        _workload(kind, namespace, name, spec, replicas=replicas, labels=labels),
    ]


def ingress_controller(which: str, namespace: str, *, replicas: int = 2, data: Mapping[str, str] | None = None) -> list[Object]:
    """One of `CONTROLLERS`, an Ingress of its class for the Service echo in its own namespace, and a Service of its name."""
    class_name = f"{which}-{namespace}"
    ours = which == "kubernetes-ingress"
    if ours:
        controller = f"haproxy.org/ingress-controller/{class_name}"
        arguments = [
            f"--configmap={namespace}/{which}",
            "--http-bind-port=8080",
            "--https-bind-port=8443",
            f"--ingress.class={class_name}",
        ]
        arguments += ["--log=info", f"--namespace-whitelist={namespace}"]
        ready, alive, port = ("/healthz", 1042), ("/healthz", 1042), 8080
    else:
        controller = f"haproxy-ingress.github.io/controller/{class_name}"
        arguments = [f"--configmap={namespace}/{which}", f"--ingress-class={class_name}", f"--controller-class={class_name}"]
        arguments += ["--update-status=false", f"--watch-namespace={namespace}"]
        ready, alive, port = ("/readyz", 10254), ("/healthz", 10253), 80
    container: Object = {
        "name": "controller",
        "image": CONTROLLERS[which],
        "imagePullPolicy": "IfNotPresent",
        "resources": _RESOURCES,
        "args": arguments,
        "ports": [{"containerPort": port}],
        "readinessProbe": {"httpGet": {"path": ready[0], "port": ready[1]}, "periodSeconds": 1},
        "startupProbe": {"httpGet": {"path": alive[0], "port": alive[1]}, "periodSeconds": 1, "failureThreshold": 60},
        "lifecycle": {"preStop": {"sleep": {"seconds": _DRAIN_SECONDS}}},
        "env": [
            {"name": "POD_NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "POD_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}},
            {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        ],
    }
    spec: Object = {"serviceAccountName": which, "terminationGracePeriodSeconds": 20, "containers": [container]}
    if ours:
        spec["securityContext"] = {"runAsNonRoot": True, "runAsUser": 1000, "runAsGroup": 1000}
        container["volumeMounts"] = [
            {"name": "tmp", "mountPath": "/tmp", "subPath": "tmp"},
            {"name": "tmp", "mountPath": "/run", "subPath": "run"},
        ]
        spec["volumes"] = [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}]
    return [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": which, "namespace": namespace}},
        _cluster_role(class_name),
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": class_name},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": class_name},
            "subjects": [{"kind": "ServiceAccount", "name": which, "namespace": namespace}],
        },
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "IngressClass",
            "metadata": {"name": class_name},
            "spec": {"controller": controller},
        },
        _config_map(namespace, which, data or {}),
        _service(namespace, which, 80, port),
        {
            "apiVersion": "networking.k8s.io/v1",
            "kind": "Ingress",
            "metadata": {"name": "echo", "namespace": namespace},
            "spec": {
                "ingressClassName": class_name,
                "rules": [
                    {
                        "host": HOST,
                        "http": {
                            "paths": [
                                {
                                    "path": "/",
                                    "pathType": "Prefix",
                                    "backend": {"service": {"name": "echo", "port": {"number": 80}}},
                                }
                            ]
                        },
                    }
                ],
            },
        },
        _workload("Deployment", namespace, which, spec, replicas=replicas),
    ]


def _cluster_role(name: str) -> Object:
    look = ["get", "list", "watch"]
    core = ["configmaps", "endpoints", "events", "namespaces", "nodes", "pods", "secrets", "serviceaccounts", "services"]
    rules = [
        {"apiGroups": [""], "resources": core, "verbs": look},
        {"apiGroups": ["", "events.k8s.io"], "resources": ["events"], "verbs": ["create", "patch"]},
        {"apiGroups": [""], "resources": ["secrets"], "verbs": ["create", "patch", "update"]},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses", "ingressclasses"], "verbs": look},
        {"apiGroups": ["networking.k8s.io"], "resources": ["ingresses/status"], "verbs": ["get", "patch", "update"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": look},
        {"apiGroups": ["apiextensions.k8s.io"], "resources": ["customresourcedefinitions"], "verbs": look},
        {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["create", "get", "update"]},
        {"apiGroups": ["apps"], "resources": ["replicasets", "daemonsets"], "verbs": ["get"]},
    ]
    return {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": name}, "rules": rules}


def _config_map(namespace: str, name: str, data: Mapping[str, str]) -> Object:
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": namespace}, "data": dict(data)}


def _service(namespace: str, name: str, port: int, target: int) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"selector": {"app": name}, "ports": [{"port": port, "targetPort": target}]},
    }


def _workload(
    kind: str, namespace: str, name: str, pod: Object, *, replicas: int = 1, labels: Mapping[str, str] | None = None
) -> Object:
    spec: Object = {
        "selector": {"matchLabels": {"app": name}},
        "template": {"metadata": {"labels": {"app": name} | dict(labels or {})}, "spec": pod},
    }
    if kind == "Deployment":
        spec |= {"replicas": replicas, "strategy": {"rollingUpdate": {"maxSurge": "100%", "maxUnavailable": 0}}}
    elif kind == "DaemonSet":
        spec["updateStrategy"] = {"rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0}}
    else:
        spec |= {"replicas": replicas, "serviceName": name, "podManagementPolicy": "Parallel"}
    return {"apiVersion": "apps/v1", "kind": kind, "metadata": {"name": name, "namespace": namespace}, "spec": spec}
