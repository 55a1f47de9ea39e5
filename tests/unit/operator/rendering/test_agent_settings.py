"""The agent's settings file."""

from typing import Any

import pytest

from haproxy_telemetry_agent.settings import parse_settings
from haproxy_telemetry_operator.rendering.agent_settings import Transport, agent_document, agent_settings, memory_limit_bytes
from haproxy_telemetry_operator.resource import SpecProblem
from support.cluster_objects import COLLECTOR, telemetry


def document(spec: dict[str, Any] | None = None, transport: Transport = "TCP") -> dict[str, Any]:
    resource = telemetry(spec)
    made = agent_document(resource.document, resource.spec(), transport=transport)
    parse_settings(made)
    return made


def test_the_least() -> None:
    assert document() == {
        "profile": "Standard",
        "processingTimeout": "20ms",
        "listen": {"spop": "127.0.0.1:12345", "records": "127.0.0.1:10514", "http": ":9464"},
        "exporter": {"type": "otlp", "protocol": "http/protobuf", "compression": "gzip", "timeout": "10s", "endpoint": COLLECTOR},
        "log": {"level": "info", "format": "json"},
        "spans": {"routesFile": "/etc/haproxy-telemetry-routes/routes.json"},
        "limits": {"maxMemoryBytes": 160 * 1024 * 1024},
    }


def test_sections_of_the_agents_are_as_the_resource_has_them_and_no_default_is_added() -> None:
    sections = {
        "sampling": {"type": "ParentBasedTraceIDRatio", "ratio": 0.1},
        "propagation": {"mode": "Propagate"},
        "metrics": {"requests": True},
        "resource": {"serviceName": "edge", "attributes": {"a": "b"}},
        "logs": {"enabled": True, "excludedRequests": True},
    }
    made = document(sections)
    assert {name: made[name] for name in sections} == sections
    assert document({"spans": {"routesFile": "/mine.json"}})["spans"] == {"routesFile": "/mine.json"}
    assert "logs" not in document({"logs": {"enabled": False}})
    assert "resource" not in document({"resource": {}})


def test_ports_and_sockets() -> None:
    injection = {"spopPort": 2001, "recordsPort": 2002, "httpPort": 2003}
    assert document({"injection": injection})["listen"] == {"spop": "127.0.0.1:2001", "records": "127.0.0.1:2002", "http": ":2003"}
    assert document({"injection": injection}, "Unix")["listen"] == {
        "spop": "unix:/run/haproxy-telemetry/spoa.sock",
        "records": "127.0.0.1:2002",
        "http": ":2003",
    }


def test_exporters() -> None:
    made = document(
        {
            "exporter": {
                "tracesEndpoint": "https://c.example/v1/traces",
                "timeout": "3s",
                "headers": [{"name": "a", "value": ""}, {"name": "b", "secretKeyRef": {"name": "s", "key": "k"}}],
                "tls": {"caSecretRef": {"name": "s"}, "clientCertSecretRef": {"name": "pair"}},
                "batch": {"delay": "1s", "maxQueueSpans": 4096},
                "spill": {"enabled": True, "maxBytes": 2_000_000},
            },
            "exporters": [
                {"endpoint": "https://d.example", "protocol": "http/protobuf", "tls": {"insecureSkipVerify": True}},
                {"type": "console", "tls": None},
            ],
            "sidecar": {"logLevel": "debug"},
        }
    )
    places = "/etc/haproxy-telemetry-credentials/exporter"
    assert made["exporter"] == {
        "type": "otlp",
        "protocol": "http/protobuf",
        "compression": "gzip",
        "timeout": "3s",
        "tracesEndpoint": "https://c.example/v1/traces",
        "headers": [{"name": "a", "value": ""}, {"name": "b", "valueFile": f"{places}/header-1"}],
        "tls": {"caFile": f"{places}/ca.crt", "certificateFile": f"{places}/tls.crt", "keyFile": f"{places}/tls.key"},
        "batch": {"maxQueueSpans": 4096},
        "spill": {"directory": "/var/lib/haproxy-telemetry/exporter", "maxBytes": 2_000_000},
    }
    assert [exporter.get("tls") for exporter in made["exporters"]] == [{"insecureSkipVerify": True}, None]
    assert made["log"]["level"] == "debug"


def test_of_the_batch_only_what_is_no_default_is_said() -> None:
    """So that an older sidecar takes the file as long as it can."""
    assert "batch" not in document({"exporter": {"endpoint": COLLECTOR, "batch": {"maxQueueSpans": 20_480}}})["exporter"]


@pytest.mark.parametrize(
    ("limit", "limit_bytes"),
    [
        (None, None),
        ("", None),
        ("1Gi", 2**30),
        ("512Mi", 2**29),
        ("1.5Gi", 3 * 2**29),
        ("300M", 300_000_000),
        (1_000_000_000, 10**9),
        ("1000000k", 10**9),
        ("1e9", None),
        ("x", None),
    ],
)
def test_memory_limits(limit: object, limit_bytes: int | None) -> None:
    limits = {} if limit is None else {"memory": limit}
    assert memory_limit_bytes(telemetry({"sidecar": {"resources": {"limits": limits}}}).spec()) == limit_bytes


@pytest.mark.parametrize(
    ("limits", "most"),
    [
        ({"memory": "1Gi"}, {"maxMemoryBytes": 640 * 2**20}),
        ({"memory": "32Mi"}, {"maxMemoryBytes": 64 * 2**20}),
        ({"cpu": "1"}, None),
    ],
)
def test_the_agent_stays_well_below_its_limit(limits: dict[str, str], most: dict[str, int] | None) -> None:
    assert document({"sidecar": {"resources": {"limits": limits}}}).get("limits") == most


def test_what_the_agent_would_refuse_is_said_of_the_resource() -> None:
    resource = telemetry({"exporter": {"endpoint": COLLECTOR, "protocol": "grpc", "headers": [{"name": "grpc-x", "value": "1"}]}})
    with pytest.raises(SpecProblem, match=r"^spec\.exporter\.headers\[0\]\.name: 'grpc-x': with protocol grpc"):
        agent_settings(agent_document(resource.document, resource.spec(), transport="TCP"))
