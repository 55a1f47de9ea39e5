"""Where settings come from: a YAML file, the environment, defaults; and which of them won for each field."""

from collections.abc import Mapping
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .environment import read_environment
from .explanation import SettingsError
from .model import Settings, convert_settings, parse_settings

__all__ = ["Loaded", "load_settings"]


class Loaded(NamedTuple):
    """Settings, and how they came to be."""

    settings: Settings
    sources: dict[str, str]
    """Dotted field -> ``file`` or the name of a variable; what is not here has its default."""
    warnings: list[str]


def load_settings(path: Path | None, environ: Mapping[str, str]) -> Loaded:
    """Read and check everything.

    Raises:
        SettingsError: the file can't be read or is no YAML mapping, or a field is wrong.
    """
    from_file = {} if path is None else _read_file(path)
    document, sources, warnings = read_environment(
        environ, exporter_plugins=_installed_exporters, logs=_look_up(from_file, "logs.enabled") is True
    )
    for field in [*_replaced_by(from_file), *_meant_for_both(from_file, sources)]:
        _drop(document, sources, field)
    _drop_what_is_out_of_bounds(document, sources, warnings)
    _merge(document, from_file)
    sources.update(dict.fromkeys(_fields(from_file), "file"))
    _fit_together(document, sources, warnings)
    return Loaded(parse_settings(document), sources, warnings)


def _installed_exporters() -> set[str]:
    return entry_points(group="opentelemetry_traces_exporter").names


def _read_file(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is no YAML: {_explain_yaml(error)}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected a mapping of settings at the top, found {type(document).__name__}")
    return document


def _explain_yaml(error: yaml.YAMLError) -> str:
    """What is wrong and where, without the line itself, which may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return " ".join(str(error).split())
    mark = error.problem_mark
    return f"{error.problem}: line {mark.line + 1}, column {mark.column + 1}"


def _replaced_by(from_file: Mapping[str, Any]) -> list[str]:
    """Fields that only make sense together go together: half of them must not come from the environment."""
    replaced: list[str] = []
    fields = _fields(from_file)
    if "exporter.endpoint" in fields:
        replaced.append("exporter.tracesEndpoint")
    if "exporter.type" in fields:
        replaced += ["exporter.type", "exporter.plugin"]
    if "sampling.type" in fields:
        replaced += ["sampling.type", "sampling.ratio", "sampling.plugin", "sampling.pluginArgument"]
    return replaced


def _meant_for_both(from_file: Mapping[str, Any], sources: Mapping[str, str]) -> list[str]:
    """What variables keep the access log from taking from ``exporter``, where the file says what stands there."""
    own = from_file.get("exporter")
    said = own if isinstance(own, dict) else {}
    return [
        field
        for field, name in sources.items()
        if field.startswith("logs.")
        and name.startswith("OTEL_EXPORTER_OTLP_")
        and "_LOGS_" not in name
        and field.split(".")[1] in said
    ]


def _drop_what_is_out_of_bounds(document: dict[str, Any], sources: dict[str, str], warnings: list[str]) -> None:
    """No variable is ever fatal: what the file would be refused for is ignored, and warned of."""
    for field, name in list(sources.items()):
        alone: dict[str, Any] = {}
        _merge_field(alone, field, _look_up(document, field))
        try:
            convert_settings(alone)
        except SettingsError as error:
            # Written wrongly, a header's secret may stand where its name should.
            reason = "expected name=value,name=value with percent-encoded values" if field.endswith(".headers") else error
            warnings.append(f"{name} is ignored: {reason}")
            _drop(document, sources, field)


def _fit_together(document: dict[str, Any], sources: dict[str, str], warnings: list[str]) -> None:
    """What variables set is made to fit with what they do not."""
    for tls, field, other in (
        ("exporter.tls", "certificateFile", "keyFile"),
        ("exporter.tls", "keyFile", "certificateFile"),
        ("logs.tls", "certificateFile", "keyFile"),
        ("logs.tls", "keyFile", "certificateFile"),
    ):
        name = sources.get(f"{tls}.{field}")
        if name not in (None, "file") and _look_up(document, f"{tls}.{other}") is None:
            warnings.append(f"{name} is ignored: a certificate and its key belong together, and {tls}.{other} is not set")
            _drop(document, sources, f"{tls}.{field}")
    if document.get("profile") == "Stream" and sources.get("sampling.plugin") not in (None, "file"):
        warnings.append("OTEL_TRACES_SAMPLER is ignored: with profile Stream HAProxy decides, and runs no plugin")
        for field in ("type", "plugin", "pluginArgument"):
            _drop(document, sources, f"sampling.{field}")
    defaults = Settings().exporter.batch
    sizes = (defaults.max_queue_spans, defaults.max_batch_spans)
    _fit_batch(document, sources, warnings, "exporter.batch", items="Spans", default_sizes=sizes)
    _fit_batch(document, sources, warnings, "logs.batch", items="Records", default_sizes=sizes)


def _fit_batch(
    document: dict[str, Any],
    sources: dict[str, str],
    warnings: list[str],
    parent: str,
    *,
    items: str,
    default_sizes: tuple[int, int],
) -> None:
    queue, batch = f"{parent}.maxQueue{items}", f"{parent}.maxBatch{items}"
    if {sources.get(queue), sources.get(batch)} <= {None, "file"}:
        return
    max_queue = _look_up(document, queue) or default_sizes[0]
    max_batch = _look_up(document, batch) or default_sizes[1]
    if isinstance(max_queue, int) and isinstance(max_batch, int) and max_batch > max_queue:
        if batch in sources:
            warnings.append(f"a batch of {max_batch} {items.lower()} does not fit in a queue of {max_queue}: it is made as small")
        _merge_field(document, batch, max_queue)


def _look_up(document: Any, field: str) -> Any:
    for key in field.split("."):
        if not isinstance(document, dict) or key not in document:
            return None
        document = document[key]
    return document


def _merge_field(document: dict[str, Any], field: str, value: Any) -> None:
    for key in reversed(field.split(".")):
        value = {key: value}
    _merge(document, value)


def _drop(document: dict[str, Any], sources: dict[str, str], field: str) -> None:
    sources.pop(field, None)
    *parents, last = field.split(".")
    parent = _look_up(document, ".".join(parents)) if parents else document
    if isinstance(parent, dict):
        parent.pop(last, None)


def _merge(target: dict[str, Any], source: Mapping[str, Any]) -> None:
    for key, value in source.items():
        if isinstance(value, dict) and isinstance(target.get(key), dict):
            _merge(target[key], value)
        else:
            target[key] = value


def _fields(document: Mapping[str, Any], prefix: str = "") -> list[str]:
    fields: list[str] = []
    for key, value in document.items():
        name = f"{prefix}{key}"
        fields.extend(_fields(value, f"{name}.") if isinstance(value, dict) and value else [name])
    return fields
