"""Settings of the export: where spans go, and how."""

from typing import Annotated, Literal

import msgspec

from .types import Duration, HeaderName, HeaderValue, Struct, Url

__all__ = ["Batch", "Exporter", "Header", "Tls"]


class Header(Struct, frozen=True):
    """A header of every export request."""

    name: HeaderName
    value: HeaderValue


class Tls(Struct, frozen=True):
    """TLS to the collector."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    insecure_skip_verify: bool = False


class Batch(Struct, frozen=True):
    """Batching and the queue. Larger than OpenTelemetry's defaults: an edge proxy fills 2048 spans in a moment."""

    max_queue_spans: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 20_480
    max_queue_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 16 * 1024 * 1024
    max_batch_spans: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2_048
    delay: Duration = "1s"
    retry: Duration = "5m"
    """How long a batch is tried again."""


class Exporter(Struct, frozen=True):
    """Where spans go."""

    endpoint: Url = "http://localhost:4318"
    """Base URL; /v1/traces is appended."""
    traces_endpoint: Url | None = None
    """Full URL, used as it is; wins over endpoint."""
    protocol: Literal["http/protobuf"] = "http/protobuf"
    compression: Literal["none", "gzip"] = "gzip"
    timeout: Duration = "10s"
    headers: list[Header] = msgspec.field(default_factory=list)
    tls: Tls = msgspec.field(default_factory=Tls)
    batch: Batch = msgspec.field(default_factory=Batch)
