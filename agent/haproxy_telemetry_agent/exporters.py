"""What the settings say of the export, made into the objects that do it: one exporter with its own queue for each destination."""

import asyncio
import os
import random
import re
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlsplit

from .export import (
    Backoff,
    BatchPolicy,
    Exporter,
    ExportObserver,
    Origin,
    SegmentStore,
    SpanQueue,
    Spill,
    SpilledSpans,
    SpillObserver,
    StoreError,
    Transport,
    encode_request,
    encode_resource,
    encode_scope,
)
from .export.headers import Headers, HeadersError
from .export.json_lines import JsonLinesTransport, append_to_file, write_to_stdout
from .export.otlp_http import OtlpHttpTransport
from .export.proxy import find_proxy
from .export.tls import TlsError, TlsFiles
from .log_telemetry import LogTelemetry
from .resource import resource_attributes
from .settings import Settings, SettingsError, duration_seconds
from .settings.exporter import DEFAULT_HTTP_ENDPOINT, Batch
from .settings.exporter import Exporter as ExporterSettings
from .settings.exporter import Spill as SpillSettings
from .settings.logs import log_exporter
from .tracing.semconv import SCHEMA_URL
from .version import VERSION

__all__ = [
    "SCOPE_NAME",
    "DestinationObserver",
    "Exporters",
    "Replacement",
    "check_exporters",
    "describe_destinations",
    "grpc_target",
    "make_exporters",
    "make_replacements",
]

SCOPE_NAME = "haproxy-telemetry-agent"
_USER_INFORMATION = re.compile(r"(?<=://)[^/]*@")
_USER_AGENT = f"{SCOPE_NAME}/{VERSION}"
_DEFAULT_ENDPOINTS = {"http/protobuf": DEFAULT_HTTP_ENDPOINT, "grpc": "http://localhost:4317"}

_LOGS = "logs"
"""Where the access log's exporter stands in the settings."""
_PATHS = {_LOGS: "/v1/logs"}
_TRACES_PATH = "/v1/traces"

_Encode = Callable[[Sequence[bytes]], bytes]


class DestinationObserver(ExportObserver, SpillObserver, Protocol):
    """Who counts for one destination."""


class Replacement(NamedTuple):
    """What changed settings say of one destination."""

    batch: Batch
    transport: Transport
    origin: Origin


class Exporters:
    """All destinations as one: each gets every span, and none waits for another.

    Args:
        exporters: one for each destination; there may be none.
        logs: the access log's; None: there is no access log.
    """

    def __init__(self, exporters: Sequence[Exporter], logs: Exporter | None = None) -> None:
        self._exporters = exporters
        self._every = list(exporters) if logs is None else [*exporters, logs]
        self.queues = [exporter.queue for exporter in exporters]
        # One destination is the rule: no call in between then.
        self.offer: Callable[[bytes], None] = exporters[0].offer if len(exporters) == 1 else self._offer
        """Queue one encoded span everywhere; never waits."""
        self.offer_log_record: Callable[[bytes], None] | None = None if logs is None else logs.offer
        """Queue one encoded log record; never waits."""

    def start(self) -> None:
        """Start the workers on the running loop."""
        for exporter in self._every:
            exporter.start()

    def replace(self, replacements: Sequence["Replacement"]) -> None:
        """Go on with changed settings; there must be one for each destination, in the same order, the access log's last.

        The queues stay.
        """
        for exporter, (batch, transport, origin) in zip(self._every, replacements, strict=True):
            exporter.replace(transport, _make_policy(batch))
            if exporter.spill is not None:
                exporter.spill.replace(origin, drop_oldest=batch.drop_policy == "Oldest")
            exporter.queue.resize(
                max_spans=batch.max_queue_spans, max_bytes=batch.max_queue_bytes, drop_oldest=batch.drop_policy == "Oldest"
            )

    def waiting(self) -> int:
        """How many spans and log records wait, in all queues."""
        return sum(len(exporter.queue) for exporter in self._every)

    def shed(self) -> None:
        """Drop the older half of what waits, and all that is offered until ``resume``: there is no memory for it."""
        for exporter in self._every:
            exporter.shed()

    def resume(self) -> None:
        """Take them again."""
        for exporter in self._every:
            exporter.resume()

    async def close(self, timeout_seconds: float) -> None:
        """Send what is queued, all at the same time, for at most ``timeout_seconds``."""
        await asyncio.gather(*(exporter.close(timeout_seconds) for exporter in self._every))

    def _offer(self, span: bytes) -> None:
        for exporter in self._exporters:
            exporter.offer(span)


def make_exporters(
    settings: Settings,
    observe: Callable[[str], DestinationObserver],
    log_telemetry: LogTelemetry | None = None,
    own_path: Callable[[str], str] = str,
) -> Exporters:
    """All exporters that checked settings describe; must be called on a running loop.

    Args:
        settings: checked settings.
        observe: makes the observer of the destination of this name.
        log_telemetry: counts for the access log; None: there is none, whatever the settings say.
        own_path: where this agent has what the settings name for all of several.

    Raises:
        SettingsError: a file can't be used, or a package is missing.
    """
    origin = _make_origin(settings)
    exporters: list[Exporter] = []
    for field, exporter in settings.destinations():
        observer = observe(field)
        exporters.append(
            _make_exporter(exporter, field, origin, observer, _make_spill(exporter, field, origin, observer, own_path))
        )
    if log_telemetry is None:
        return Exporters(exporters)
    logs = _make_exporter(log_exporter(settings.logs, settings.exporter), _LOGS, origin, log_telemetry)
    log_telemetry.watch_queue(logs.queue)
    return Exporters(exporters, logs)


def make_replacements(settings: Settings) -> list[Replacement]:
    """What ``Exporters.replace`` takes.

    Raises:
        SettingsError: as ``make_exporters``.
    """
    origin = _make_origin(settings)
    encode = partial(_encode, origin)
    return [Replacement(exporter.batch, _make_transport(exporter, field, encode), origin) for field, exporter in _every(settings)]


def check_exporters(settings: Settings) -> None:
    """Whether checked settings can be had on this machine.

    Raises:
        SettingsError: a file can't be used, or a package is missing.
    """
    for field, exporter in _every(settings):
        _make_transport(exporter, field, partial(encode_request, b"", b"", ""))
        _check_spill(exporter.spill, field)


def describe_destinations(settings: Settings) -> str:
    """Where spans go, and the access log if there is one, for the start-up log: without a URL's user and password."""
    places = [_USER_INFORMATION.sub("", _destination(exporter)) for _field, exporter in settings.destinations()]
    spans = ", ".join(places) or "nowhere"
    if not settings.logs.enabled:
        return spans
    logs = _destination(log_exporter(settings.logs, settings.exporter), _PATHS[_LOGS])
    return f"{spans}, access log to {_USER_INFORMATION.sub('', logs)}"


def grpc_target(url: str) -> str:
    """What gRPC is told to connect to: ``host:port`` of a URL (the scheme's port, as in HTTP, if it names none), ``unix:/path``."""
    if url.startswith("unix:"):
        return url
    parts = urlsplit(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{host}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def _make_origin(settings: Settings) -> Origin:
    resource = resource_attributes(service_name=settings.resource.service_name, attributes=settings.resource.attributes)
    return Origin(encode_resource(resource), encode_scope(SCOPE_NAME, VERSION), SCHEMA_URL)


def _encode(origin: Origin, spans: Sequence[bytes]) -> bytes:
    """What was spilled may be another agent's."""
    return encode_request(*(spans.origin if isinstance(spans, SpilledSpans) else origin), spans)


def _every(settings: Settings) -> list[tuple[str, ExporterSettings]]:
    """``(field, exporter)`` of each destination, and last of the access log if there is one."""
    logs = [(_LOGS, log_exporter(settings.logs, settings.exporter))] if settings.logs.enabled else []
    return settings.destinations() + logs


def _destination(exporter: ExporterSettings, path: str = _TRACES_PATH) -> str:
    if exporter.type == "console":
        return "standard output"
    if exporter.type == "file":
        return exporter.file.path or ""
    if exporter.type == "plugin":
        return f"plug-in {exporter.plugin}"
    base = exporter.traces_endpoint or exporter.endpoint or _DEFAULT_ENDPOINTS[exporter.protocol]
    if exporter.protocol == "grpc":
        return base
    if base.startswith("unix:"):
        return f"{base} ({path})"
    return exporter.traces_endpoint or base.rstrip("/") + path


def _make_exporter(
    settings: ExporterSettings, field: str, origin: Origin, observer: ExportObserver, spill: Spill | None = None
) -> Exporter:
    batch = settings.batch
    return Exporter(
        transport=_make_transport(settings, field, partial(_encode, origin)),
        queue=SpanQueue(
            max_spans=batch.max_queue_spans, max_bytes=batch.max_queue_bytes, drop_oldest=batch.drop_policy == "Oldest"
        ),
        policy=_make_policy(batch),
        backoff=Backoff(random=random.random),
        observer=observer,
        name=field,
        items="log records" if field == _LOGS else "spans",
        spill=spill,
    )


def _make_spill(
    settings: ExporterSettings, field: str, origin: Origin, observer: DestinationObserver, own_path: Callable[[str], str]
) -> Spill | None:
    spill = settings.spill
    if spill.directory is None:
        return None
    directory = own_path(spill.directory)
    store = SegmentStore(Path(directory), max_bytes=spill.max_bytes, drop_oldest=settings.batch.drop_policy == "Oldest")
    try:
        store.lock()
    except StoreError as error:
        raise SettingsError(f"{field}.spill.directory: {directory!r}: {error}") from None
    return Spill(store, origin=origin, observer=observer, name=field)


def _check_spill(spill: SpillSettings, field: str) -> None:
    """Nothing is made or locked: an agent with these settings may be running."""
    if spill.directory is None:
        return
    directory = Path(spill.directory)
    # As for files: pathlib would raise.
    existing = directory if os.access(directory, os.F_OK) else directory.parent
    if not os.path.isdir(existing):  # noqa: PTH112
        raise SettingsError(f"{field}.spill.directory: {spill.directory!r}: is no folder, and in none")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise SettingsError(f"{field}.spill.directory: {spill.directory!r}: can't be written by this user")


def _make_policy(batch: Batch) -> BatchPolicy:
    return BatchPolicy(batch.max_batch_spans, duration_seconds(batch.delay), duration_seconds(batch.retry))


def _make_transport(settings: ExporterSettings, field: str, encode: _Encode) -> Transport:
    if settings.type == "console":
        return JsonLinesTransport(encode=encode, write=write_to_stdout)
    if settings.type == "file" and settings.file.path is not None:
        return JsonLinesTransport(encode=encode, write=_open_file(settings.file.path, settings.file.max_bytes, field))
    if settings.type == "plugin" and settings.plugin is not None:
        return _make_plugin(settings.plugin, field, encode)
    try:
        return _make_otlp(settings, field, encode)
    except (TlsError, HeadersError) as error:
        raise SettingsError(str(error) if isinstance(error, TlsError) else f"{field}.headers: {error}") from None


def _make_plugin(name: str, field: str, encode: _Encode) -> Transport:
    # Imported here: it drags in the SDK's tracer.
    from .plugin_exporter import PluginExporterError, PluginTransport, load_plugin_exporter  # noqa: PLC0415

    try:
        return PluginTransport(load_plugin_exporter(name), encode=encode)
    except PluginExporterError as error:
        raise SettingsError(f"{field}.plugin: {name!r}: {error}") from None


def _open_file(path: str, max_bytes: int, field: str) -> Callable[[bytes], None]:
    """Nothing is made yet: who only checks settings may be another user."""
    folder = Path(path).parent
    # What this user may not even look at is no folder to it: pathlib would raise.
    if not os.path.isdir(folder):  # noqa: PTH112
        raise SettingsError(f"{field}.file.path: {path!r}: is in a folder that does not exist")
    if os.path.isdir(path) or not os.access(path if os.access(path, os.F_OK) else folder, os.W_OK):  # noqa: PTH112
        raise SettingsError(f"{field}.file.path: {path!r}: can't be written by this user")
    return append_to_file(Path(path), max_bytes)


def _make_otlp(settings: ExporterSettings, field: str, encode: _Encode) -> Transport:
    url = settings.traces_endpoint or settings.endpoint or _DEFAULT_ENDPOINTS[settings.protocol]
    unix = url.startswith("unix:")
    headers = Headers(
        {header.name: header.value for header in settings.headers if header.value is not None},
        {header.name: header.value_file for header in settings.headers if header.value_file is not None},
    )
    files = settings.tls
    tls = TlsFiles(
        f"{field}.tls",
        ca_file=files.ca_file,
        certificate_file=files.certificate_file,
        key_file=files.key_file,
        verify=not files.insecure_skip_verify,
    )
    secure = url.startswith("https:")
    if not secure and (files.ca_file or files.certificate_file):
        tls.context()  # nothing uses them, but they are easier to mend now
    timeout_seconds = duration_seconds(settings.timeout)
    gzip = settings.compression == "gzip"
    if settings.protocol == "grpc":
        # Its core writes lines of its own to standard error for each handshake that fails; a result says it, too.
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")
        try:
            from .export.otlp_grpc import LOGS_METHOD, TRACES_METHOD, OtlpGrpcTransport  # noqa: PLC0415 - an extra
        except ImportError:
            raise SettingsError(
                f"{field}.protocol: 'grpc': needs the package grpcio: install haproxy-telemetry[agent,grpc], or use http/protobuf"
            ) from None
        return OtlpGrpcTransport(
            target=grpc_target(url),
            headers=headers,
            timeout_seconds=timeout_seconds,
            gzip=gzip,
            tls=tls if secure else None,
            encode=encode,
            user_agent=_USER_AGENT,
            method=LOGS_METHOD if field == _LOGS else TRACES_METHOD,
        )
    path = _PATHS.get(field, _TRACES_PATH)
    full_url = f"http://localhost{path}" if unix else _destination(settings, path)
    return OtlpHttpTransport(
        url=full_url,
        unix_path=url.removeprefix("unix:") if unix else None,
        proxy=None if unix else find_proxy(full_url),
        headers=headers,
        timeout_seconds=timeout_seconds,
        gzip=gzip,
        tls=tls if secure else None,
        encode=encode,
        user_agent=_USER_AGENT,
    )
