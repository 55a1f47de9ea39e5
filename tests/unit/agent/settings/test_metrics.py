"""What the settings of metrics say beyond their types."""

from typing import Any, get_args

import pytest

from haproxy_telemetry_agent.request_metrics import LABELS
from haproxy_telemetry_agent.settings.explanation import SettingsError
from haproxy_telemetry_agent.settings.metrics import MetricLabel, Metrics, Push, push_url
from haproxy_telemetry_agent.settings.model import parse_settings


def metrics(**fields: object) -> Metrics:
    return parse_settings({"metrics": fields}).metrics


def test_defaults() -> None:
    assert metrics() == Metrics(
        requests=False,
        labels=list(LABELS),
        max_series=2_000,
        exemplars=True,
        excluded_requests=True,
        push=Push(enabled=False, endpoint=None, interval="60s"),
    )


def test_all_know_the_same_labels() -> None:
    assert get_args(MetricLabel) == LABELS


def test_labels_may_be_none_or_some() -> None:
    assert metrics(labels=[]).labels == []
    assert metrics(labels=["http.route", "error.type"]).labels == ["http.route", "error.type"]


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"labels": ["url.path"]}, f"metrics.labels[0]: 'url.path': expected one of {', '.join(LABELS)}"),
        ({"labels": ["http.route", "error.type", "http.route"]}, "metrics.labels[2]: 'http.route': stands there already: drop one"),
        ({"maxSeries": 1}, "metrics.maxSeries: 1: expected a whole number >= 2"),
        ({"push": {"enabled": True, "interval": "500ms"}}, "metrics.push.interval: '500ms': expected at least 1s"),
        ({"requests": "yes"}, "metrics.requests: 'yes': expected true or false, got text"),
    ],
)
def test_names_field_value_and_fix(fields: dict[str, Any], error: str) -> None:
    with pytest.raises(SettingsError) as caught:
        metrics(**fields)
    assert str(caught.value) == error


def test_what_is_pushed_goes_to_a_collector_that_is_verified() -> None:
    with pytest.raises(SettingsError, match=r"^exporter\.tls\.insecureSkipVerify: true excludes metrics\.push"):
        parse_settings({"exporter": {"tls": {"insecureSkipVerify": True}}, "metrics": {"push": {"enabled": True}}})


@pytest.mark.parametrize(
    ("exporter", "endpoint", "url"),
    [
        ({}, None, "http://localhost:4318/v1/metrics"),
        ({"endpoint": "https://collector/base/"}, None, "https://collector/base/v1/metrics"),
        ({"protocol": "grpc"}, "http://a/m", "http://a/m"),
        ({"protocol": "grpc"}, None, None),
        ({"endpoint": "unix:/run/collector.sock"}, None, None),
        ({"type": "console"}, None, None),
    ],
)
def test_where_metrics_are_pushed_to(exporter: dict[str, Any], endpoint: str | None, url: str | None) -> None:
    document = {"exporter": exporter, "metrics": {"push": {"enabled": True, "endpoint": endpoint}}}
    if url is None:
        with pytest.raises(SettingsError, match=r"metrics\.push\.endpoint: missing"):
            parse_settings(document)
    else:
        settings = parse_settings(document)
        assert push_url(settings.metrics.push, settings.exporter) == url
