"""The spec of an ``HAProxyTelemetry``: what to instrument, how to get in, and what the agent is to do.

What the agent does (sampling, propagation, spans, metrics, logs, resource) is written as in the agent's own settings file, with the
same names and shapes, and handed to it as it is; ``settings.model`` of the agent describes it. Only what has to do with Kubernetes
is described here.
"""

from typing import Annotated, Any, Literal

import msgspec

from haproxy_telemetry_agent.settings.debug import Debug
from haproxy_telemetry_agent.settings.logs import LogBatch
from haproxy_telemetry_agent.settings.metrics import Metrics
from haproxy_telemetry_agent.settings.model import Resource
from haproxy_telemetry_agent.settings.propagation import Propagation
from haproxy_telemetry_agent.settings.sampling import Sampling
from haproxy_telemetry_agent.settings.spans import Spans
from haproxy_telemetry_agent.settings.types import ProcessingTimeout, Struct, Url
from haproxy_telemetry_agent.wiring import Profile

from .destination import Destination, ObjectName, validation

__all__ = ["Frontends", "Injection", "LabelSelector", "Logs", "Sidecar", "Spec", "Target", "TargetType"]

TargetType = Literal["Auto", "KubernetesIngress", "HAProxyIngress", "Plain", "Manual"]

_TLS_NEEDS_HTTPS = (
    "!has(self.tls) || (has(self.endpoint) && self.endpoint.startsWith('https://')) || "
    "(has(self.tracesEndpoint) && self.tracesEndpoint.startsWith('https://'))"
)
_LabelValue = Annotated[str, msgspec.Meta(max_length=63)]
_Glob = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
_Port = Annotated[int, msgspec.Meta(ge=1024, le=65_535, extra_json_schema={"format": "int32"})]
_Quantity = Annotated[
    dict[str, str | int],
    msgspec.Meta(
        extra_json_schema={
            "type": "object",
            "maxProperties": 16,
            "additionalProperties": {
                "x-kubernetes-int-or-string": True,
                "anyOf": [{"type": "integer"}, {"type": "string"}],
                "pattern": r"^[0-9]+([.][0-9]+)?([KMGTPE]i|[numkMGTPE]|[eE][0-9]+)?$",
            },
        }
    ),
]
_AnyObject = Annotated[
    dict[str, Any], msgspec.Meta(extra_json_schema={"type": "object", "x-kubernetes-preserve-unknown-fields": True})
]


_Destination = Annotated[
    Destination,
    validation(
        (
            "self.type != 'otlp' || has(self.endpoint) || has(self.tracesEndpoint)",
            "endpoint is required: the collector's URL, such as http://otel-collector.observability:4318",
        ),
        (
            _TLS_NEEDS_HTTPS,
            "tls needs a https:// endpoint",
        ),
    ),
]


class SelectorRequirement(Struct, frozen=True):
    """A condition on a label."""

    key: Annotated[str, msgspec.Meta(min_length=1, max_length=317)]
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Annotated[list[_LabelValue], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=list)


_Requirement = Annotated[
    SelectorRequirement,
    validation(
        (
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "values are required by, and only allowed with, operator In and NotIn",
        ),
    ),
]


class LabelSelector(Struct, frozen=True):
    """Kubernetes' label selector: all that is given must hold."""

    match_labels: Annotated[dict[str, _LabelValue], msgspec.Meta(max_length=16)] = msgspec.field(default_factory=dict)
    match_expressions: Annotated[list[_Requirement], msgspec.Meta(max_length=16)] = msgspec.field(default_factory=list)


class ConfigMapRef(Struct, frozen=True):
    """A ConfigMap of the resource's namespace."""

    name: ObjectName


class Frontends(Struct, frozen=True):
    """Globs on the names of frontend and listen sections, such as public-*; exclude wins."""

    include: Annotated[list[_Glob], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=lambda: ["*"])
    exclude: Annotated[list[_Glob], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=list)
    tcp: bool = True
    """Trace the connections of frontends in mode tcp, too."""


class Target(Struct, frozen=True):
    """Which pods, and what kind of HAProxy is in them."""

    type: TargetType = "Auto"
    """Auto tells haproxytech/kubernetes-ingress, jcmoraisjr/haproxy-ingress and a plain HAProxy apart by image and arguments.
    Manual touches nothing: `haproxy-telemetry-operator render` prints what to put where."""
    selector: Annotated[LabelSelector, msgspec.Meta(extra_json_schema={"x-kubernetes-map-type": "atomic"})] | None = None
    """Pods to instrument; without it every HAProxy pod of the namespace."""
    container_name: Annotated[str, msgspec.Meta(min_length=1, max_length=63)] | None = None
    """The container that HAProxy runs in, where its image does not tell."""
    config_map_ref: ConfigMapRef | None = None
    """The ingress controller's ConfigMap, where its arguments do not tell (--configmap)."""
    config_path: Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]*$", max_length=4096)] | None = None
    """Plain only: the file or the directory that HAProxy reads, where its arguments do not tell (-f)."""
    frontends: Frontends = msgspec.field(default_factory=Frontends)
    """Plain only: which frontends are traced."""


class Injection(Struct, frozen=True):
    """How HAProxy and the agent are brought together. A change of these restarts the workloads."""

    profile: Profile = "Standard"
    """How often HAProxy waits for the agent: Standard once, Full at every safe event (nine spans), Stream never."""
    rollout: Literal["Automatic", "OnDelete"] = "Automatic"
    """Automatic restarts workloads one after the other, each by its own update strategy; OnDelete waits for you to do so."""
    config_strategy: Literal["Merge", "Shadow"] = "Merge"
    """Merge keeps a marked block in the ingress controller's ConfigMap. Shadow never touches it: pods are pointed at a copy."""
    native_sidecar: Literal["Auto", "Enabled", "Disabled"] = "Auto"
    """Auto: an init container that stays (restartPolicy Always), if all nodes know it (Kubernetes 1.29 and later)."""
    transport: Literal["Auto", "TCP", "Unix"] = "Auto"
    """How HAProxy asks the agent. Auto: TCP on the pod's loopback, a Unix socket where the loopback is the node's (hostNetwork)."""
    spop_port: _Port = 12345
    """Where HAProxy asks the agent."""
    records_port: _Port = 10514
    """Where HAProxy tells the agent how each exchange ended."""
    http_port: _Port = 9464
    """Metrics and probes of the agent."""
    processing_timeout: ProcessingTimeout = "20ms"
    """The longest time HAProxy waits for the agent before it goes on without it."""


class Logs(Struct, frozen=True):
    """An access log as OTLP log records, each with the ids of its SERVER span; it goes where spans go."""

    enabled: bool = False
    excluded_requests: bool = False
    """Log requests that sampling.exclude leaves without a trace, such as health checks."""
    endpoint: Url | None = None
    """Full URL, used as it is; default: exporter.endpoint, with http/protobuf and /v1/logs behind it."""
    protocol: Literal["http/protobuf", "grpc"] | None = None
    batch: LogBatch = msgspec.field(default_factory=LogBatch)


class Resources(Struct, frozen=True):
    """What the scheduler is told, and what the container is held to."""

    requests: _Quantity = msgspec.field(default_factory=dict)
    limits: _Quantity = msgspec.field(default_factory=dict)


class Sidecar(Struct, frozen=True):
    """The agent's container. A change of image, env or resources restarts the workloads."""

    image: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)] | None = None
    """Default: the operator's own choice."""
    image_pull_policy: Literal["Always", "IfNotPresent", "Never"] | None = None
    log_level: Literal["debug", "info", "warn", "error"] = "info"
    env: Annotated[list[_AnyObject], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=list)
    """Further variables of the agent's environment, as in a container."""
    resources: Resources = msgspec.field(
        default_factory=lambda: Resources(requests={"cpu": "50m", "memory": "64Mi"}, limits={"memory": "256Mi"})
    )


class Spec(Struct, frozen=True):
    """What is to be traced, and how."""

    exporter: _Destination
    suspend: bool = False
    """Take the instrumentation out, and keep the resource."""
    target: Annotated[
        Target,
        validation(
            (
                "!has(self.configMapRef) || self.type in ['Auto', 'KubernetesIngress', 'HAProxyIngress']",
                "configMapRef is for ingress controllers: drop it, or set type to KubernetesIngress or HAProxyIngress",
            ),
            (
                "!has(self.configPath) || self.type in ['Auto', 'Plain', 'Manual']",
                "configPath is for a plain HAProxy: drop it, or set type to Plain",
            ),
        ),
    ] = msgspec.field(default_factory=Target)
    injection: Annotated[
        Injection,
        validation(
            (
                "self.spopPort != self.recordsPort && self.spopPort != self.httpPort && self.recordsPort != self.httpPort",
                "spopPort, recordsPort and httpPort must be three different ports",
            ),
        ),
    ] = msgspec.field(default_factory=Injection)
    exporters: Annotated[list[_Destination], msgspec.Meta(max_length=7)] = msgspec.field(default_factory=list)
    """Further destinations: all spans go to each of them too."""
    sampling: Annotated[
        Sampling,
        validation(
            (
                "has(self.ratio) == (has(self.type) && self.type in ['TraceIDRatio', 'ParentBasedTraceIDRatio'])",
                "ratio is required by, and only allowed with, type TraceIDRatio and ParentBasedTraceIDRatio",
            ),
        ),
    ] = msgspec.field(default_factory=Sampling)
    propagation: Propagation = msgspec.field(default_factory=Propagation)
    spans: Spans = msgspec.field(default_factory=Spans)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    logs: Logs = msgspec.field(default_factory=Logs)
    debug: Debug = msgspec.field(default_factory=Debug)
    resource: Resource = msgspec.field(default_factory=Resource)
    sidecar: Sidecar = msgspec.field(default_factory=Sidecar)
