"""Settings of the export: where spans go, and how."""

import re
from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from .endpoints import check_url
from .explanation import SettingsError
from .types import Duration, Endpoint, HeaderName, HeaderValue, Struct, Url

__all__ = ["DEFAULT_HTTP_ENDPOINT", "Batch", "Exporter", "File", "Header", "Spill", "Tls", "check_exporter", "check_spills"]

DEFAULT_HTTP_ENDPOINT = "http://localhost:4318"
_METADATA_NAME = re.compile(r"(?!grpc-)[0-9a-z_.-]+")


class Header(Struct, frozen=True):
    """A header of every export request: its value, or the file it is in."""

    name: HeaderName
    value: HeaderValue | None = None
    value_file: str | None = None
    """Read again when it changes; a line feed at its end is not part of the value."""


class Tls(Struct, frozen=True):
    """TLS to the collector. The files are read again when they change."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    insecure_skip_verify: bool = False


class Batch(Struct, frozen=True):
    """Batching and the queue. Larger than OpenTelemetry's defaults: an edge proxy fills 2048 spans in a moment."""

    max_queue_spans: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 20_480
    max_queue_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 16 * 1024 * 1024
    max_batch_spans: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2_048
    drop_policy: Literal["Newest", "Oldest"] = "Newest"
    """Which spans are dropped while the queue is full."""
    delay: Duration = "1s"
    retry: Duration = "5m"
    """How long a batch is tried again."""


class File(Struct, frozen=True):
    """The file of type file."""

    path: Annotated[str, msgspec.Meta(pattern=r"^[^\x00]+$", description="a path")] | None = None
    max_bytes: Annotated[int, msgspec.Meta(ge=65_536)] = 100 * 1024 * 1024
    """A file that would grow beyond it is renamed to <path>.1, which replaces an older one."""


class Spill(Struct, frozen=True):
    """Spans that would be lost are kept on disk, and sent when the collector takes spans again, after a restart as well."""

    directory: Annotated[str, msgspec.Meta(pattern=r"^/[^\x00]*$", description="an absolute path")] | None = None
    """One for each destination and agent; made, with mode 0700, if its parent is there. Without it nothing is kept."""
    max_bytes: Annotated[int, msgspec.Meta(ge=1_048_576)] = 256 * 1024 * 1024
    """batch.dropPolicy says what is dropped there."""


class Exporter(Struct, frozen=True):
    """Where spans go."""

    type: Literal["otlp", "console", "file", "plugin", "none"] = "otlp"
    """console and file write OTLP as JSON, a line for each batch."""
    endpoint: Endpoint | None = None
    """Base URL; with http/protobuf /v1/traces is appended. By default http://localhost:4318, with grpc http://localhost:4317."""
    traces_endpoint: Url | None = None
    """Full URL, used as it is; wins over endpoint."""
    protocol: Literal["http/protobuf", "grpc"] = "http/protobuf"
    compression: Literal["none", "gzip"] = "gzip"
    timeout: Duration = "10s"
    headers: list[Header] = msgspec.field(default_factory=list)
    tls: Tls = msgspec.field(default_factory=Tls)
    batch: Batch = msgspec.field(default_factory=Batch)
    spill: Spill = msgspec.field(default_factory=Spill)
    file: File = msgspec.field(default_factory=File)
    """Belongs to type file."""
    plugin: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    """Belongs to type plugin: the name of an entry point of the group opentelemetry_traces_exporter."""


def check_exporter(exporter: Exporter, field: str) -> None:
    """What no field shows by itself.

    Args:
        exporter: one destination.
        field: where it stands, as ``exporter`` or ``exporters[0]``.

    Raises:
        SettingsError: names the field and the fix.
    """
    check_url(exporter.endpoint, f"{field}.endpoint")
    check_url(exporter.traces_endpoint, f"{field}.tracesEndpoint")
    batch = exporter.batch
    if batch.max_batch_spans > batch.max_queue_spans:
        raise SettingsError(
            f"{field}.batch.maxBatchSpans: {batch.max_batch_spans} is more than maxQueueSpans {batch.max_queue_spans}: "
            "a batch must fit in the queue"
        )
    _check_tls(exporter, field)
    for index, header in enumerate(exporter.headers):
        _check_header(header, f"{field}.headers[{index}]", grpc=exporter.protocol == "grpc")
    if exporter.type == "file" and exporter.file.path is None:
        raise SettingsError(f"{field}.file.path: missing; type file needs it")
    if exporter.type != "file" and exporter.file.path is not None:
        raise SettingsError(f"{field}.file.path: belongs to type file, and this is type {exporter.type}: drop it, or set the type")
    if (exporter.type == "plugin") != (exporter.plugin is not None):
        raise SettingsError(
            f"{field}.plugin: {exporter.plugin!r} with type {exporter.type}: required by type plugin, and only there"
        )


def check_spills(destinations: Iterable[tuple[str, Exporter]]) -> None:
    """No two may have one directory.

    Raises:
        SettingsError: names the fields.
    """
    fields: dict[str, str] = {}
    for field, exporter in destinations:
        directory = exporter.spill.directory
        if directory is None:
            continue
        other = fields.setdefault(directory.rstrip("/"), field)
        if other != field:
            raise SettingsError(f"{field}.spill.directory: {directory!r}: is that of {other}: each destination needs its own")


def _check_tls(exporter: Exporter, field: str) -> None:
    tls = exporter.tls
    if (tls.certificate_file is None) != (tls.key_file is None):
        raise SettingsError(f"{field}.tls: certificateFile and keyFile belong together: set both or neither")
    if tls.insecure_skip_verify and tls.ca_file is not None:
        raise SettingsError(f"{field}.tls.insecureSkipVerify: true excludes caFile: drop one of them")
    if tls.insecure_skip_verify and exporter.protocol == "grpc":
        raise SettingsError(
            f"{field}.tls.insecureSkipVerify: true can't be had with protocol grpc: set caFile to the collector's certificate"
        )


def _check_header(header: Header, field: str, *, grpc: bool) -> None:
    if header.value is None and header.value_file is None:
        raise SettingsError(f"{field}.value: missing; it has no default: set it, or valueFile")
    if header.value is not None and header.value_file is not None:
        raise SettingsError(f"{field}.valueFile: excludes value: drop one of them")
    if grpc and _METADATA_NAME.fullmatch(header.name.lower()) is None:
        raise SettingsError(
            f"{field}.name: {header.name!r}: with protocol grpc letters, digits, '-', '_' and '.' make a name, "
            "and it may not begin with grpc-"
        )
