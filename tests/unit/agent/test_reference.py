"""The reference of attributes."""

from haproxy_telemetry_agent.reference import render_reference
from haproxy_telemetry_agent.tracing.semconv import ATTRIBUTES, SCHEMA_URL


def test_every_attribute_has_its_row_with_all_columns() -> None:
    rows = [line for line in render_reference().splitlines() if line.startswith("| `")]
    assert [row.split(" | ")[0] for row in rows] == [f"| `{definition.name}`" for definition in ATTRIBUTES]
    assert {row.count(" | ") for row in rows} == {5}
    assert "| `url.path` | string | stable | SERVER |" in render_reference()
    assert "| `http.request.header.<key>` | string[] | stable | SERVER |" in render_reference()


def test_it_is_a_page() -> None:
    text = render_reference()
    assert text.startswith("# ")
    assert text.endswith("\n")
    assert SCHEMA_URL in text
    assert max(len(line) for line in text.splitlines() if not line.startswith("|")) <= 132
