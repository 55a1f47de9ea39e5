"""``OTEL_*`` variables, turned into a document of the settings file's shape.

Rules of the OpenTelemetry specification: an empty variable is unset; names of samplers and the like are case-insensitive; what
can't be understood is warned of and ignored, never fatal; a variable of the traces signal beats the general one. Variables that the
SDK's own parts read (``OTEL_RESOURCE_ATTRIBUTES``, ``OTEL_SERVICE_NAME``, resource detectors) are left to them.

Source: specification 1.60, configuration/sdk-environment-variables and protocol/exporter.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Any, TypeVar
from urllib.parse import unquote

from ..tracing.redaction import is_sensitive_header

__all__ = ["read_environment"]

_T = TypeVar("_T")
_Variable = tuple[str, tuple[str, ...], Callable[[str], Any]]
"""A dotted field, the variables it is from, the first one wins, and how they are understood."""

_SAMPLERS = {
    "always_on": "AlwaysOn",
    "always_off": "AlwaysOff",
    "traceidratio": "TraceIDRatio",
    "parentbased_always_on": "ParentBasedAlwaysOn",
    "parentbased_always_off": "ParentBasedAlwaysOff",
    "parentbased_traceidratio": "ParentBasedTraceIDRatio",
}
_PLUGIN_NAME = re.compile(r"[^\s=\[\]]{1,255}")
_LOG_LEVELS = {
    "trace": "debug",
    "debug": "debug",
    "info": "info",
    "warn": "warn",
    "warning": "warn",
    "error": "error",
    "fatal": "error",
}
_PROTOCOLS = {"http/protobuf": "http/protobuf", "grpc": "grpc"}
_COMPRESSIONS = {"none": "none", "gzip": "gzip"}
_TLS_FILES = (("CERTIFICATE", "caFile"), ("CLIENT_CERTIFICATE", "certificateFile"), ("CLIENT_KEY", "keyFile"))
_LOGS_EXPORTERS = {"otlp": True, "none": False}
_METRICS_EXPORTERS = {"prometheus": True, "otlp": True, "none": False}
_METRICS_PUSHERS = {"prometheus": False, "otlp": True, "none": False}
_EXEMPLAR_FILTERS = {"trace_based": True, "always_off": False}
_EXPORTERS = {"otlp": "otlp", "console": "console", "otlp/stdout": "console", "none": "none"}
_MAX_EXPORTERS = 9
_HOST_PORT = re.compile(r"(\[[0-9A-Fa-f:.]+\]|[^\[\]:/ ]+)(:[0-9]{1,5})?")
_NO_PROPAGATORS = "none"
_PROPAGATORS = ("tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", _NO_PROPAGATORS)


class _Invalid(Exception):
    """The variable is to be ignored, for this reason."""


def read_environment(
    environ: Mapping[str, str], *, exporter_plugins: Callable[[], Collection[str]] = tuple, logs: bool = False
) -> tuple[dict[str, Any], dict[str, str], list[str]]:
    """``(document, sources, warnings)``.

    Args:
        environ: all variables.
        exporter_plugins: names of the installed ones; only asked where one is named.
        logs: whether the access log is switched on elsewhere. Without it, what is about its export only is not read.

    ``document`` has the shape of the settings file and only what the environment sets. ``sources`` maps a dotted field to the
    variable it is from. ``warnings`` name the variable, its value and why it is ignored.
    """
    document: dict[str, Any] = {}
    sources: dict[str, str] = {}
    warnings: list[str] = []
    environ = _with_schemes(environ)
    for variable in _VARIABLES:
        _read(environ, variable, document, sources, warnings)
    if logs or document.get("logs", {}).get("enabled"):
        _read_log_variables(environ, document, sources, warnings)
    _read_sampler_argument(environ, document, sources, warnings)
    _read_propagators(environ, document, sources, warnings)
    _read_exporters(environ, document, sources, warnings, exporter_plugins)
    return document, sources, warnings


def _read(
    environ: Mapping[str, str],
    variable: _Variable,
    document: dict[str, Any],
    sources: dict[str, str],
    warnings: list[str],
) -> None:
    """The first of a field's variables that is set and can be understood."""
    field, names, parse = variable
    for name in names:
        value = environ.get(name, "").strip()
        if not value:
            continue
        try:
            parsed = parse(value)
        except _Invalid as reason:
            shown = "" if "HEADERS" in name else f"={value!r}"
            warning = f"{name}{shown} is ignored: {reason}"
            if warning not in warnings:
                warnings.append(warning)
            continue
        _set(document, field, parsed)
        sources[field] = name
        return


def _read_log_variables(environ: Mapping[str, str], document: dict[str, Any], sources: dict[str, str], warnings: list[str]) -> None:
    """What the access log does not say it takes from ``exporter``: but not what variables of the traces signal have put there.

    A secret that is meant for one collector must not reach another.
    """

    def is_set(name: str) -> bool:
        return bool(environ.get(name, "").strip())

    for suffix, field, default, parse in _LOG_VARIABLES:
        of_logs, general = _otlp(suffix, "LOGS")
        of_traces, _general = _otlp(suffix)
        names = (of_logs, general) if is_set(of_traces) else (of_logs,)
        _read(environ, (f"logs.{field}", names, parse), document, sources, warnings)
        if is_set(of_traces) and f"logs.{field}" not in sources:
            _set(document, f"logs.{field}", default)
            sources[f"logs.{field}"] = of_traces
    # The files of TLS are taken from ``exporter`` all together, or not at all.
    own = [name for suffix, _field in _TLS_FILES for name in (_otlp(suffix, "LOGS")[0], _otlp(suffix)[0]) if is_set(name)]
    if own:
        _set(document, "logs.tls", {})
        sources["logs.tls"] = own[0]
        for suffix, field in _TLS_FILES:
            _read(environ, (f"logs.tls.{field}", _otlp(suffix, "LOGS"), str), document, sources, warnings)


def _read_sampler_argument(
    environ: Mapping[str, str], document: dict[str, Any], sources: dict[str, str], warnings: list[str]
) -> None:
    """The argument has a meaning with a ratio sampler, and a default there; a plugin's is its own affair."""
    sampler = document.get("sampling", {}).get("type", "")
    text = environ.get("OTEL_TRACES_SAMPLER_ARG", "").strip()
    if sampler == "Plugin":
        document["sampling"]["plugin"] = environ["OTEL_TRACES_SAMPLER"].strip()
        sources["sampling.plugin"] = "OTEL_TRACES_SAMPLER"
        if text:
            document["sampling"]["pluginArgument"] = text
            sources["sampling.pluginArgument"] = "OTEL_TRACES_SAMPLER_ARG"
    if not sampler.endswith("TraceIDRatio"):
        if text and sampler != "Plugin":
            warnings.append(
                f"OTEL_TRACES_SAMPLER_ARG={text!r} is ignored: only OTEL_TRACES_SAMPLER=traceidratio, parentbased_traceidratio, "
                "or a plugin takes one"
            )
        return
    ratio = 1.0
    if text:
        try:
            ratio = _ratio(text)
        except ValueError:
            warnings.append(f"OTEL_TRACES_SAMPLER_ARG={text!r} is ignored: expected a number from 0 to 1; 1 is used")
        else:
            sources["sampling.ratio"] = "OTEL_TRACES_SAMPLER_ARG"
    document["sampling"]["ratio"] = ratio


def _read_propagators(environ: Mapping[str, str], document: dict[str, Any], sources: dict[str, str], warnings: list[str]) -> None:
    """A list, of which each name is known or ignored by itself."""
    text = environ.get("OTEL_PROPAGATORS", "")
    names = list(dict.fromkeys(_list(text.lower())))
    known = [name for name in names if name in _PROPAGATORS]
    if known != [_NO_PROPAGATORS]:
        known = [name for name in known if name != _NO_PROPAGATORS]
    ignored = [name for name in names if name not in known]
    if ignored:
        warnings.append(
            f"OTEL_PROPAGATORS={text.strip()!r}: {', '.join(ignored)} is ignored: expected {', '.join(_PROPAGATORS)} "
            f"({_NO_PROPAGATORS} alone)"
        )
    if known:
        _set(document, "propagation.propagators", known)
        sources["propagation.propagators"] = "OTEL_PROPAGATORS"


def _read_exporters(
    environ: Mapping[str, str],
    document: dict[str, Any],
    sources: dict[str, str],
    warnings: list[str],
    plugins: Callable[[], Collection[str]],
) -> None:
    """A list as well. All variables of OTLP are about the first destination, so that is OTLP if it is in the list."""
    text = environ.get("OTEL_TRACES_EXPORTER", "")
    names = [name.lower() if name.lower() in _EXPORTERS else name for name in dict.fromkeys(_list(text))]
    installed = plugins() if any(name not in _EXPORTERS for name in names) else ()
    known = [name for name in names if (name in _EXPORTERS or name in installed) and (name != "none" or len(names) == 1)]
    ignored = [name for name in names if name not in known]
    if ignored:
        expected = ", ".join([*_EXPORTERS, *sorted(set(installed) - set(_EXPORTERS))])
        warnings.append(f"OTEL_TRACES_EXPORTER={text.strip()!r}: {', '.join(ignored)} is ignored: expected {expected} (none alone)")
    types = list(dict.fromkeys(_EXPORTERS.get(name, name) for name in known))
    if "otlp" in types:
        types = ["otlp", *(kind for kind in types if kind != "otlp")]
    exporters = [{"type": kind} if kind in _EXPORTERS else {"type": "plugin", "plugin": kind} for kind in types[:_MAX_EXPORTERS]]
    if exporters:
        for field, value in exporters[0].items():
            _set(document, f"exporter.{field}", value)
            sources[f"exporter.{field}"] = "OTEL_TRACES_EXPORTER"
    if exporters[1:]:
        document["exporters"] = exporters[1:]
        sources["exporters"] = "OTEL_TRACES_EXPORTER"


def _with_schemes(environ: Mapping[str, str]) -> Mapping[str, str]:
    """For gRPC an endpoint may be ``host:port``; another variable says then whether it is to be encrypted."""
    completed = dict(environ)
    for name, protocol_names, insecure_names in (
        ("OTEL_EXPORTER_OTLP_ENDPOINT", _otlp("PROTOCOL"), ("OTEL_EXPORTER_OTLP_INSECURE",)),
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", _otlp("PROTOCOL"), _otlp("INSECURE")),
        ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", _otlp("PROTOCOL", "LOGS"), _otlp("INSECURE", "LOGS")),
    ):
        protocol = next(filter(None, (environ.get(protocol, "").strip() for protocol in protocol_names)), "")
        if protocol.lower() != "grpc":
            continue
        value = environ.get(name, "").strip()
        if _HOST_PORT.fullmatch(value) is not None:
            insecure = next(filter(None, (environ.get(insecure, "").strip() for insecure in insecure_names)), "")
            completed[name] = f"http{'' if insecure.lower() == 'true' else 's'}://{value}"
    return completed


def _ratio(text: str) -> float:
    ratio = float(text)
    if 0 <= ratio <= 1:
        return ratio
    raise ValueError(text)


def _set(document: dict[str, Any], field: str, value: Any) -> None:
    *parents, last = field.split(".")
    for parent in parents:
        document = document.setdefault(parent, {})
    document[last] = value


def _url(value: str) -> str:
    if not value.lower().startswith(("http://", "https://")):
        raise _Invalid("expected a http:// or https:// URL")
    return value


def _endpoint(value: str) -> str:
    return value if value.startswith("unix:/") else _url(value)


def _traces_url(value: str) -> str:
    """Used as it is; a URL without a path means the root."""
    scheme, _, rest = _url(value).partition("://")
    return value if "/" in rest else f"{scheme}://{rest}/"


def _choice(choices: Mapping[str, _T]) -> Callable[[str], _T]:
    def parse(value: str) -> _T:
        try:
            return choices[value.lower()]
        except KeyError:
            raise _Invalid(f"expected one of {', '.join(choices)}") from None

    return parse


def _sampler(value: str) -> str:
    """One of the specification's, or the name of a plugin, which only the start of the agent can look for."""
    if _PLUGIN_NAME.fullmatch(value) is None:
        raise _Invalid(f"expected one of {', '.join(_SAMPLERS)}, or the name of an installed sampler")
    return _SAMPLERS.get(value.lower(), "Plugin")


def _number(minimum: int) -> Callable[[str], int]:
    def parse(value: str) -> int:
        if not value.isascii() or not value.isdigit() or int(value) < minimum:
            raise _Invalid(f"expected a whole number of at least {minimum}")
        return int(value)

    return parse


def _milliseconds(value: str) -> str:
    return f"{_number(0)(value)}ms"


def _headers(value: str) -> list[dict[str, str]]:
    """``name=value,name=value``, values percent-encoded."""
    headers = []
    for part in value.split(","):
        if not part.strip():
            continue
        name, equals, text = part.partition("=")
        if not equals or not name.strip():
            raise _Invalid("expected name=value,name=value with percent-encoded values")
        headers.append({"name": unquote(name.strip()).lower(), "value": unquote(text.strip())})
    return headers


def _list(value: str) -> list[str]:
    return [part for part in (part.strip() for part in value.split(",")) if part]


def _headers_to_capture(value: str) -> list[str]:
    names = list(dict.fromkeys(name.lower() for name in _list(value)))
    secret = next((name for name in names if is_sensitive_header(name)), None)
    if secret is not None:
        raise _Invalid(f"{secret} carries secrets: only the settings file can list it, with spans.allowSensitiveHeaders")
    return names


def _otlp(name: str, signal: str = "TRACES") -> tuple[str, str]:
    return (f"OTEL_EXPORTER_OTLP_{signal}_{name}", f"OTEL_EXPORTER_OTLP_{name}")


_LOG_VARIABLES: list[tuple[str, str, Any, Callable[[str], Any]]] = [
    ("PROTOCOL", "protocol", "http/protobuf", _choice(_PROTOCOLS)),
    ("COMPRESSION", "compression", "gzip", _choice(_COMPRESSIONS)),
    ("TIMEOUT", "timeout", "10s", _milliseconds),
    ("HEADERS", "headers", [], _headers),
]
"""How their names end, the field, and what it is without one."""
_VARIABLES: list[_Variable] = [
    ("exporter.endpoint", ("OTEL_EXPORTER_OTLP_ENDPOINT",), _endpoint),
    ("exporter.tracesEndpoint", ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",), _traces_url),
    ("exporter.protocol", _otlp("PROTOCOL"), _choice(_PROTOCOLS)),
    ("exporter.compression", _otlp("COMPRESSION"), _choice(_COMPRESSIONS)),
    ("exporter.timeout", _otlp("TIMEOUT"), _milliseconds),
    ("exporter.headers", _otlp("HEADERS"), _headers),
    *((f"exporter.tls.{field}", _otlp(suffix), str) for suffix, field in _TLS_FILES),
    ("exporter.batch.delay", ("OTEL_BSP_SCHEDULE_DELAY",), _milliseconds),
    ("exporter.batch.retry", ("OTEL_BSP_EXPORT_TIMEOUT",), _milliseconds),
    ("exporter.batch.maxQueueSpans", ("OTEL_BSP_MAX_QUEUE_SIZE",), _number(1)),
    ("exporter.batch.maxBatchSpans", ("OTEL_BSP_MAX_EXPORT_BATCH_SIZE",), _number(1)),
    ("logs.enabled", ("OTEL_LOGS_EXPORTER",), _choice(_LOGS_EXPORTERS)),
    ("logs.endpoint", ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",), _traces_url),
    ("logs.batch.delay", ("OTEL_BLRP_SCHEDULE_DELAY",), _milliseconds),
    ("logs.batch.retry", ("OTEL_BLRP_EXPORT_TIMEOUT",), _milliseconds),
    ("logs.batch.maxQueueRecords", ("OTEL_BLRP_MAX_QUEUE_SIZE",), _number(1)),
    ("logs.batch.maxBatchRecords", ("OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",), _number(1)),
    ("sampling.type", ("OTEL_TRACES_SAMPLER",), _sampler),
    ("spans.knownMethods", ("OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS",), _list),
    ("spans.requestHeaders", ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",), _headers_to_capture),
    ("spans.responseHeaders", ("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",), _headers_to_capture),
    ("spans.limits.attributeCount", ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT"), _number(0)),
    (
        "spans.limits.attributeValueLength",
        ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT"),
        _number(0),
    ),
    ("spans.limits.eventCount", ("OTEL_SPAN_EVENT_COUNT_LIMIT",), _number(0)),
    ("spans.limits.linkCount", ("OTEL_SPAN_LINK_COUNT_LIMIT",), _number(0)),
    ("metrics.requests", ("OTEL_METRICS_EXPORTER",), _choice(_METRICS_EXPORTERS)),
    ("metrics.push.enabled", ("OTEL_METRICS_EXPORTER",), _choice(_METRICS_PUSHERS)),
    ("metrics.push.endpoint", ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",), _traces_url),
    ("metrics.push.interval", ("OTEL_METRIC_EXPORT_INTERVAL",), _milliseconds),
    ("metrics.exemplars", ("OTEL_METRICS_EXEMPLAR_FILTER",), _choice(_EXEMPLAR_FILTERS)),
    ("log.level", ("OTEL_LOG_LEVEL",), _choice(_LOG_LEVELS)),
]
