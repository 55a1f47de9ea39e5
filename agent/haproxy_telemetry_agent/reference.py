"""What ``attributes`` prints: every attribute that spans can have, as a Markdown page."""

from .tracing.semconv import ATTRIBUTES, SCHEMA_URL, Definition

__all__ = ["render_reference"]

_COLUMNS = ("Attribute", "Type", "Stability", "Spans", "Meaning", "When")


def render_reference() -> str:
    """The page."""
    lines = [_line(_COLUMNS), _line(["---"] * len(_COLUMNS)), *(_row(definition) for definition in ATTRIBUTES)]
    return f"""\
# Attributes

All that haproxy-telemetry-agent can put on spans. Schema URL: {SCHEMA_URL}

{chr(10).join(lines)}

`<key>` is the lower-case name of a header, its dashes kept. `stable`, `release candidate`, `development` and `deprecated` are what
OpenTelemetry's semantic conventions say of the name; `ours` is a name of this project, kept within a major version. Samples
(`spans.samples`) are strings called `haproxy.<name>` on the SERVER span; `spans.attributes` and the attributes of routes are on
both spans, under the names you give them.
"""


def _row(definition: Definition) -> str:
    name = f"`{definition.name}`"
    return _line([name, definition.type, definition.stability, definition.spans, definition.meaning, definition.when])


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
