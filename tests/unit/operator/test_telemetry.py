import datetime

from haproxy_telemetry_operator.inventory import Inventory
from haproxy_telemetry_operator.telemetry import OperatorTelemetry
from support.cluster_objects import telemetry_body

PREFIX = "haproxy_telemetry_operator_"


def exposed(telemetry: OperatorTelemetry) -> dict[str, float]:
    body, content_type = telemetry.exposition("text/plain")
    assert content_type.startswith("text/plain")
    lines = [line for line in body.decode().splitlines() if not line.startswith("#")]
    return {name.removeprefix(PREFIX): float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


def test_everything_is_there_from_the_start_and_follows() -> None:
    inventory = Inventory()
    end: list[datetime.datetime] = []
    telemetry = OperatorTelemetry(
        inventory, expires=lambda: end[-1] if end else None, watch_age_seconds=lambda: 7.5, api_calls=lambda: 42
    )
    metrics = exposed(telemetry)
    for result in ("ok", "api_error", "error"):
        assert metrics[f'reconciles_total{{result="{result}"}}'] == 0
    for kind in ("resources", "pods", "workloads", "ingresses"):
        assert metrics[f'objects{{kind="{kind}"}}'] == 0
    assert metrics["watch_age_seconds"] == 7.5
    assert metrics["api_calls"] == 42
    assert metrics["certificate_expiry_timestamp_seconds"] == 0
    assert metrics["instrumented_pods"] == 0

    inventory.see_resource(telemetry_body())
    inventory.see_pod({"metadata": {"name": "a", "namespace": "shop", "annotations": {"haproxy-telemetry.io/injected": "edge"}}})
    inventory.see_pod({"metadata": {"name": "b", "namespace": "shop"}})
    end.append(datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC))
    telemetry.reconciled("ok", 0.02)
    telemetry.reconciled("error", 20.0)
    telemetry.watched("Pod")
    telemetry.watched("Pod")
    metrics = exposed(telemetry)
    assert metrics['objects{kind="resources"}'] == 1
    assert metrics['objects{kind="pods"}'] == 2
    assert metrics["instrumented_pods"] == 1
    assert metrics["certificate_expiry_timestamp_seconds"] == 1767225600
    assert metrics['reconciles_total{result="ok"}'] == metrics['reconciles_total{result="error"}'] == 1
    assert metrics['reconcile_duration_seconds_bucket{le="0.025"}'] == 1
    assert metrics["reconcile_duration_seconds_count"] == 2
    assert metrics['watch_events_total{kind="Pod"}'] == 2


def test_as_openmetrics() -> None:
    telemetry = OperatorTelemetry(Inventory(), expires=lambda: None, watch_age_seconds=lambda: 0.0, api_calls=lambda: 0)
    body, content_type = telemetry.exposition("application/openmetrics-text; version=1.0.0")
    assert content_type.startswith("application/openmetrics-text")
    assert body.endswith(b"# EOF\n")
