"""Errors of the settings file in words: which field, what value, and what to write instead.

msgspec says where and why (``Expected `str` matching regex '...' - at `$.exporter.timeout` ``); the value, and the fix in a user's
words, are looked up in the document and in the types.
"""

import re
from collections.abc import Mapping
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

__all__ = ["SettingsError", "explain"]

_LOCATION = re.compile(r"(?P<reason>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)
_STEP = re.compile(r"\.([A-Za-z_]\w*)|\[(\d+|\.\.\.)\]")
_SECRET = re.compile(r"\.headers(\[\d+\](\.value)?)?$")
"""Written wrongly, a header's value may stand where a mapping or a list should."""
_WORDS = {
    "`str | null`": "text",
    "`str | object | null`": "text or a mapping",
    "`str | object`": "text or a mapping",
    "`str`": "text",
    "`int`": "a whole number",
    "`float | null`": "a number",
    "`float`": "a number",
    "`bool`": "true or false",
    "`object | null`": "a mapping",
    "`array | null`": "a list",
    "`int | null`": "a whole number",
    "`bool | null`": "true or false",
    "`object`": "a mapping",
    "`array` of length >= 1": "a list of at least one",
    "`array`": "a list",
    "`null`": "nothing",
}


class SettingsError(Exception):
    """A setting that can't be used: which one, what it is, and what it should be."""


def explain(error: msgspec.ValidationError, document: Mapping[str, Any], model: type) -> str:
    """``field: value: fix`` for an error of converting ``document`` to ``model``."""
    match = _LOCATION.fullmatch(str(error))
    reason, path = (match["reason"], match["path"] or "") if match else (str(error), "")
    unknown = re.fullmatch(r"Object contains unknown field `(.*)`", reason)
    if unknown:
        known = ", ".join(field.encode_name for field in _fields_of(_type_at(model, path)))
        return f"{_join(path, unknown[1])}: unknown key; known here: {known}"
    missing = re.fullmatch(r"Object missing required field `(.*)`", reason)
    if missing:
        return f"{_join(path, missing[1])}: missing; it has no default"
    kind = _without_none(_type_at(model, path))
    path = _name_key(document, path, kind)
    value = "(not shown)" if _SECRET.search(path) else repr(_value_at(document, path))
    return f"{path.lstrip('.') or 'the settings'}: {value}: {_fix(reason, kind)}"


def _fix(reason: str, kind: Any) -> str:
    if get_origin(kind) is Literal:
        return "expected one of " + ", ".join(map(str, get_args(kind)))
    meaning = kind.__metadata__[0].description if get_origin(kind) is Annotated else None
    if meaning and "matching regex" in reason:
        return f"expected {meaning}"
    for word, words in _WORDS.items():
        reason = reason.replace(word, words)
    return reason[:1].lower() + reason[1:] + (f": {meaning}" if meaning else "")


def _name_key(document: Any, path: str, kind: Any) -> str:
    """msgspec writes ``[...]`` for the key of a mapping: the first whose value is not of its type."""
    front, dots, back = path.partition("[...]")
    if not dots or not isinstance(mapping := _value_at(document, front), dict):
        return path
    wrong = [key for key, value in mapping.items() if not isinstance(value, _bare(kind))]
    return f"{front}.{wrong[0]}{back}" if wrong else path


def _join(path: str, key: str) -> str:
    return f"{path}.{key}".lstrip(".")


def _value_at(document: Any, path: str) -> Any:
    for name, index in _STEP.findall(path):
        try:
            document = document[name] if name else document[0 if index == "..." else int(index)]
        except (KeyError, IndexError, TypeError):
            return None
    return document


def _type_at(kind: Any, path: str) -> Any:
    for name, _index in _STEP.findall(path):
        if not name:
            kind = get_args(_bare(kind))[-1]
            continue
        for field in _fields_of(kind):
            if field.encode_name == name:
                kind = field.type
                break
    return kind


def _without_none(kind: Any) -> Any:
    if get_origin(kind) in (Union, UnionType):
        return next(part for part in get_args(kind) if part is not type(None))
    return kind


def _fields_of(kind: Any) -> tuple[msgspec.structs.FieldInfo, ...]:
    """The fields of a mapping; of the one among the alternatives, where a text may stand in its place."""
    alternatives = get_args(kind) if get_origin(kind) in (Union, UnionType) else (_bare(kind),)
    return next(msgspec.structs.fields(part) for part in alternatives if hasattr(part, "__struct_fields__"))


def _bare(kind: Any) -> Any:
    kind = _without_none(kind)
    return get_args(kind)[0] if get_origin(kind) is Annotated else kind
