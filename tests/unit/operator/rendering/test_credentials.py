"""Credentials."""

from typing import Any

from haproxy_telemetry_operator.rendering.credentials import credential_files, destinations, projected_sources
from support.cluster_objects import telemetry

ENDPOINT = {"endpoint": "https://collector.example:4318"}


def sources(*exporters: dict[str, Any]) -> list[dict[str, Any]]:
    first, *others = ({**ENDPOINT, **exporter} for exporter in exporters)
    return projected_sources(telemetry({"exporter": first, "exporters": others}).spec())


def header(secret: str, key: str, name: str = "x") -> dict[str, Any]:
    return {"name": name, "secretKeyRef": {"name": secret, "key": key}}


def test_nothing_is_referred_to() -> None:
    assert sources({"headers": [{"name": "a", "value": "b"}]}, {"tls": {}}) == []


def test_everything() -> None:
    assert sources(
        {
            "headers": [{"name": "a", "value": "b"}, header("s", "k"), header("s", "k", "y")],
            "tls": {"caConfigMapRef": {"name": "s"}, "clientCertSecretRef": {"name": "pair"}},
        },
        {"headers": [header("a", "k")], "tls": {"caSecretRef": {"name": "s", "key": "root"}}},
    ) == [
        {"configMap": {"name": "s", "items": [{"key": "ca.crt", "path": "exporter/ca.crt"}], "optional": True}},
        {"secret": {"name": "a", "items": [{"key": "k", "path": "exporters-0/header-0"}], "optional": True}},
        {
            "secret": {
                "name": "pair",
                "items": [{"key": "tls.crt", "path": "exporter/tls.crt"}, {"key": "tls.key", "path": "exporter/tls.key"}],
                "optional": True,
            }
        },
        {
            "secret": {
                "name": "s",
                "items": [
                    {"key": "k", "path": "exporter/header-1"},
                    {"key": "k", "path": "exporter/header-2"},
                    {"key": "root", "path": "exporters-0/ca.crt"},
                ],
                "optional": True,
            }
        },
    ]


def test_files() -> None:
    spec = telemetry({"exporter": ENDPOINT | {"headers": [header("s", "k")]}, "exporters": [ENDPOINT]}).spec()
    assert [folder for folder, _ in destinations(spec)] == ["exporter", "exporters-0"]
    file = credential_files("exporter", spec.exporter)["header-0"]
    assert file.absolute_path == "/etc/haproxy-telemetry-credentials/exporter/header-0"
    assert credential_files("exporters-0", spec.exporters[0]) == {}
