"""A resource as the API server has it."""

from datetime import UTC, datetime

import pytest

from haproxy_telemetry_operator.resource import SpecProblem, TelemetryResource
from support.cluster_objects import telemetry, telemetry_body


def test_what_matters() -> None:
    resource = telemetry(finalizers=["other", "haproxy-telemetry.io/revert"], generation=3)
    assert resource.key == ("shop", "edge")
    assert (resource.uid, resource.generation) == ("11111111-2222-3333-4444-555555555555", 3)
    assert resource.has_finalizer
    assert not resource.deleting
    assert resource.precedence == ("2026-01-01T00:00:00Z", "edge")


def test_on_its_way_out() -> None:
    resource = telemetry(deletionTimestamp="2026-01-02T03:04:05Z")
    assert resource.deleting
    assert resource.deleted == datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def test_the_oldest_is_in_charge_then_the_first_by_name() -> None:
    found = [
        telemetry(name="a", creationTimestamp="2026-01-02T00:00:00Z"),
        telemetry(name="c"),
        telemetry(name="b"),
    ]
    assert [resource.name for resource in sorted(found, key=lambda entry: entry.precedence)] == ["b", "c", "a"]


def test_a_status_of_our_own_is_no_change() -> None:
    body = telemetry_body()
    assert TelemetryResource.of_body(body) == TelemetryResource.of_body(body | {"status": {"configHash": "x"}})


def test_what_may_be_missing() -> None:
    resource = TelemetryResource.of_body({"metadata": {"namespace": "a", "name": "b"}})
    assert (resource.uid, resource.generation, resource.created, resource.document, resource.status) == ("", 0, "", {}, {})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({"exporter": {"endpoint": "collector"}}, "spec.exporter.endpoint: 'collector': expected a http:// or https:// URL"),
        ({"exporters": [{"type": "zipkin"}]}, "spec.exporters[0].type: 'zipkin': expected one of"),
        ({"sampler": {}}, "spec: sampler: unknown key"),
        ({"injection": {"spopPort": 80}}, "spec.injection.spopPort: 80: expected"),
        ({"injection": {"processingTimeout": "0ms"}}, "spec.injection.processingTimeout: '0ms': expected"),
        ({"target": {"selector": {"matchLabels": {"a b": "c"}}}}, "spec.target.selector.matchLabels: 'a b' is no label's key"),
    ],
)
def test_a_field_that_the_api_server_let_through(spec: dict[str, object], message: str) -> None:
    with pytest.raises(SpecProblem) as problem:
        telemetry(spec).spec()
    text = str(problem.value)
    assert text.startswith((message, message.replace("spec: ", "spec.")))


def test_no_exporter_at_all() -> None:
    with pytest.raises(SpecProblem, match=r"^spec\.exporter: missing"):
        TelemetryResource.of_body({"metadata": {"namespace": "a", "name": "b"}}).spec()
