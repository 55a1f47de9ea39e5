"""Structural schemas."""

import re
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
import pytest

from haproxy_telemetry_agent.settings import Settings
from haproxy_telemetry_agent.settings.types import Struct
from haproxy_telemetry_operator.resource.definition import custom_resource_definition
from haproxy_telemetry_operator.resource.spec import Spec
from haproxy_telemetry_operator.resource.structural import structural_schema

TYPES = {"object", "array", "string", "integer", "number", "boolean"}


class Inner(Struct, frozen=True):
    """Inside."""

    some: int = 3


class Example(Struct, frozen=True):
    """All kinds
    of fields."""

    needed: str
    """What is needed."""
    number: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.5
    above: Annotated[int, msgspec.Meta(ge=1, lt=9)] = 1
    text: Annotated[str, msgspec.Meta(pattern=r"^a$(?!\n)", min_length=1, max_length=9, description="an a")] | None = None
    flag: bool = False
    choice: Literal["A", "B"] = "A"
    several: Annotated[list[Inner], msgspec.Meta(min_length=1, max_length=2)] = msgspec.field(default_factory=list)
    by_name: Annotated[dict[str, int], msgspec.Meta(max_length=4)] = msgspec.field(default_factory=dict)
    inner: Inner = msgspec.field(default_factory=Inner)
    inner_or_text: Inner | str | None = None
    names: list[str] = msgspec.field(default_factory=lambda: ["b", "a"])


def test_an_example() -> None:
    inner = {
        "description": "Inside.",
        "type": "object",
        "properties": {"some": {"type": "integer", "format": "int64", "description": "Default: 3."}},
    }
    assert structural_schema(Example) == {
        "description": "All kinds\nof fields.",
        "type": "object",
        "required": ["needed"],
        "properties": {
            "needed": {"description": "What is needed.", "type": "string"},
            "number": {"description": "Default: 0.5.", "type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1},
            "above": {
                "description": "Default: 1.",
                "type": "integer",
                "format": "int64",
                "minimum": 1,
                "maximum": 9,
                "exclusiveMaximum": True,
            },
            "text": {"description": "An a.", "type": "string", "pattern": "^a$", "minLength": 1, "maxLength": 9},
            "flag": {"description": "Default: false.", "type": "boolean"},
            "choice": {"description": "Default: A.", "type": "string", "enum": ["A", "B"]},
            "several": {"type": "array", "items": inner, "minItems": 1, "maxItems": 2},
            "byName": {"type": "object", "additionalProperties": {"type": "integer", "format": "int64"}, "maxProperties": 4},
            "inner": inner,
            "innerOrText": inner,
            "names": {"description": "Default: b, a.", "type": "array", "items": {"type": "string"}},
        },
    }


def test_a_type_that_has_none() -> None:
    class Bytes(Struct, frozen=True):
        """No JSON."""

        data: bytes

    class Either(Struct, frozen=True):
        """Two types at one place."""

        value: int | str

    for type_ in (Bytes, Either):
        with pytest.raises(TypeError, match="structural schema"):
            structural_schema(type_)


def schemas(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every place that has a schema."""
    yield path, schema
    for name, entry in schema.get("properties", {}).items():
        yield from schemas(entry, f"{path}.{name}")
    for name in ("items", "additionalProperties"):
        if isinstance(schema.get(name), dict):
            yield from schemas(schema[name], f"{path}[]")


def the_schema() -> dict[str, Any]:
    found: dict[str, Any] = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return found


PLACES = dict(schemas(the_schema()))


def test_there_are_many() -> None:
    assert len(PLACES) > 150
    assert ".spec.sampling.rules[].overrideParent" in PLACES


@pytest.mark.parametrize("path", PLACES)
def test_what_kubernetes_asks_of_a_schema(path: str) -> None:
    """https://kubernetes.io/docs/tasks/extend-kubernetes/custom-resources/custom-resource-definitions/#specifying-a-structural-schema"""
    schema = PLACES[path]
    assert schema.get("type") in TYPES or schema.get("x-kubernetes-int-or-string") is True
    assert schema.keys().isdisjoint({"$ref", "$defs", "oneOf", "const", "definitions", "title", "examples", "uniqueItems"})
    assert not ("properties" in schema and "additionalProperties" in schema)
    if schema.get("type") == "array":
        assert "items" in schema
    pattern = schema.get("pattern")
    if pattern is not None:
        re.compile(pattern)
        assert re.search(r"\(\?[=!<>]|\\[1-9ZG]", pattern) is None, "RE2 has no look-around and no references"


def default_of(schema: dict[str, Any]) -> Any:
    """What the API server fills in below an empty object."""
    return {name: entry["default"] for name, entry in schema.get("properties", {}).items() if "default" in entry}


def test_the_default_of_an_object_is_whole() -> None:
    """One that has rules is checked before the defaults within it are filled in."""
    for path, schema in PLACES.items():
        if isinstance(schema.get("default"), dict):
            assert default_of(schema).items() <= schema["default"].items(), path


def test_the_agents_defaults_are_named_and_not_filled_in() -> None:
    sampling = PLACES[".spec.sampling"]
    assert default_of(sampling) == {}
    assert "Default: " in sampling["properties"]["type"]["description"]


def test_further_exporters_have_the_rules_of_the_first_one() -> None:
    rules = PLACES[".spec.exporter"]["x-kubernetes-validations"]
    assert len(rules) >= 2
    assert PLACES[".spec.exporters[]"]["x-kubernetes-validations"] == rules


def test_a_status_has_no_defaults() -> None:
    assert [path for path, schema in PLACES.items() if path.startswith(".status") and "default" in schema] == []


def test_the_whole_of_both_can_be_made() -> None:
    assert structural_schema(Spec)["type"] == "object"
    assert structural_schema(Settings)["type"] == "object"
