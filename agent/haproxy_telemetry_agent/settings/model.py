"""What can be set, with its default and its bounds: the settings file, and what ``OTEL_*`` variables fill in.

The file is YAML in camelCase; what it shares with the ``HAProxyTelemetry`` resource has the same names and shapes there. Everything
has a default. Precedence: file over environment over default. Unknown keys are errors. ``schema()`` is the file's JSON Schema.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from ..tracing.semconv import KNOWN_METHODS, SENSITIVE_QUERY_PARAMETERS
from .explanation import SettingsError, explain

__all__ = ["RATIO_SAMPLERS", "Settings", "convert_settings", "duration_seconds", "parse_settings", "schema"]

Address = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(unix:/.+|(\[[0-9A-Fa-f:.]+\]|[^\[\]:/ ]*):[0-9]{1,5})$(?!\n)",
        description="host:port ([::1]:port for IPv6) or unix:/path",
        examples=["127.0.0.1:12345", "unix:/run/haproxy-telemetry/spoa.sock"],
    ),
]
Duration = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{1,9}(us|ms|s|m)$(?!\n)", description="a whole number with us, ms, s or m, such as 10s", examples=["10s"]
    ),
]
ProcessingTimeout = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[1-9][0-9]{0,4}(us|ms|s)$(?!\n)", description="1 to 99999 with us, ms or s, such as 20ms", examples=["20ms"]
    ),
]
Url = Annotated[
    str, msgspec.Meta(pattern=r"^https?://[^ /]+", description="a http:// or https:// URL, such as http://collector:4318")
]
HeaderName = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$(?!\n)", max_length=256, description="an HTTP header's name")
]
HeaderValue = Annotated[str, msgspec.Meta(pattern=r"^[\x20-\x7e\t]*$(?!\n)", max_length=4096, description="printable ASCII")]


class _Struct(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True, frozen=True):
    """A mapping of the settings file."""


class Listen(_Struct, frozen=True):
    """Where the agent listens."""

    spop: Address = "127.0.0.1:12345"
    records: Address = "127.0.0.1:10514"
    http: Address = "127.0.0.1:9464"
    """/metrics, /healthz, /readyz"""


class Header(_Struct, frozen=True):
    """A header of every export request."""

    name: HeaderName
    value: HeaderValue


class Tls(_Struct, frozen=True):
    """TLS to the collector."""

    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    insecure_skip_verify: bool = False


class Batch(_Struct, frozen=True):
    """Batching and the queue. Larger than OpenTelemetry's defaults: an edge proxy fills 2048 spans in a moment."""

    max_queue_spans: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 20_480
    max_queue_bytes: Annotated[int, msgspec.Meta(ge=1024)] = 16 * 1024 * 1024
    max_batch_spans: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 2_048
    delay: Duration = "1s"
    retry: Duration = "5m"
    """How long a batch is tried again."""


class Exporter(_Struct, frozen=True):
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


SamplerType = Literal[
    "AlwaysOn", "AlwaysOff", "TraceIDRatio", "ParentBasedAlwaysOn", "ParentBasedAlwaysOff", "ParentBasedTraceIDRatio"
]
RATIO_SAMPLERS = ("TraceIDRatio", "ParentBasedTraceIDRatio")


class Sampling(_Struct, frozen=True):
    """Which traces are recorded."""

    type: SamplerType = "ParentBasedAlwaysOn"
    ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None


class Propagation(_Struct, frozen=True):
    """How trace context travels."""

    propagators: Annotated[list[Literal["tracecontext"]], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["tracecontext"]
    )


class Spans(_Struct, frozen=True):
    """What spans say."""

    redact_query: bool = True
    """Replace the values of sensitive query parameters by REDACTED."""
    sensitive_query_parameters: list[str] = msgspec.field(default_factory=lambda: sorted(SENSITIVE_QUERY_PARAMETERS))
    """Keys whose values are redacted; replaces the default list."""
    known_methods: list[str] = msgspec.field(default_factory=lambda: sorted(KNOWN_METHODS))
    """Methods that may stand in span names; all others are _OTHER."""


class Resource(_Struct, frozen=True):
    """Who the spans are from."""

    service_name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class Log(_Struct, frozen=True):
    """The agent's own log, on standard error."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Limits(_Struct, frozen=True):
    """What peers may make the agent hold."""

    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 1_024
    """Of each kind: SPOP and record connections."""
    max_frame_size_bytes: Annotated[int, msgspec.Meta(ge=256, le=16_777_216)] = 65_536
    max_record_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1_048_576)] = 65_535


class Settings(_Struct, frozen=True):
    """The settings file of haproxy-telemetry-agent."""

    profile: Literal["Standard"] = "Standard"
    processing_timeout: ProcessingTimeout = "20ms"
    """The longest time HAProxy waits for the agent; only `config` uses it."""
    listen: Listen = msgspec.field(default_factory=Listen)
    exporter: Exporter = msgspec.field(default_factory=Exporter)
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    propagation: Propagation = msgspec.field(default_factory=Propagation)
    spans: Spans = msgspec.field(default_factory=Spans)
    resource: Resource = msgspec.field(default_factory=Resource)
    log: Log = msgspec.field(default_factory=Log)
    limits: Limits = msgspec.field(default_factory=Limits)
    shutdown_timeout: Duration = "5s"
    """How long SIGTERM waits for records and exports."""


_UNIT_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def duration_seconds(text: str) -> float:
    """Seconds of a ``Duration``."""
    number, unit = text.rstrip("usm"), text.lstrip("0123456789")
    return int(number) * _UNIT_SECONDS[unit]


def parse_settings(document: Mapping[str, Any]) -> Settings:
    """Settings from a document of plain mappings, lists and scalars, checked together.

    Raises:
        SettingsError: names the field, its value and the fix.
    """
    settings = convert_settings(document)
    _check(settings)
    return settings


def convert_settings(document: Mapping[str, Any]) -> Settings:
    """Like ``parse_settings``, but each field is only checked by itself."""
    try:
        return msgspec.convert(document, Settings)
    except msgspec.ValidationError as error:
        raise SettingsError(explain(error, document, Settings)) from None


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Settings)}


def _check(settings: Settings) -> None:
    sampling = settings.sampling
    if (sampling.ratio is not None) != (sampling.type in RATIO_SAMPLERS):
        raise SettingsError(
            f"sampling.ratio: {sampling.ratio} with type {sampling.type}: a ratio is required by, and only allowed with, "
            + " and ".join(RATIO_SAMPLERS)
        )
    batch = settings.exporter.batch
    if batch.max_batch_spans > batch.max_queue_spans:
        raise SettingsError(
            f"exporter.batch.maxBatchSpans: {batch.max_batch_spans} is more than maxQueueSpans {batch.max_queue_spans}: "
            "a batch must fit in the queue"
        )
    tls = settings.exporter.tls
    if (tls.certificate_file is None) != (tls.key_file is None):
        raise SettingsError("exporter.tls: certificateFile and keyFile belong together: set both or neither")
    if tls.insecure_skip_verify and tls.ca_file is not None:
        raise SettingsError("exporter.tls.insecureSkipVerify: true excludes caFile: drop one of them")
    addresses = settings.listen
    if len({addresses.spop, addresses.records, addresses.http}) < 3:
        raise SettingsError("listen: spop, records and http must be three different addresses")
    for name in ("spop", "records", "http"):
        address = getattr(addresses, name)
        if not address.startswith("unix:") and int(address.rpartition(":")[2]) > 65_535:
            raise SettingsError(f"listen.{name}: {address!r}: a port is at most 65535")
