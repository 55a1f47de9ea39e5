"""The reference of the custom resource, in Markdown: every field with its type, default and meaning, from the schema itself."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..names import API_VERSION, KIND, SHORT_NAME
from .definition import custom_resource_definition

__all__ = ["render_reference"]


def render_reference() -> str:
    """The page."""
    schema = custom_resource_definition()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]
    lines = [
        f"# {KIND}",
        "",
        f"`{API_VERSION}`, short name `{SHORT_NAME}`; one in charge of each namespace, the oldest. A default in its own column is",
        "the API server's; one that the meaning names is that of the agent's version.",
        "",
        "## spec",
        "",
        *_table(schema["spec"]),
        "",
        "## status",
        "",
        *_table(schema["status"]),
    ]
    return "\n".join(lines) + "\n"


def _table(schema: Mapping[str, Any]) -> Iterator[str]:
    yield "| field | type | default | meaning |"
    yield "| --- | --- | --- | --- |"
    for name, entry, required in _fields(schema, ""):
        default = "required" if required else _default(entry)
        every = [*entry.get("x-kubernetes-validations", ()), *entry.get("items", {}).get("x-kubernetes-validations", ())]
        rules = " ".join(f"({rule['message']})" for rule in every)
        text = " ".join(filter(None, (" ".join(entry.get("description", "").split()), rules)))
        escaped = text.replace("|", r"\|")
        yield f"| `{name}` | {_type(entry)} | {default} | {escaped} |"


def _fields(schema: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Mapping[str, Any], bool]]:
    required = schema.get("required", ())
    for name, entry in schema.get("properties", {}).items():
        path = f"{prefix}{name}"
        yield path, entry, name in required
        yield from _fields(entry, f"{path}.")
        items = entry.get("items", {})
        yield from _fields(items, f"{path}[].")


def _type(entry: Mapping[str, Any]) -> str:
    if "enum" in entry:
        return ", ".join(f"`{value}`" for value in entry["enum"])
    kind = entry.get("type", "any")
    if kind == "array":
        return f"list of {_type(entry['items'])}"
    if kind == "object" and "properties" not in entry:
        return "mapping"
    above, below = ("&gt;" if entry.get("exclusiveMinimum") else "&ge;"), ("&lt;" if entry.get("exclusiveMaximum") else "&le;")
    bounds = [f"{sign} {entry[key]}" for key, sign in (("minimum", above), ("maximum", below)) if key in entry]
    return " ".join([str(kind), *bounds])


def _default(entry: Mapping[str, Any]) -> str:
    value = entry.get("default")
    if value in (None, [], {}) or isinstance(value, dict):
        return ""
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"
