"""The reference of the custom resource: all that the schema has, readable."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from haproxy_telemetry_operator.resource import custom_resource_definition
from haproxy_telemetry_operator.resource.reference import render_reference

PAGE = render_reference()
ROWS = {
    cells[1].strip().strip("`"): [cell.strip() for cell in cells[2:-1]]
    for cells in (re.split(r"(?<!\\)\|", line) for line in PAGE.splitlines() if line.startswith("| `"))
}


def paths(schema: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, entry in schema.get("properties", {}).items():
        yield f"{prefix}{name}"
        yield from paths(entry, f"{prefix}{name}.")
        yield from paths(entry.get("items", {}), f"{prefix}{name}[].")


def test_every_field_is_there_once() -> None:
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    spec, status = PAGE.split("\n## status\n")
    for part, page in (("spec", spec), ("status", status)):
        wanted = list(paths(schema[part]))
        assert re.findall(r"^\| `(.+?)` \|", page, re.MULTILINE) == wanted
        assert len(wanted) > 10


def test_every_row_has_four_cells() -> None:
    assert {len(cells) for cells in ROWS.values()} == {3}
    assert PAGE.startswith("# HAProxyTelemetry\n")
    assert PAGE.endswith("|\n")


@pytest.mark.parametrize(
    ("field", "kind", "default"),
    [
        ("exporter", "object", "required"),
        ("suspend", "boolean", "`false`"),
        ("target", "object", ""),
        ("target.type", "`Auto`, `HAProxyIngress`, `KubernetesIngress`, `Manual`, `Plain`", "`Auto`"),
        ("target.selector.matchLabels", "mapping", ""),
        ("target.selector.matchExpressions[].key", "string", "required"),
        ("target.frontends.exclude", "list of string", ""),
        ("injection.spopPort", "integer &ge; 1024 &le; 65535", "`12345`"),
        ("sidecar.image", "string", ""),
        ("sidecar.resources.limits", "mapping", ""),
    ],
)
def test_types_and_defaults(field: str, kind: str, default: str) -> None:
    assert ROWS[field][:2] == [kind, default]


def test_meanings_come_with_rules() -> None:
    assert "(configPath is for a plain HAProxy: drop it, or set type to Plain)" in ROWS["target"][2]
    assert ROWS["suspend"][2] == "Take the instrumentation out, and keep the resource."
