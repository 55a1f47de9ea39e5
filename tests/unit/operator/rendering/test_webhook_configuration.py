"""The webhook's configuration."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from haproxy_telemetry_operator.rendering import webhook_configuration
from haproxy_telemetry_operator.rendering.webhook_configuration import webhook_entry
from support.cluster_objects import telemetry
from support.golden import assert_text

GOLDEN = Path(__file__).parent.parent / "golden"
SERVICE = {"caBundle": "Q0E=", "service": {"namespace": "system", "name": "injector", "port": 443}}
SELECTOR = {
    "matchLabels": {"app": "web"},
    "matchExpressions": [{"key": "tier", "operator": "Exists"}, {"key": "track", "operator": "In", "values": ["stable"]}],
}


def entry(spec: dict[str, Any] | None = None, *, native: bool = True, client: dict[str, Any] | None = None, **metadata: Any) -> Any:
    resource = telemetry(spec, **metadata)
    return webhook_entry(resource, resource.spec(), client_config=client or SERVICE, native_sidecar=native)


def test_objects() -> None:
    entries = [entry(), entry({"target": {"selector": SELECTOR}}, namespace="a")]
    assert_text(GOLDEN / "webhook-configuration.yaml", yaml.safe_dump(webhook_configuration(entries)))


def test_entries_are_sorted() -> None:
    entries = [entry(namespace=name) for name in "cab"]
    assert webhook_configuration(entries) == webhook_configuration(reversed(entries))
    assert webhook_configuration([])["webhooks"] == []


@pytest.mark.parametrize(
    ("client", "native", "path"),
    [
        (SERVICE, True, {"service": {**SERVICE["service"], "path": "/inject/native/shop/edge"}}),  # type: ignore[dict-item]
        ({"url": "https://injector.example:9443/"}, False, {"url": "https://injector.example:9443/inject/container/shop/edge"}),
    ],
)
def test_the_path_names_the_resource(client: dict[str, Any], native: bool, path: dict[str, Any]) -> None:
    assert entry(client=client, native=native)["clientConfig"] == client | path
    assert "path" not in SERVICE["service"]


def test_nobody_else_ever_waits() -> None:
    made = entry()
    assert made["failurePolicy"] == "Ignore"
    assert made["timeoutSeconds"] <= 5
    assert made["namespaceSelector"] == {
        "matchExpressions": [{"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]}]
    }
    assert {"key": "haproxy-telemetry.io/inject", "operator": "NotIn", "values": ["false"]} in made["objectSelector"][
        "matchExpressions"
    ]


def test_the_longest_name_is_one_that_the_api_server_takes() -> None:
    assert len(entry(name="a" * 63, namespace="b" * 63)["name"]) <= 253
