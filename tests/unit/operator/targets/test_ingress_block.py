"""What an ingress controller's ConfigMap gets."""

import pytest

from haproxy_telemetry_operator.targets import block_lines, managed_key

OURS = ["filter spoe engine haproxy-telemetry"]


def test_keys() -> None:
    assert managed_key("KubernetesIngress") == "frontend-config-snippet"
    assert managed_key("HAProxyIngress") == "config-frontend-early"


def test_a_log_format_where_the_controller_writes_none() -> None:
    assert block_lines("HAProxyIngress", OURS, {}, "") == ["option httplog", *OURS]
    assert block_lines("HAProxyIngress", OURS, {"syslog-endpoint": ""}, "") == ["option httplog", *OURS]
    assert block_lines("HAProxyIngress", OURS, {"syslog-endpoint": "10.0.0.1:514"}, "") == OURS
    assert block_lines("KubernetesIngress", OURS, {}, "") == OURS


@pytest.mark.parametrize(
    ("text", "filters"),
    [
        ("", []),
        ("# compression algo gzip", []),
        ("http-request deny", []),
        ("compression algo gzip\ncompression type text/html", ["filter compression"]),
        ("filter compression\ncompression algo gzip", []),
        ("http-request cache-use c", ["filter cache c"]),
        ("http-request cache-use c\nhttp-response cache-store c", ["filter cache c"]),
        ("filter cache c\nhttp-request cache-use c", []),
        ("filter cache c\nhttp-request cache-use d", ["filter cache d"]),
        ("compression algo gzip\n  http-request cache-use c if { path / }", ["filter cache c", "filter compression"]),
        ("http-request cache-use", []),
        ("filter", []),
        ("http-request deny if { path 'no-end\ncompression algo gzip", ["filter compression"]),
    ],
)
def test_filters_that_are_implicit_until_there_is_another_one(text: str, filters: list[str]) -> None:
    assert block_lines("KubernetesIngress", OURS, {}, text) == [*filters, *OURS]


@pytest.mark.parametrize("key", ["config-defaults", "config-frontend", "config-frontend-late"])
def test_other_keys_land_in_the_same_frontends(key: str) -> None:
    data = {"syslog-endpoint": "x:514", key: "compression algo gzip"}
    assert block_lines("HAProxyIngress", OURS, data, "") == ["filter compression", *OURS]
    assert block_lines("KubernetesIngress", OURS, data, "") == OURS
