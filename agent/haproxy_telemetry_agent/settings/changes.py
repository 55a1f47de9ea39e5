"""What of changed settings a running agent can take, and what waits for its next start."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from .exporter import Exporter
from .model import Settings

__all__ = ["Change", "compare_settings"]

_AT_START_ONLY = ("listen", "limits", "minilanguage", "metrics")
"""Open sockets, open exchanges and counters were made with these."""
_EXPORT = ("exporter", "exporters")
_LOGS = ("logs",)


class Change(NamedTuple):
    """From the settings in use to those that are wanted."""

    effective: Settings
    """What is wanted, but for what needs a restart: that is as it was."""
    live: list[str]
    """Fields that are taken now, sorted."""
    restart: list[str]
    """Fields that are taken at the next start, sorted."""


def compare_settings(running: Settings, wanted: Settings) -> Change:
    """What is to be done about ``wanted``."""
    # Each destination has a queue, which can change but not come or go.
    same_destinations = [field for field, _ in running.destinations()] == [field for field, _ in wanted.destinations()]
    waiting: tuple[str, ...] = _AT_START_ONLY if same_destinations else _AT_START_ONLY + _EXPORT
    if running.logs.enabled != wanted.logs.enabled:
        waiting += _LOGS
    kept = {name: getattr(running, name) for name in waiting}
    restart = [field for field in _different(running, wanted) if field.partition(".")[0] in waiting]
    effective = msgspec.structs.replace(wanted, **kept)
    if same_destinations:
        restart += _different_spills(running, wanted)
        effective = _with_spills_of(running, effective)
    return Change(effective, sorted(_different(running, effective)), sorted(restart))


def _different_spills(running: Settings, wanted: Settings) -> Iterator[str]:
    """A spill has a lock and open files, as a socket is open: it stays until the next start."""
    now = dict(running.destinations())
    for field, exporter in wanted.destinations():
        yield from _different(now[field].spill, exporter.spill, f"{field}.spill.")


def _with_spills_of(running: Settings, wanted: Settings) -> Settings:
    now = dict(running.destinations())

    def keep(field: str, exporter: Exporter) -> Exporter:
        return msgspec.structs.replace(exporter, spill=now[field].spill) if field in now else exporter

    others = [keep(f"exporters[{index}]", exporter) for index, exporter in enumerate(wanted.exporters)]
    return msgspec.structs.replace(wanted, exporter=keep("exporter", wanted.exporter), exporters=others)


def _different(one: msgspec.Struct, other: msgspec.Struct, prefix: str = "") -> Iterator[str]:
    """Dotted names, as in the file, of fields that differ; a list is one field."""
    for name, encoded in zip(one.__struct_fields__, one.__struct_encode_fields__, strict=True):
        before, after = getattr(one, name), getattr(other, name)
        if before == after:
            continue
        if isinstance(before, msgspec.Struct) and isinstance(after, msgspec.Struct):
            yield from _different(before, after, f"{prefix}{encoded}.")
        else:
            yield f"{prefix}{encoded}"
