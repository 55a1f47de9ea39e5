"""Where spans go, as the resource says it: the agent's exporter, with Secrets and ConfigMaps in place of files.

The operator never reads a Secret. What is referred to here is mounted into the sidecar; the agent reads it again when it changes.
"""

from typing import Annotated, Literal

import msgspec

from haproxy_telemetry_agent.settings.exporter import Batch
from haproxy_telemetry_agent.settings.types import Duration, HeaderName, HeaderValue, Struct, Url

__all__ = ["CertificateRef", "Destination", "Header", "KeyRef", "SpillVolume", "Tls", "validation"]

ObjectName = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$(?!\n)")]
ObjectKey = Annotated[str, msgspec.Meta(min_length=1, max_length=253, pattern=r"^[A-Za-z0-9._-]+$(?!\n)")]


def validation(*rules: tuple[str, str]) -> msgspec.Meta:
    """CEL rules and their messages, for the CustomResourceDefinition."""
    return msgspec.Meta(
        extra_json_schema={"x-kubernetes-validations": [{"rule": rule, "message": message} for rule, message in rules]}
    )


class KeyRef(Struct, frozen=True):
    """A key of a Secret in the resource's namespace."""

    name: ObjectName
    key: ObjectKey


class CertificateRef(Struct, frozen=True):
    """A key of a Secret or a ConfigMap in the resource's namespace."""

    name: ObjectName
    key: ObjectKey = "ca.crt"


class TlsSecretRef(Struct, frozen=True):
    """A Secret of type kubernetes.io/tls in the resource's namespace."""

    name: ObjectName


class Header(Struct, frozen=True):
    """A header of every export request: its value, or the key of a Secret it is in."""

    name: HeaderName
    value: HeaderValue | None = None
    secret_key_ref: KeyRef | None = None


class Tls(Struct, frozen=True):
    """TLS to the collector. What it refers to is read again when it changes."""

    insecure_skip_verify: bool = False
    """Take any certificate; only with protocol http/protobuf."""
    ca_secret_ref: CertificateRef | None = None
    """Whose certificates the collector may have, in a Secret."""
    ca_config_map_ref: CertificateRef | None = None
    """The same in a ConfigMap."""
    client_cert_secret_ref: TlsSecretRef | None = None
    """Our certificate and its key, for a collector that asks for one."""


class SpillVolume(Struct, frozen=True):
    """Spans that would be lost are kept on the pod's disk, and sent when the collector takes spans again."""

    enabled: bool = False
    max_bytes: Annotated[int, msgspec.Meta(ge=1_048_576)] = 256 * 1024 * 1024
    """Beyond it batch.dropPolicy says what is dropped."""


_HeaderItem = Annotated[
    Header, validation(("has(self.value) != has(self.secretKeyRef)", "exactly one of value and secretKeyRef is required"))
]
_Tls = Annotated[
    Tls,
    validation(
        (
            "!(has(self.insecureSkipVerify) && self.insecureSkipVerify && (has(self.caSecretRef) || has(self.caConfigMapRef)))",
            "insecureSkipVerify excludes a CA: drop one of them",
        ),
        (
            "!(has(self.caSecretRef) && has(self.caConfigMapRef))",
            "caSecretRef and caConfigMapRef exclude each other: drop one of them",
        ),
    ),
]
_Headers = Annotated[
    list[_HeaderItem],
    msgspec.Meta(max_length=32, extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}),
]


class Destination(Struct, frozen=True):
    """Where spans go."""

    type: Literal["otlp", "console", "none"] = "otlp"
    """console writes OTLP as JSON into the sidecar's log, none exports nothing."""
    endpoint: Annotated[Url, msgspec.Meta(min_length=8, max_length=2048)] | None = None
    """The collector's base URL, such as http://otel-collector.observability:4318 (with protocol grpc :4317)."""
    traces_endpoint: Annotated[Url, msgspec.Meta(min_length=8, max_length=2048)] | None = None
    """Full URL, used as it is; wins over endpoint."""
    protocol: Literal["http/protobuf", "grpc"] = "http/protobuf"
    compression: Literal["none", "gzip"] = "gzip"
    timeout: Duration = "10s"
    headers: _Headers = msgspec.field(default_factory=list)
    tls: _Tls | None = None
    batch: Batch = msgspec.field(default_factory=Batch)
    spill: SpillVolume = msgspec.field(default_factory=SpillVolume)
