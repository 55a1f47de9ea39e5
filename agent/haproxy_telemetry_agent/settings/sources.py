"""Where settings come from: a YAML file, the environment, defaults; and which of them won for each field."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from .environment import read_environment
from .explanation import SettingsError
from .model import Settings, parse_settings

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
    document, sources, warnings = read_environment(environ)
    if path is not None:
        from_file = _read_file(path)
        _drop_what_the_file_replaces(document, from_file)
        _merge(document, from_file)
        sources.update(dict.fromkeys(_fields(from_file), "file"))
    return Loaded(parse_settings(document), sources, warnings)


def _read_file(path: Path) -> dict[str, Any]:
    try:
        document = yaml.load(path.read_bytes(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader
    except OSError as error:
        raise SettingsError(f"{path}: can't be read: {error.strerror}") from None
    except yaml.YAMLError as error:
        raise SettingsError(f"{path}: is no YAML: {' '.join(str(error).split())}") from None
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise SettingsError(f"{path}: expected a mapping of settings at the top, found {type(document).__name__}")
    return document


def _drop_what_the_file_replaces(document: dict[str, Any], from_file: Mapping[str, Any]) -> None:
    """Fields that only make sense together go together: half of them must not come from the environment."""
    exporter = from_file.get("exporter")
    if isinstance(exporter, dict) and "endpoint" in exporter:
        document.get("exporter", {}).pop("tracesEndpoint", None)
    sampling = from_file.get("sampling")
    if isinstance(sampling, dict) and "type" in sampling:
        document.pop("sampling", None)


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
