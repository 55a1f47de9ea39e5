"""The CustomResourceDefinition. That a real API server takes it: tests/cluster/test_definition.py."""

from collections.abc import Iterator
from typing import Any

from haproxy_telemetry_operator.resource import custom_resource_definition


def test_names() -> None:
    definition = custom_resource_definition()
    assert definition["metadata"]["name"] == "haproxytelemetries.haproxy-telemetry.io"
    assert definition["spec"]["names"]["shortNames"] == ["hapt"]
    version = definition["spec"]["versions"][0]
    assert version["subresources"] == {"status": {}}
    assert [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")] == [
        "Ready",
        "Reason",
        "Pods",
        "Endpoint",
        "Age",
    ]


def test_columns_are_of_fields_that_there_are() -> None:
    version = custom_resource_definition()["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    for column in version["additionalPrinterColumns"]:
        path = column["jsonPath"].partition("[?")[0].strip(".").split(".")
        found: Any = schema
        for name in path:
            if path[0] != "metadata":
                found = found["properties"][name]


def rules(schema: Any) -> Iterator[dict[str, str]]:
    if isinstance(schema, dict):
        yield from schema.get("x-kubernetes-validations", ())
        for value in schema.values():
            yield from rules(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from rules(value)


def test_messages_say_what_to_do_and_are_one_line() -> None:
    found = list(rules(custom_resource_definition()))
    assert len(found) >= 10
    for rule in found:
        assert len(rule["message"]) <= 160
        assert "\n" not in rule["message"]


def test_it_is_made_anew_each_time() -> None:
    first = custom_resource_definition()
    assert first == custom_resource_definition()
    first["spec"]["versions"][0]["schema"].clear()
    assert first != custom_resource_definition()
