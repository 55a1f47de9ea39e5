"""The reference of the custom resource."""

from collections.abc import Iterator
from typing import Any

import pytest

from haproxy_telemetry_operator.resource import custom_resource_definition, reference
from haproxy_telemetry_operator.resource.reference import render_reference


def fields(schema: Any, prefix: str = "") -> Iterator[str]:
    for name, entry in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from fields(entry, f"{prefix}{name}.")
        yield from fields(entry.get("items", {}), f"{prefix}{name}[].")


def rows() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in render_reference().replace(r"\|", "").splitlines():
        if line.startswith("| `"):
            name, *others = (cell.strip() for cell in line.strip("|").split("|"))
            found[name.strip("`")] = others
    return found


def test_every_field_has_a_row_with_a_type() -> None:
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    expected = [name for part in ("spec", "status") for name in fields(schema[part])]
    assert [line.split("`")[1] for line in render_reference().splitlines() if line.startswith("| `")] == expected
    assert all(cells[0] for cells in rows().values())


@pytest.mark.parametrize(
    ("field", "kind", "default"),
    [
        ("exporter", "object", "required"),
        ("injection.spopPort", "integer &ge; 1024 &le; 65535", "`12345`"),
        ("injection.rollout", "`Automatic`, `OnDelete`", "`Automatic`"),
        ("suspend", "boolean", "`false`"),
        ("target.frontends.include", "list of string", "`['*']`"),
        ("target.selector.matchLabels", "mapping", ""),
    ],
)
def test_rows(field: str, kind: str, default: str) -> None:
    assert rows()[field][:2] == [kind, default]


@pytest.mark.parametrize("field", ["exporter", "exporters", "exporter.headers", "sampling"])
def test_rules_are_told(field: str) -> None:
    """Those of an item with the list that it is in."""
    assert "required" in rows()[field][2]


def test_bounds_that_are_no_values(monkeypatch: pytest.MonkeyPatch) -> None:
    bound = {"type": "number", "minimum": 0, "exclusiveMinimum": True, "maximum": 1, "exclusiveMaximum": True, "description": "a|b"}
    parts = {"spec": {"properties": {"x": bound}}, "status": {}}
    definition = {"spec": {"versions": [{"schema": {"openAPIV3Schema": {"properties": parts}}}]}}
    monkeypatch.setattr(reference, "custom_resource_definition", lambda: definition)
    assert r"| `x` | number &gt; 0 &lt; 1 |  | a\|b |" in render_reference()
