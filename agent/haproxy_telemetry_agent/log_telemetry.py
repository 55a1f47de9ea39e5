"""What the agent counts of its access log; part of ``Telemetry``, and shown only if there is one."""

from collections import Counter
from collections.abc import Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from .export import Result, SpanQueue
from .metric_families import PREFIX, counter, single
from .tracing import Severity

__all__ = ["LogTelemetry"]

_SEVERITIES = {severity: severity.name.lower() for severity in Severity}


class LogTelemetry:
    """Counts log records and their export.

    Implements ``ExportObserver``.

    Args:
        drop_reasons: why log records may be lost; they start at 0.
    """

    def __init__(self, *, drop_reasons: tuple[str, ...]) -> None:
        self._made: Counter[str] = Counter(dict.fromkeys(_SEVERITIES.values(), 0))
        self._exported = 0
        self._dropped: Counter[str] = Counter(dict.fromkeys(drop_reasons, 0))
        self._requests: Counter[str] = Counter({"200": 0})
        self._queue: SpanQueue | None = None

    def watch_queue(self, queue: SpanQueue) -> None:
        """Show this queue's size."""
        self._queue = queue

    def made(self, severity: Severity) -> None:
        """An exchange or a connection gave a log record."""
        self._made[_SEVERITIES[severity]] += 1

    def exported(self, spans: int) -> None:
        """See ``ExportObserver``."""
        self._exported += spans

    def dropped(self, spans: int, reason: str) -> None:
        """See ``ExportObserver``."""
        self._dropped[reason] += spans

    def requested(self, result: Result, duration_seconds: float) -> None:  # noqa: ARG002 - durations are counted of spans only
        """See ``ExportObserver``."""
        self._requests[result.code] += 1

    def collect(self) -> Iterator[Metric]:
        """The families, at a scrape."""
        yield counter("log_records_made", "Access log records made of HAProxy's records, by severity.", "severity", self._made)
        yield single("log_records_exported", "Access log records that the collector took.", self._exported)
        yield counter("log_records_dropped", "Access log records that were lost, by reason.", "reason", self._dropped)
        yield counter(
            "log_export_requests",
            "Requests to the collector with access log records, by status code or kind of failure.",
            "code",
            self._requests,
        )
        if self._queue is not None:
            yield GaugeMetricFamily(f"{PREFIX}log_queue_size", "Access log records that wait for export.", len(self._queue))
            yield GaugeMetricFamily(
                f"{PREFIX}log_queue_size_bytes", "Bytes of the access log records that wait.", self._queue.size_bytes
            )
            yield GaugeMetricFamily(f"{PREFIX}log_queue_capacity", "Access log records that may wait.", self._queue.max_spans)
