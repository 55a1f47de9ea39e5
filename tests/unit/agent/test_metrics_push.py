"""What is pushed, and that pushing is in nobody's way."""

import asyncio
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from haproxy_telemetry_agent import metrics_push
from haproxy_telemetry_agent.metrics_push import MetricsPush, convert, make_exporter
from haproxy_telemetry_agent.request_metrics import BOUNDS_SECONDS, OVERFLOW, Exemplar, RequestMetrics, Series
from haproxy_telemetry_agent.settings import SettingsError, parse_settings
from haproxy_telemetry_agent.settings.metrics import Push
from haproxy_telemetry_agent.telemetry import PREFIX, Telemetry
from haproxy_telemetry_agent.tracing import SpanId, TraceId
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from support.probe import until

START, NOW = 1_000, 2_000


def series_of(*labels: tuple[str, str]) -> Series:
    series = Series(labels)
    series.counts[0], series.counts[14] = 2, 1
    series.total_nanoseconds = 20_500_000_000
    return series


def converted(telemetry: Telemetry, *series: Series) -> dict[str, Metric]:
    metrics = convert(telemetry.collect(), series, start_unix_nano=START, now_unix_nano=NOW)
    assert len({metric.name for metric in metrics}) == len(metrics)
    return {metric.name: metric for metric in metrics}


def point_of(metric: Metric) -> HistogramDataPoint:
    assert isinstance(metric.data, Histogram)
    (point,) = metric.data.data_points
    return point


class TestConvert:
    def test_the_request_histogram_has_its_own_names_and_types(self) -> None:
        series = series_of(("http.request.method", "GET"), ("http.response.status_code", "204"))
        series.exemplars[0] = Exemplar(TraceId(bytes(range(16))), SpanId(bytes(range(8))), 3_000_000, 1_500)
        metric = converted(Telemetry(), series)["http.server.request.duration"]
        point = point_of(metric)
        assert metric.unit == "s"
        assert point.attributes == {"http.request.method": "GET", "http.response.status_code": 204}
        assert (point.start_time_unix_nano, point.time_unix_nano) == (START, NOW)
        assert (point.count, point.sum) == (3, 20.5)
        assert point.bucket_counts == [2, *[0] * 13, 1]
        assert tuple(point.explicit_bounds) == BOUNDS_SECONDS
        (exemplar,) = point.exemplars
        assert exemplar.trace_id == int.from_bytes(bytes(range(16)), "big")
        assert exemplar.span_id == int.from_bytes(bytes(range(8)), "big")
        assert (exemplar.value, exemplar.time_unix_nano) == (0.003, 1_500)

    def test_what_is_too_much_says_so(self) -> None:
        point = point_of(converted(Telemetry(), series_of(*OVERFLOW))["http.server.request.duration"])
        assert point.attributes == {"otel.metric.overflow": True}

    def test_the_agents_own_keep_their_names(self) -> None:
        telemetry = Telemetry()
        telemetry.describe_resource({"service.name": "edge"})
        telemetry.refused("spop")
        for seconds in (0.0001, 0.02, 9.0):
            telemetry.loop_was_late(seconds)
        metrics = converted(telemetry)
        connections = metrics[f"{PREFIX}connections"].data
        assert isinstance(connections, Sum)
        assert connections.is_monotonic
        by_labels = {tuple((point.attributes or {}).values()): point.value for point in connections.data_points}
        assert by_labels["spop", "limit"] == 1
        assert by_labels["records", "ok"] == 0
        assert isinstance(metrics[f"{PREFIX}build_info"].data, Gauge)
        lag = point_of(metrics[f"{PREFIX}event_loop_lag_seconds"])
        assert (lag.count, sum(lag.bucket_counts)) == (3, 3)
        assert lag.sum == pytest.approx(9.0201)
        assert lag.bucket_counts[0] == lag.bucket_counts[-1] == 1
        assert len(lag.bucket_counts) == len(lag.explicit_bounds) + 1
        assert "target" not in metrics
        assert "http.server.request.duration" not in metrics

    def test_the_sdk_can_encode_it(self) -> None:
        metrics = list(converted(Telemetry(), series_of(("http.route", "/"))).values())
        scoped = ScopeMetrics(InstrumentationScope("x", "1"), metrics, "")
        encoded = encode_metrics(MetricsData([ResourceMetrics(Resource({}), [scoped], "")]))
        (of_resource,) = encoded.resource_metrics
        (of_scope,) = of_resource.scope_metrics
        points = {metric.name: metric for metric in of_scope.metrics}["http.server.request.duration"].histogram.data_points
        assert [point.count for point in points] == [3]
        assert not points[0].HasField("min")
        assert not points[0].HasField("max")


class Exporter:
    """Takes metrics when it is let, and answers as it is told."""

    def __init__(self, answer: Callable[[], MetricExportResult]) -> None:
        self.taken: list[MetricsData] = []
        self.may_answer = threading.Event()
        self.was_shut_down = threading.Event()
        self._answer = answer

    def export(self, metrics_data: MetricsData, /) -> MetricExportResult:
        self.taken.append(metrics_data)
        assert self.may_answer.wait(5)
        return self._answer()

    def shutdown(self) -> None:
        self.was_shut_down.set()
        self.may_answer.set()


@pytest.fixture
def telemetry() -> Telemetry:
    return Telemetry()


@pytest.fixture
def exporter() -> Iterator[Exporter]:
    exporter = Exporter(lambda: MetricExportResult.SUCCESS)
    yield exporter
    exporter.may_answer.set()


def pushed(telemetry: Telemetry, result: str) -> float | None:
    return telemetry.registry.get_sample_value(f"{PREFIX}metrics_pushed_total", {"result": result})


def push_of(exporter: Exporter, telemetry: Telemetry, interval_seconds: float = 60.0) -> MetricsPush:
    return MetricsPush(
        exporter=exporter,
        telemetry=telemetry,
        requests=RequestMetrics(attributes=AttributeBuilder()),
        resource={"service.name": "edge"},
        scope=("agent", "1"),
        interval_seconds=interval_seconds,
    )


async def test_a_push_is_sent_and_counted(exporter: Exporter, telemetry: Telemetry) -> None:
    exporter.may_answer.set()
    await push_of(exporter, telemetry).push()
    (data,) = exporter.taken
    assert data.resource_metrics[0].resource.attributes == {"service.name": "edge"}
    assert data.resource_metrics[0].scope_metrics[0].scope.name == "agent"
    assert (pushed(telemetry, "ok"), pushed(telemetry, "failed")) == (1, 0)


def raise_error() -> MetricExportResult:
    raise OSError("broken")


@pytest.mark.parametrize("answer", [lambda: MetricExportResult.FAILURE, raise_error])
async def test_one_that_fails_is_counted_too(answer: Callable[[], MetricExportResult], telemetry: Telemetry) -> None:
    exporter = Exporter(answer)
    exporter.may_answer.set()
    await push_of(exporter, telemetry).push()
    assert (pushed(telemetry, "ok"), pushed(telemetry, "failed")) == (0, 1)


async def test_there_is_one_at_a_time_and_nobody_waits_for_it(exporter: Exporter, telemetry: Telemetry) -> None:
    push = push_of(exporter, telemetry)
    first = asyncio.create_task(push.push())
    await asyncio.sleep(0)
    await push.push()
    assert not first.done()
    exporter.may_answer.set()
    await first
    assert len(exporter.taken) == 1
    assert pushed(telemetry, "ok") == 1


async def test_it_is_done_again_and_again(exporter: Exporter, telemetry: Telemetry) -> None:
    exporter.may_answer.set()
    push = push_of(exporter, telemetry, interval_seconds=0.001)
    push.start()

    async def several() -> bool:
        return len(exporter.taken) >= 3

    await until(several, what="three pushes")
    await push.close(5)
    assert exporter.was_shut_down.wait(5)


async def test_the_end_is_pushed_too(exporter: Exporter, telemetry: Telemetry) -> None:
    exporter.may_answer.set()
    push = push_of(exporter, telemetry)
    push.start()
    assert exporter.taken == []
    await push.close(5)
    assert len(exporter.taken) == 1
    assert pushed(telemetry, "ok") == 1


async def test_the_end_does_not_wait_longer_than_it_may(exporter: Exporter, telemetry: Telemetry) -> None:
    push = push_of(exporter, telemetry)
    push.start()
    async with asyncio.timeout(3):
        await push.close(0.01)
    assert exporter.was_shut_down.wait(5), "an exporter that tries again is told to stop"


def test_the_exporter_is_the_sdks_and_is_told_what_the_traces_one_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("from a file")
    told: dict[str, object] = {}

    class Told(OTLPMetricExporter):
        def __init__(self, **arguments: Any) -> None:
            told.update(arguments)
            super().__init__(**arguments)

    monkeypatch.setattr(metrics_push, "OTLPMetricExporter", Told)
    headers = [{"name": "key", "value": "given"}, {"name": "token", "valueFile": str(token)}]
    make_exporter(Push(), parse_settings({"exporter": {"headers": headers, "timeout": "3s"}}).exporter).shutdown()
    assert told["endpoint"] == "http://localhost:4318/v1/metrics"
    assert told["headers"] == {"key": "given", "token": "from a file"}
    assert told["timeout"] == 3


def test_a_file_of_a_header_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    settings = parse_settings({"exporter": {"headers": [{"name": "token", "valueFile": str(tmp_path / "none")}]}})
    with pytest.raises(SettingsError, match=r"exporter\.headers"):
        make_exporter(Push(), settings.exporter)
