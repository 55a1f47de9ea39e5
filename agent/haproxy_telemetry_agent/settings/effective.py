"""The settings in use, one by one: what each is, where it is from, and nothing that is a secret.

Secret is what the value of a header is, whatever is called a secret, a password or a token, and of URLs the credentials and the
query.
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from .model import Settings

__all__ = [
    "DEFAULT",
    "HIDDEN",
    "EffectiveSetting",
    "SettingsOrigin",
    "changed_settings",
    "effective_settings",
    "without_credentials",
]

DEFAULT = "default"
"""Where a setting is from that nobody has set."""
HIDDEN = "(not shown)"

_SECRET_NAMES = re.compile(r"secret|password|token|credential|authorization|apikey|pluginargument", re.IGNORECASE)
_HEADER_OWNERS = ("header", "headers", "force")
"""Whose ``value`` is that of a header; one that makes requests sampled is as good as a password."""
_WORD = re.compile(r"\S+")
_QUERY = re.compile(r"[?#].*")


class SettingsOrigin(NamedTuple):
    """How the settings in use came to be, and what has not become of them."""

    path: str | None = None
    """The settings file; None if there is none."""
    sources: Mapping[str, str] = {}
    """See ``Loaded``; of settings that wait for a restart it is where those in use are from."""
    error: str | None = None
    """Why the file, as it is now, is refused."""
    waiting: Sequence[str] = ()
    """Fields that are taken at the next start."""


class EffectiveSetting(NamedTuple):
    """One line."""

    field: str
    """As in the file, such as ``exporter.batch.delay`` or ``sampling.rules[0].name``."""
    value: str
    """As JSON, but text without its quotes."""
    source: str
    """``default``, ``file`` or the name of a variable."""


def effective_settings(settings: Settings, sources: Mapping[str, str]) -> list[EffectiveSetting]:
    """All settings, in the order of the schema; members of a list only if they are set.

    Args:
        settings: those in use.
        sources: see ``Loaded``.
    """
    return [
        EffectiveSetting(field, value, DEFAULT if is_default else _source(field, sources))
        for field, value, is_default in _lines(settings, "", secret=False)
    ]


def changed_settings(settings: Settings, sources: Mapping[str, str]) -> list[str]:
    """Those that do not have their default, a line each, such as ``exporter.timeout = 3s (file)``."""
    return [f"{field} = {value} ({source})" for field, value, source in effective_settings(settings, sources) if source != DEFAULT]


def without_credentials(text: str) -> str:
    """The same text, without what could be credentials: in words with ``@`` what stands before it, in URLs the query."""
    return _WORD.sub(lambda word: _hide_credentials(word[0]), text)


def _hide_credentials(word: str) -> str:
    before, separator, rest = word.rpartition("://")
    # Whatever stands in front of the last @: a password may have any character in it.
    if "@" in before or "@" in rest:
        scheme = "" if "@" in before else before + separator
        return f"{scheme}***@{_QUERY.sub('?***', rest.rpartition('@')[2])}"
    return before + separator + _QUERY.sub("?***", rest) if separator else word


def _lines(value: Any, field: str, *, secret: bool, in_list: bool = False) -> Iterator[tuple[str, str, bool]]:
    """Field, value, and whether it is a member of a list and has its default: the list's source says nothing of it."""
    if isinstance(value, msgspec.Struct):
        dot = "." if field else ""
        owns_header = field.rpartition(".")[2].partition("[")[0] in _HEADER_OWNERS
        for info in msgspec.structs.fields(value):
            below = getattr(value, info.name)
            hidden = secret or (owns_header and info.encode_name == "value") or _is_secret(info.encode_name)
            if in_list and below in (info.default, []) and not isinstance(below, msgspec.Struct):
                yield f"{field}{dot}{info.encode_name}", _text(below), True
            else:
                yield from _lines(below, f"{field}{dot}{info.encode_name}", secret=hidden, in_list=in_list)
    elif isinstance(value, list) and value and isinstance(value[0], msgspec.Struct):
        for index, member in enumerate(value):
            yield from _lines(member, f"{field}[{index}]", secret=secret, in_list=True)
    elif isinstance(value, Mapping) and value:
        for key, member in value.items():
            yield from _lines(member, f"{field}.{key}", secret=secret or _is_secret(str(key)), in_list=in_list)
    else:
        yield field, HIDDEN if secret and value is not None else _text(value), False


def _is_secret(name: str) -> bool:
    return _SECRET_NAMES.search(name) is not None and not name.endswith("File")


def _text(value: Any) -> str:
    if not isinstance(value, str):
        return json.dumps(msgspec.to_builtins(value), ensure_ascii=False)
    return without_credentials(value) if "://" in value else value


def _source(field: str, sources: Mapping[str, str]) -> str:
    """A list is set as a whole, a mapping as a whole or by its members."""
    while field:
        if field in sources:
            return sources[field]
        field = field[: max(field.rfind("."), field.rfind("["), 0)]
    return DEFAULT
