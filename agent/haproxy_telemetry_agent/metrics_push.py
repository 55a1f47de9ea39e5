"""Metrics pushed as OTLP, for collectors that nobody scrapes: all that ``/metrics`` shows, by the OpenTelemetry SDK's own exporter.

Nothing here is in a hurry: what there is is copied on the event loop, once a minute, and a thread does the rest. The request
histogram has its OpenTelemetry name and attributes; the agent's own metrics keep the names that Prometheus knows them by.
"""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from .export.headers import Headers, HeadersError
from .request_exposition import HELP
from .request_metrics import BOUNDS_SECONDS, RequestMetrics, Series
from .settings import SettingsError
from .settings.exporter import Exporter
from .settings.metrics import Push, push_url
from .settings.types import duration_seconds
from .telemetry import Telemetry
from .tracing import Attribute
from .tracing.semconv import HTTP_RESPONSE_STATUS_CODE

if TYPE_CHECKING:
    from prometheus_client.core import Metric as Family

__all__ = ["MetricsPush", "PushExporter", "convert", "make_exporter"]

_logger = logging.getLogger(__name__)

REQUEST_DURATION = "http.server.request.duration"
_NANOSECONDS_PER_SECOND = 1_000_000_000
_CUMULATIVE = AggregationTemporality.CUMULATIVE


class PushExporter(Protocol):
    """The part of the SDK's exporter that is used; both may wait."""

    def export(self, metrics_data: MetricsData, /) -> MetricExportResult:
        """Send, and try again for a while."""

    def shutdown(self) -> None:
        """Try no more."""


class MetricsPush:
    """Pushes what one agent counts.

    Args:
        exporter: sends; see ``PushExporter``.
        telemetry, requests: what is sent.
        resource: whom it is about.
        scope: name and version of the agent.
        interval_seconds: how often.
    """

    def __init__(
        self,
        *,
        exporter: PushExporter,
        telemetry: Telemetry,
        requests: RequestMetrics | None,
        resource: Mapping[str, Attribute],
        scope: tuple[str, str],
        interval_seconds: float,
    ) -> None:
        self._exporter = exporter
        self._telemetry = telemetry
        self._requests = requests
        self._resource = Resource(resource)
        self._scope = InstrumentationScope(*scope)
        self._interval_seconds = interval_seconds
        self._start_unix_nano = time.time_ns()
        self._pushing: asyncio.Future[bool] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Push from now on, the first time after one interval."""
        self._task = asyncio.create_task(self._run())

    async def close(self, timeout_seconds: float) -> None:
        """Push once more, for as long as there is time, unless the last push has not even ended."""
        if self._task is not None:
            self._task.cancel()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                await self.push()
        # In a thread of its own: it waits for an export that goes on.
        _in_thread(self._exporter.shutdown)

    async def push(self) -> None:
        """Push what there is now; nothing if the last push goes on."""
        if self._pushing is not None and not self._pushing.done():
            return
        families = list(self._telemetry.registry.collect())
        series = [] if self._requests is None else [_copy(one) for one in self._requests.series]
        now_unix_nano = time.time_ns()
        loop = asyncio.get_running_loop()
        self._pushing = done = loop.create_future()

        def send() -> None:
            try:
                metrics = convert(families, series, start_unix_nano=self._start_unix_nano, now_unix_nano=now_unix_nano)
                scoped = ScopeMetrics(self._scope, metrics, "")
                result = self._exporter.export(MetricsData([ResourceMetrics(self._resource, [scoped], "")]))
                ok = result is MetricExportResult.SUCCESS
            except Exception:
                _logger.exception("metrics could not be pushed")
                ok = False
            with contextlib.suppress(RuntimeError):  # the loop has ended meanwhile
                loop.call_soon_threadsafe(_settle, done, ok)

        _in_thread(send)
        self._telemetry.metrics_pushed(ok=await asyncio.shield(done))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_seconds)
            await self.push()


def make_exporter(push: Push, settings: Exporter) -> PushExporter:
    """The SDK's exporter, with the headers (their files as they are now), TLS, compression and timeout of the traces' one.

    Raises:
        SettingsError: a header's file can't be used.
    """
    values = {header.name: header.value for header in settings.headers if header.value is not None}
    files = {header.name: header.value_file for header in settings.headers if header.value_file is not None}
    try:
        headers = Headers(values, files).current()
    except HeadersError as error:
        raise SettingsError(f"exporter.headers: {error}") from None
    return OTLPMetricExporter(
        endpoint=push_url(push, settings),
        headers=dict(headers) or None,
        timeout=duration_seconds(settings.timeout),
        compression=Compression.Gzip if settings.compression == "gzip" else Compression.NoCompression,
        certificate_file=settings.tls.ca_file,
        client_certificate_file=settings.tls.certificate_file,
        client_key_file=settings.tls.key_file,
    )


def convert(families: "Iterable[Family]", series: Iterable[Series], *, start_unix_nano: int, now_unix_nano: int) -> list[Metric]:
    """OpenTelemetry's metrics of Prometheus' families and of the request histogram.

    Args:
        families: counters, gauges and histograms; others (``target_info`` is the resource) are left out.
        series: of the request histogram.
        start_unix_nano: when counting began.
        now_unix_nano: when these values were there.
    """
    times = (start_unix_nano, now_unix_nano)
    metrics = []
    points = [_request_point(one, times) for one in series]
    if points:
        metrics.append(Metric(REQUEST_DURATION, HELP, "s", Histogram(points, _CUMULATIVE)))
    for family in families:
        data = _data(family, times)
        if data is not None and data.data_points:
            metrics.append(Metric(family.name, family.documentation, "", data))
    return metrics


def _data(family: "Family", times: tuple[int, int]) -> Sum | Gauge | Histogram | None:
    if family.type == "histogram":
        return Histogram(_histogram_points(family, times), _CUMULATIVE)
    if family.type not in ("counter", "gauge"):
        return None
    points = [
        NumberDataPoint(sample.labels, *times, sample.value) for sample in family.samples if not sample.name.endswith("_created")
    ]
    return Gauge(points) if family.type == "gauge" else Sum(points, _CUMULATIVE, is_monotonic=True)


def _histogram_points(family: "Family", times: tuple[int, int]) -> list[HistogramDataPoint]:
    """Of a family without labels, as all of ours are."""
    bounds, counts, before, total = [], [], 0, 0.0
    for sample in family.samples:
        if sample.name.endswith("_bucket"):
            bounds.append(float(sample.labels["le"]))
            counts.append(int(sample.value) - before)
            before = int(sample.value)
        elif sample.name.endswith("_sum"):
            total = sample.value
    return [_point({}, times, counts=counts, total=total, bounds=bounds[:-1])]


def _request_point(series: Series, times: tuple[int, int]) -> HistogramDataPoint:
    attributes: dict[str, str | int | bool] = dict(series.labels)
    status_code = attributes.get(HTTP_RESPONSE_STATUS_CODE)
    if status_code is not None:
        attributes[HTTP_RESPONSE_STATUS_CODE] = int(status_code)
    if "otel.metric.overflow" in attributes:
        attributes["otel.metric.overflow"] = True
    exemplars = [
        Exemplar(
            {},
            one.duration_nanoseconds / _NANOSECONDS_PER_SECOND,
            one.end_unix_nano,
            int.from_bytes(one.span_id, "big"),
            int.from_bytes(one.trace_id, "big"),
        )
        for one in series.exemplars
        if one is not None
    ]
    total = series.total_nanoseconds / _NANOSECONDS_PER_SECOND
    return _point(attributes, times, counts=series.counts, total=total, bounds=BOUNDS_SECONDS, exemplars=exemplars)


def _point(
    attributes: Mapping[str, str | int | bool],
    times: tuple[int, int],
    *,
    counts: list[int],
    total: float,
    bounds: Sequence[float],
    exemplars: Sequence[Exemplar] = (),
) -> HistogramDataPoint:
    # Smallest and largest are not known: OTLP may leave them out, and the SDK's encoder takes None for that.
    none: float = None  # type: ignore[assignment]
    return HistogramDataPoint(attributes, *times, sum(counts), total, counts, bounds, none, none, exemplars)


def _copy(series: Series) -> Series:
    copy = Series(series.labels)
    copy.counts = series.counts.copy()
    copy.exemplars = series.exemplars.copy()
    copy.total_nanoseconds = series.total_nanoseconds
    return copy


def _settle(done: "asyncio.Future[bool]", ok: bool) -> None:  # noqa: FBT001 - a callback's
    if not done.done():
        done.set_result(ok)


def _in_thread(work: Callable[[], object]) -> None:
    """A daemon: the end of the agent does not wait for it."""
    threading.Thread(target=work, name="metrics push", daemon=True).start()
