"""Settings of one destination that only make sense together."""

from typing import Any

import msgspec
import pytest

from haproxy_telemetry_agent.settings import SettingsError
from haproxy_telemetry_agent.settings.exporter import Exporter, Spill, check_exporter, check_spills

FILE = {"path": "/traces.jsonl"}


@pytest.mark.parametrize(
    ("document", "error"),
    [
        (
            {"batch": {"maxQueueSpans": 9, "maxBatchSpans": 10}},
            "batch.maxBatchSpans: 10 is more than maxQueueSpans 9: a batch must fit in the queue",
        ),
        ({"tls": {"certificateFile": "/c"}}, "tls: certificateFile and keyFile belong together: set both or neither"),
        ({"tls": {"keyFile": "/k"}}, "tls: certificateFile and keyFile belong together: set both or neither"),
        (
            {"tls": {"insecureSkipVerify": True, "caFile": "/c"}},
            "tls.insecureSkipVerify: true excludes caFile: drop one of them",
        ),
        (
            {"protocol": "grpc", "tls": {"insecureSkipVerify": True}},
            "tls.insecureSkipVerify: true can't be had with protocol grpc: set caFile to the collector's certificate",
        ),
        ({"headers": [{"name": "a"}]}, "headers[0].value: missing; it has no default: set it, or valueFile"),
        (
            {"headers": [{"name": "a", "value": ""}, {"name": "b", "value": "s3cret", "valueFile": "/f"}]},
            "headers[1].valueFile: excludes value: drop one of them",
        ),
        ({"type": "plugin"}, "plugin: None with type plugin: required by type plugin, and only there"),
        ({"plugin": "x"}, "plugin: 'x' with type otlp: required by type plugin, and only there"),
        ({"type": "file"}, "file.path: missing; type file needs it"),
        ({"file": FILE}, "file.path: belongs to type file, and this is type otlp: drop it, or set the type"),
    ],
)
def test_what_does_not_go_together(document: dict[str, Any], error: str) -> None:
    with pytest.raises(SettingsError) as raised:
        check_exporter(msgspec.convert(document, Exporter), "exporters[3]")
    assert str(raised.value) == f"exporters[3].{error}"


def test_two_destinations_with_one_directory() -> None:
    destinations = [(f"exporters[{index}]", Exporter(spill=Spill(directory=path))) for index, path in enumerate([None, "/a", "/b"])]
    check_spills([*destinations, ("exporter", Exporter())])
    with pytest.raises(SettingsError, match=r"^exporter\.spill\.directory: '/a/': is that of exporters\[1\]: each destination"):
        check_spills([*destinations, ("exporter", Exporter(spill=Spill(directory="/a/")))])


@pytest.mark.parametrize("name", ["a!b", "grpc-timeout", "GRPC-x", "a|b"])
def test_names_that_are_headers_but_no_metadata(name: str) -> None:
    document = {"headers": [{"name": name, "value": "x"}]}
    check_exporter(msgspec.convert(document, Exporter), "exporter")
    with pytest.raises(SettingsError, match=r"^exporter\.headers\[0\]\.name: '.*': with protocol grpc letters, digits"):
        check_exporter(msgspec.convert({**document, "protocol": "grpc"}, Exporter), "exporter")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"type": "file", "file": FILE},
        {"type": "console"},
        {"type": "plugin", "plugin": "x"},
        {"type": "none"},
        {"protocol": "grpc", "headers": [{"name": "Api-Key", "value": "x"}], "endpoint": "unix:/run/collector.sock"},
        {"headers": [{"name": "a", "valueFile": "/f"}]},
    ],
)
def test_what_does(document: dict[str, Any]) -> None:
    check_exporter(msgspec.convert(document, Exporter), "exporter")
