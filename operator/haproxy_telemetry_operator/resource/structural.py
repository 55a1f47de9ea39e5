"""Structural schemas: what the API server checks, prunes and explains, made from our structs.

Kubernetes takes a dialect of OpenAPI 3: a type at every place, no references, regular expressions of RE2. Descriptions are the
docstrings of the structs and the strings below their fields. Defaults are written for the operator's own structs only: an agent's
default belongs to the agent's version, and is named in the description instead.

Source: Kubernetes, "Extend the Kubernetes API with CustomResourceDefinitions", structural schemas.
"""

import ast
import inspect
import itertools
import textwrap
from functools import cache
from typing import Any

import msgspec
from msgspec import inspect as types

__all__ = ["structural_schema"]

_END_OF_TEXT = r"$(?!\n)"
"""RE2's `$` is that already, and it knows no look-ahead."""
_OWN_PACKAGE = "haproxy_telemetry_operator"
_UNFIT = ("examples", "title", "description")


def structural_schema(type_: type[msgspec.Struct]) -> dict[str, Any]:
    """The schema of a struct and all that is in it.

    Raises:
        TypeError: a type that has no structural schema.
    """
    return _schema(types.type_info(type_))


def _schema(type_: types.Type) -> dict[str, Any]:
    match type_:
        case types.Metadata():
            extra = type_.extra_json_schema or {}
            if "type" in extra:
                return dict(extra)
            described = {"description": _sentence(extra["description"])} if "description" in extra else {}
            return described | _schema(type_.type) | {key: value for key, value in extra.items() if key not in _UNFIT}
        case types.StructType():
            return _object(type_)
        case types.UnionType():
            return _alternative(type_)
        case types.LiteralType():
            return {"type": "string", "enum": list(type_.values)}
        case types.StrType():
            return {"type": "string"} | _some(minLength=type_.min_length, maxLength=type_.max_length, pattern=_re2(type_.pattern))
        case types.BoolType():
            return {"type": "boolean"}
        case types.IntType():
            return {"type": "integer", "format": "int64"} | _bounds(type_)
        case types.FloatType():
            return {"type": "number"} | _bounds(type_)
        case types.ListType():
            return {"type": "array", "items": _schema(type_.item_type)} | _some(
                minItems=type_.min_length, maxItems=type_.max_length
            )
        case types.DictType():
            return {"type": "object", "additionalProperties": _schema(type_.value_type)} | _some(maxProperties=type_.max_length)
    raise TypeError(f"{type_!r} has no structural schema")


def _object(type_: types.StructType) -> dict[str, Any]:
    texts = _field_texts(type_.cls)
    properties: dict[str, Any] = {}
    for field in type_.fields:
        schema = _schema(field.type)
        value = _default(field)
        words = [texts.get(field.name) or schema.get("description", "")]
        if value is not None and _is_own(type_) and (_is_own(field.type) or not isinstance(value, dict)):
            schema["default"] = value
        elif value is not None and not isinstance(value, dict) and value != []:
            words.append(f"Default: {_shown(value)}.")
        description = " ".join(filter(None, words))
        properties[field.encode_name] = ({"description": description} if description else {}) | {
            key: entry for key, entry in schema.items() if key != "description"
        }
    required = [field.encode_name for field in type_.fields if field.required]
    return {
        "description": inspect.cleandoc(type_.cls.__doc__ or ""),
        "type": "object",
        **({"required": required} if required else {}),
        "properties": properties,
    }


def _is_own(type_: types.Type) -> bool:
    while isinstance(type_, types.Metadata):
        type_ = type_.type
    return isinstance(type_, types.StructType) and type_.cls.__module__.startswith(_OWN_PACKAGE)


def _alternative(type_: types.UnionType) -> dict[str, Any]:
    """None is left out, which is the same as absent; of text and a mapping the mapping stays, which says the same in more words."""
    others = [item for item in type_.types if not isinstance(item, types.NoneType)]
    structs = [item for item in others if isinstance(item, types.StructType)]
    if len(others) > 1 and len(structs) == 1:
        return _schema(structs[0])
    if len(others) != 1:
        raise TypeError(f"{type_!r}: a structural schema has one type at every place")
    return _schema(others[0])


def _default(field: types.Field) -> Any:
    """The default as the API server would write it; None if there is none to be written."""
    if field.default is not msgspec.NODEFAULT:
        return field.default
    if field.default_factory is msgspec.NODEFAULT:
        return None
    return _without_none(msgspec.to_builtins(field.default_factory()))


def _without_none(value: Any) -> Any:
    """What is absent is not written; the defaults of agents' structs are theirs."""
    if isinstance(value, dict):
        return {name: _without_none(entry) for name, entry in value.items() if entry is not None}
    return value


def _shown(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(value).lower() if isinstance(value, bool) else str(value)


def _bounds(type_: types.IntType | types.FloatType) -> dict[str, Any]:
    bounds = _some(minimum=type_.ge if type_.gt is None else type_.gt, maximum=type_.le if type_.lt is None else type_.lt)
    return (
        bounds
        | ({"exclusiveMinimum": True} if type_.gt is not None else {})
        | ({"exclusiveMaximum": True} if type_.lt is not None else {})
    )


def _some(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _re2(pattern: str | None) -> str | None:
    return None if pattern is None else pattern.replace(_END_OF_TEXT, "$")


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


@cache
def _field_texts(cls: type) -> dict[str, str]:
    """The strings below the fields of a class."""
    (definition,) = ast.parse(textwrap.dedent(inspect.getsource(cls))).body
    body = getattr(definition, "body", [])
    texts: dict[str, str] = {}
    for statement, following in itertools.pairwise(body):
        if (
            isinstance(statement, ast.AnnAssign)
            and isinstance(statement.target, ast.Name)
            and isinstance(following, ast.Expr)
            and isinstance(following.value, ast.Constant)
            and isinstance(following.value.value, str)
        ):
            texts[statement.target.id] = " ".join(following.value.value.split())
    return texts
