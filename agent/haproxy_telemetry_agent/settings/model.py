"""What can be set, with its default and its bounds: the settings file, and what ``OTEL_*`` variables fill in.

The file is YAML in camelCase; what it shares with the ``HAProxyTelemetry`` resource has the same names and shapes there. Everything
has a default. Precedence: file over environment over default. Unknown keys are errors. ``schema()`` is the file's JSON Schema.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec

from ..wiring import Profile
from .debug import Debug
from .explanation import SettingsError, explain
from .exporter import Exporter, check_exporter, check_spills
from .http_tls import HttpTls, check_http_tls
from .logs import Logs, check_logs
from .metrics import Metrics, check_metrics
from .minilanguage import MiniLanguageSettings
from .propagation import Propagation, check_propagation
from .sampling import Sampling, check_sampling
from .spans import Spans, check_spans
from .types import Address, Duration, ProcessingTimeout, Struct

__all__ = ["Settings", "convert_settings", "parse_settings", "schema", "with_profile"]


class Listen(Struct, frozen=True):
    """Where the agent listens."""

    spop: Address = "127.0.0.1:12345"
    records: Address = "127.0.0.1:10514"
    http: Address = "127.0.0.1:9464"
    """/metrics, /healthz, /readyz, /debug"""
    http_tls: HttpTls = msgspec.field(default_factory=HttpTls)


class Resource(Struct, frozen=True):
    """Who the spans are from."""

    service_name: Annotated[str, msgspec.Meta(min_length=1, max_length=255)] | None = None
    attributes: dict[str, str] = msgspec.field(default_factory=dict)


class Log(Struct, frozen=True):
    """The agent's own log, on standard error."""

    level: Literal["debug", "info", "warn", "error"] = "info"
    format: Literal["console", "json"] = "console"


class Limits(Struct, frozen=True):
    """What peers may make the agent hold."""

    max_connections: Annotated[int, msgspec.Meta(ge=1)] = 1_024
    """Of each kind: SPOP and record connections."""
    max_frame_size_bytes: Annotated[int, msgspec.Meta(ge=256, le=16_777_216)] = 65_536
    max_record_bytes: Annotated[int, msgspec.Meta(ge=1024, le=1_048_576)] = 65_535
    max_memory_bytes: Annotated[int, msgspec.Meta(ge=64 * 1024 * 1024)] = 160 * 1024 * 1024
    """Of the agent as a whole; above it spans are dropped."""


class Settings(Struct, frozen=True):
    """The settings file of haproxy-telemetry-agent."""

    profile: Profile = "Standard"
    """How often HAProxy waits for the agent: Standard once, Full at every safe event (nine spans), Stream never."""
    processing_timeout: ProcessingTimeout = "20ms"
    """The longest time HAProxy waits for the agent; only `config` uses it."""
    listen: Listen = msgspec.field(default_factory=Listen)
    exporter: Exporter = msgspec.field(default_factory=Exporter)
    exporters: Annotated[list[Exporter], msgspec.Meta(max_length=8)] = msgspec.field(default_factory=list)
    """Further destinations: all spans go to each of them too. Each has a queue of its own."""
    sampling: Sampling = msgspec.field(default_factory=Sampling)
    propagation: Propagation = msgspec.field(default_factory=Propagation)
    spans: Spans = msgspec.field(default_factory=Spans)
    minilanguage: MiniLanguageSettings = msgspec.field(default_factory=MiniLanguageSettings)
    metrics: Metrics = msgspec.field(default_factory=Metrics)
    logs: Logs = msgspec.field(default_factory=Logs)
    debug: Debug = msgspec.field(default_factory=Debug)
    resource: Resource = msgspec.field(default_factory=Resource)
    log: Log = msgspec.field(default_factory=Log)
    limits: Limits = msgspec.field(default_factory=Limits)
    shutdown_timeout: Duration = "5s"
    """How long SIGTERM waits for records and exports."""
    drain_timeout: Duration = "1s"
    """How much of it, at most half, the agent goes on taking records for while HAProxy keeps its connections open."""

    def destinations(self) -> list[tuple[str, Exporter]]:
        """``(field, exporter)`` of each that exports."""
        every = [("exporter", self.exporter)]
        every += [(f"exporters[{index}]", exporter) for index, exporter in enumerate(self.exporters)]
        return [(field, exporter) for field, exporter in every if exporter.type != "none"]


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


def with_profile(settings: Settings, profile: Profile) -> Settings:
    """The same settings with another profile.

    Raises:
        SettingsError: they do not fit together.
    """
    changed = msgspec.structs.replace(settings, profile=profile)
    _check(changed)
    return changed


def schema() -> dict[str, Any]:
    """The JSON Schema of the file."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **msgspec.json.schema(Settings)}


def _check(settings: Settings) -> None:
    check_sampling(settings.sampling, profile=settings.profile)
    check_exporter(settings.exporter, "exporter")
    for index, exporter in enumerate(settings.exporters):
        check_exporter(exporter, f"exporters[{index}]")
    check_spills(settings.destinations())
    check_spans(settings.spans)
    check_metrics(settings.metrics, settings.exporter)
    check_logs(settings.logs, settings.exporter)
    addresses = settings.listen
    check_http_tls(addresses.http_tls)
    if len({addresses.spop, addresses.records, addresses.http}) < 3:
        raise SettingsError("listen: spop, records and http must be three different addresses")
    for name in ("spop", "records", "http"):
        address = getattr(addresses, name)
        if not address.startswith("unix:") and int(address.rpartition(":")[2]) > 65_535:
            raise SettingsError(f"listen.{name}: {address!r}: a port is at most 65535")
    check_propagation(settings.propagation)
