"""What of changed settings a running agent can take, and what waits for its next start."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

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
    live: list[str] = []
    restart: list[str] = []
    for field in sorted(_different(running, wanted)):
        (restart if field.partition(".")[0] in waiting else live).append(field)
    return Change(msgspec.structs.replace(wanted, **kept), live, restart)


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
