"""What the settings of the access log say beyond their types."""

from typing import Any

import pytest

from haproxy_telemetry_agent.settings.explanation import SettingsError
from haproxy_telemetry_agent.settings.exporter import Exporter, Header, Tls
from haproxy_telemetry_agent.settings.logs import LogBatch, Logs, log_exporter
from haproxy_telemetry_agent.settings.model import parse_settings


def resolved(logs: dict[str, Any], exporter: dict[str, Any]) -> Exporter:
    settings = parse_settings({"logs": {"enabled": True, **logs}, "exporter": exporter})
    return log_exporter(settings.logs, settings.exporter)


def test_defaults() -> None:
    assert parse_settings({}).logs == Logs(
        enabled=False,
        excluded_requests=False,
        endpoint=None,
        protocol=None,
        compression=None,
        timeout=None,
        headers=None,
        tls=None,
        batch=LogBatch(
            max_queue_records=20_480,
            max_queue_bytes=16 << 20,
            max_batch_records=2_048,
            drop_policy="Newest",
            delay="1s",
            retry="5m",
        ),
    )


EXPORTER: dict[str, Any] = {
    "endpoint": "https://collector:4317",
    "tracesEndpoint": "https://traces/only",
    "protocol": "grpc",
    "compression": "none",
    "timeout": "3s",
    "headers": [{"name": "a", "value": "b"}],
    "tls": {"caFile": "/ca"},
    "batch": {"delay": "9s"},
}


def test_what_is_not_set_is_the_exporters() -> None:
    assert resolved({}, EXPORTER) == Exporter(
        endpoint="https://collector:4317",
        protocol="grpc",
        compression="none",
        timeout="3s",
        headers=[Header(name="a", value="b")],
        tls=Tls(ca_file="/ca"),
    )


@pytest.mark.parametrize("kind", [{"type": "none"}, {"type": "console"}, {"type": "plugin", "plugin": "x"}])
def test_it_is_otlp_wherever_spans_go(kind: dict[str, Any]) -> None:
    assert resolved({}, {"endpoint": "http://c:4318", **kind}) == Exporter(endpoint="http://c:4318")


def test_what_is_set_counts() -> None:
    logs = {
        "endpoint": "http://logs/as/it/is",
        "protocol": "http/protobuf",
        "compression": "gzip",
        "timeout": "1s",
        "headers": [],
        "tls": {},
        "batch": {"maxQueueRecords": 5, "maxQueueBytes": 2048, "maxBatchRecords": 4, "dropPolicy": "Oldest", "delay": "2s"},
    }
    exporter = resolved(logs, EXPORTER)
    assert (exporter.traces_endpoint, exporter.protocol, exporter.compression) == ("http://logs/as/it/is", "http/protobuf", "gzip")
    assert (exporter.timeout, exporter.headers, exporter.tls) == ("1s", [], Tls())
    batch = exporter.batch
    assert (batch.max_queue_spans, batch.max_queue_bytes, batch.max_batch_spans) == (5, 2048, 4)
    assert (batch.drop_policy, batch.delay, batch.retry) == ("Oldest", "2s", "5m")


@pytest.mark.parametrize(
    ("logs", "error"),
    [
        ({"enabled": "yes"}, "logs.enabled: 'yes': expected true or false, got text"),
        ({"endpoint": "collector:4317"}, "logs.endpoint: 'collector:4317': expected a http:// or https:// URL"),
        ({"endpoint": "http://x..y/v1/logs"}, "logs.endpoint: 'http://x..y/v1/logs': 'x..y' is no host's name"),
        ({"protocol": "http/json"}, "logs.protocol: 'http/json': expected one of http/protobuf, grpc"),
        (
            {"batch": {"maxQueueRecords": 10, "maxBatchRecords": 11}},
            "logs.batch.maxBatchRecords: 11 is more than maxQueueRecords 10: a batch must fit in the queue",
        ),
        ({"enabled": True, "headers": [{"name": "a"}]}, "logs.headers[0].value: missing; it has no default"),
        ({"headers": [{"name": "a", "value": "\n"}]}, "logs.headers[0].value: (not shown): expected printable ASCII"),
        ({"enabled": True, "tls": {"keyFile": "/k"}}, "logs.tls: certificateFile and keyFile belong together: set both or neither"),
        (
            {"enabled": True, "protocol": "grpc", "tls": {"insecureSkipVerify": True}},
            "logs.tls.insecureSkipVerify: true can't be had with protocol grpc",
        ),
    ],
)
def test_names_field_value_and_fix(logs: dict[str, Any], error: str) -> None:
    with pytest.raises(SettingsError) as caught:
        parse_settings({"logs": logs})
    assert str(caught.value).startswith(error)
