"""The agent's own metrics: plain integers on the hot path, Prometheus families when somebody asks.

Counting an event is one addition; names, labels and help texts only matter at a scrape, where ``collect`` builds the families.
Label values that can be known beforehand start at 0, so that ``rate()`` sees the first event. What counts what is said by the
method's name; no other module knows a metric.
"""

import platform
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from .export import ExportObserver, Result, SpanQueue
from .memory import MemoryGuard
from .records import SkipReason
from .tracing import MiniLanguage, Span, SpanKind, WarningReason
from .version import VERSION

__all__ = ["PREFIX", "Telemetry"]

PREFIX = "haproxy_telemetry_agent_"

_MESSAGE_BUCKETS_SECONDS = (50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 20e-3, 50e-3, 100e-3)
"""HAProxy's ``timeout processing`` (20 ms by default) is the budget."""
_EXPORT_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_CONNECTION_KINDS = ("spop", "records")
_KINDS = {SpanKind.INTERNAL.value: "internal", SpanKind.SERVER.value: "server", SpanKind.CLIENT.value: "client"}
_REASONS = ("denied", "error", "excluded", "forced", "rate_limited", "rule", "slow")
_DROP_REASONS = ("memory", "queue_full", "rejected", "retry_exhausted", "shutdown")
_DISCONNECT_CODES = {
    0: "normal",
    1: "io_error",
    2: "timeout",
    3: "too_big",
    4: "invalid",
    5: "no_version",
    6: "no_max_frame_size",
    7: "no_capabilities",
    8: "unsupported_version",
    9: "bad_max_frame_size",
    10: "fragmentation_refused",
    11: "interlaced_fragments",
    12: "frame_id_not_found",
    13: "resource_allocation",
}


class _Histogram:
    """Cumulative only when read: observing is one search and two additions."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def buckets(self) -> list[tuple[str, float]]:
        names = [*map(str, self.bounds), "+Inf"]
        return [(name, float(count)) for name, count in zip(names, accumulate(self.counts), strict=True)]


class _Destination:
    """Counts for one of several destinations, and for all of them."""

    __slots__ = ("_all", "spans")

    def __init__(self, telemetry: "Telemetry") -> None:
        self._all = telemetry
        self.spans: Counter[str] = Counter(exported=0, dropped=0)

    def exported(self, spans: int) -> None:
        self.spans["exported"] += spans
        self._all.exported(spans)

    def dropped(self, spans: int, reason: str) -> None:
        self.spans["dropped"] += spans
        self._all.dropped(spans, reason)

    def requested(self, result: Result, duration_seconds: float) -> None:
        self._all.requested(result, duration_seconds)


class Telemetry(Collector):
    """Counts what the agent does; registered in a registry of its own.

    Implements ``ExportObserver``.

    Args:
        worker_restarts: how often the supervisor has restarted the agent.
    """

    def __init__(self, *, worker_restarts: int = 0) -> None:
        self.registry = CollectorRegistry()
        self._worker_restarts = worker_restarts
        self._config_ok = True
        self._config_reload_seconds = 0.0
        self._config_reloads: Counter[str] = Counter(ok=0, refused=0)
        self._open = dict.fromkeys(_CONNECTION_KINDS, 0)
        self._connections: Counter[tuple[str, str]] = Counter(
            {(kind, result): 0 for kind in _CONNECTION_KINDS for result in ("ok", "limit")}
        )
        self._disconnects: Counter[str] = Counter(normal=0)
        self._health_checks = 0
        self._messages: Counter[str] = Counter()
        self._answers_too_long = 0
        self._message_duration = _Histogram(_MESSAGE_BUCKETS_SECONDS)
        self._answered: Counter[tuple[str, str]] = Counter(
            {(sampled, parent): 0 for sampled in ("true", "false") for parent in ("remote", "none")}
        )
        self._records: Counter[str] = Counter(answered=0, unanswered=0, unasked=0, no_request=0, connection=0, probe=0)
        self._records_skipped: Counter[str] = Counter({reason.value: 0 for reason in SkipReason})
        self._records_cut = 0
        self._reasons: Counter[str] = Counter(dict.fromkeys(_REASONS, 0))
        self._routes: Counter[str] = Counter(ok=0, refused=0)
        self._spoe_errors: Counter[str] = Counter()
        self._spans: Counter[str] = Counter(server=0, client=0, internal=0)
        self._minilang_spans: Counter[str] = Counter(server=0, internal=0)
        self._minilang_warnings: Counter[str] = Counter({reason.value: 0 for reason in WarningReason})
        self._spans_exported = 0
        self._spans_dropped: Counter[str] = Counter(dict.fromkeys(_DROP_REASONS, 0))
        self._export_requests: Counter[str] = Counter()
        self._export_duration = _Histogram(_EXPORT_BUCKETS_SECONDS)
        self._last_export_seconds = 0.0
        self._memory: MemoryGuard | None = None
        self._queues: Sequence[SpanQueue] = ()
        self._destinations: dict[str, _Destination] = {}
        self._minilanguage: MiniLanguage | None = None
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def destination(self, name: str) -> ExportObserver:
        """Who counts for one destination; what it counts is in the sums over all destinations too."""
        return self._destinations.setdefault(name, _Destination(self))

    def watch_queues(self, queues: Sequence[SpanQueue]) -> None:
        """Show these queues' size, taken together: there is one for each destination."""
        self._queues = queues

    def watch_memory(self, guard: MemoryGuard) -> None:
        """Show whether spans are dropped for want of memory."""
        self._memory = guard

    def watch_minilanguage(self, minilanguage: MiniLanguage) -> None:
        """Show what this one holds, and what it had to give up."""
        self._minilanguage = minilanguage

    def connected(self, kind: str) -> None:
        """A connection was taken."""
        self._open[kind] += 1
        self._connections[kind, "ok"] += 1

    def refused(self, kind: str) -> None:
        """A connection was closed at once: too many."""
        self._connections[kind, "limit"] += 1

    def disconnected(self, kind: str) -> None:
        """A connection that was taken has ended."""
        self._open[kind] -= 1

    def spop_disconnect(self, status_code: int) -> None:
        """A DISCONNECT frame was received or sent for this reason."""
        self._disconnects[_DISCONNECT_CODES.get(status_code, "unknown")] += 1

    def health_checked(self) -> None:
        """HAProxy checked our health."""
        self._health_checks += 1

    def messages_answered(self, count: int, duration_seconds: float) -> None:
        """``count`` NOTIFYs that came together were answered ``duration_seconds`` after they had been read."""
        self._message_duration.observe(duration_seconds, count)

    def answer_too_long(self) -> None:
        """An answer did not fit in a frame, and was left out: the NOTIFY got an ACK without actions."""
        self._answers_too_long += 1

    def message(self, name: str) -> None:
        """A message came; ``name`` must be one of ours, ``minilang`` or ``other``."""
        self._messages[name] += 1

    def answered(self, *, sampled: bool, has_parent: bool) -> None:
        """An exchange's start was answered."""
        self._answered["true" if sampled else "false", "remote" if has_parent else "none"] += 1

    def recorded(self, kind: str) -> None:
        """A record was read: its start ``answered``, ``unanswered`` or (profile Stream) ``unasked``, or ``no_request`` at all.

        Of a ``mode tcp`` frontend: ``connection``, or ``probe`` if nothing came over it.
        """
        self._records[kind] += 1

    def decided(self, reason: str) -> None:
        """An exchange was sampled, or not, for another reason than the ordinary sampler's: rules count under ``rule``."""
        # It may come from a token, which anybody can write who can connect.
        kind = reason.partition(" ")[0]
        self._reasons[kind if kind in self._reasons else "other"] += 1

    def routes_read(self, *, ok: bool) -> None:
        """The file of routes was read again, and taken or refused."""
        self._routes["ok" if ok else "refused"] += 1

    def configured(self) -> None:
        """The agent has started with its settings."""
        self._config_reload_seconds = time.time()

    def reloaded(self, *, ok: bool) -> None:
        """The settings were read again, and taken or refused."""
        self._config_reloads["ok" if ok else "refused"] += 1
        self._config_ok = ok
        if ok:
            self._config_reload_seconds = time.time()

    def record_skipped(self, reason: SkipReason, count: int = 1) -> None:
        """Records that are of no use."""
        self._records_skipped[reason.value] += count

    def record_cut(self) -> None:
        """A record was used that HAProxy had cut: some of what it said is missing."""
        self._records_cut += 1

    def spoe_failed(self, code: str) -> None:
        """A record says that HAProxy got no answer: SPOE's error code."""
        self._spoe_errors[code if len(self._spoe_errors) < 64 or code in self._spoe_errors else "other"] += 1

    def spans_made(self, spans: Sequence[Span]) -> None:
        """One exchange gave these spans."""
        for span in spans:
            self._spans[_KINDS[span.kind]] += 1

    def minilang_span_made(self, kind: SpanKind) -> None:
        """A span of the mini-language has ended."""
        self._minilang_spans["server" if kind is SpanKind.SERVER else "internal"] += 1

    def minilang_warned(self, reason: str) -> None:
        """Something in a message of the mini-language could not be done as written; see ``WarningReason``."""
        self._minilang_warnings[reason] += 1

    def exported(self, spans: int) -> None:
        """See ``ExportObserver``."""
        self._spans_exported += spans
        self._last_export_seconds = time.time()

    def dropped(self, spans: int, reason: str) -> None:
        """See ``ExportObserver``."""
        self._spans_dropped[reason] += spans

    def requested(self, result: Result, duration_seconds: float) -> None:
        """See ``ExportObserver``."""
        self._export_requests[result.code] += 1
        self._export_duration.observe(duration_seconds)

    def collect(self) -> Iterator[Metric]:
        """The families, at a scrape."""
        build = GaugeMetricFamily(f"{PREFIX}build_info", "What runs; always 1.", labels=["version", "python"])
        build.add_metric([VERSION, platform.python_version()], 1)
        yield build
        yield _single("worker_restarts", "Times the supervisor has restarted the agent.", self._worker_restarts)
        yield GaugeMetricFamily(
            f"{PREFIX}config_last_reload_successful", "Whether the settings, as last read, are in use.", float(self._config_ok)
        )
        yield GaugeMetricFamily(
            f"{PREFIX}config_reload_timestamp_seconds", "When settings were last taken.", self._config_reload_seconds
        )
        yield _counter("config_reloads", "Times the settings were read again.", "result", self._config_reloads)
        yield _gauge("open_connections", "Open connections from HAProxy, by kind.", "kind", self._open)
        connections = CounterMetricFamily(
            f"{PREFIX}connections_total",
            "Connections from HAProxy, by kind and whether they were taken.",
            labels=["kind", "result"],
        )
        for (kind, result), count in self._connections.items():
            connections.add_metric([kind, result], count)
        yield connections
        yield _counter("disconnects", "SPOP DISCONNECT frames sent and received, by status code.", "code", self._disconnects)
        yield _single("health_checks", "Health checks of HAProxy's that were answered.", self._health_checks)
        yield _counter(
            "messages",
            "SPOE messages, by name; those in the mini-language are 'minilang', others 'other'.",
            "message",
            self._messages,
        )
        yield _single("answers_too_long", "NOTIFYs whose answer fits in no frame that HAProxy takes.", self._answers_too_long)
        yield _histogram("message_duration_seconds", "Time from reading NOTIFYs to writing their ACKs.", self._message_duration)
        answered = CounterMetricFamily(
            f"{PREFIX}exchanges_answered_total",
            "Exchanges whose start was answered, by sampling decision and the caller's context.",
            labels=["sampled", "parent"],
        )
        for (sampled, parent), count in self._answered.items():
            answered.add_metric([sampled, parent], count)
        yield answered
        yield _counter(
            "exchanges_recorded",
            "Records read at the end of exchanges, by whether the agent had answered their start; answered ones that stay "
            "short of exchanges_answered over time were lost, or are still open. Connections of TCP frontends have no start.",
            "start",
            self._records,
        )
        yield _counter(
            "sampling_reasons",
            "Exchanges that something else than the ordinary sampler decided.",
            "reason",
            self._reasons,
        )
        yield _counter("routes_read", "Times the file of routes was read again.", "result", self._routes)
        yield _counter("records_skipped", "Records that could not be used, by reason.", "reason", self._records_skipped)
        yield _single("records_cut", "Records that were used, and whose end was missing: texts were too long.", self._records_cut)
        yield _counter(
            "spoe_errors", "Exchanges that HAProxy got no answer for, by its SPOE error code.", "code", self._spoe_errors
        )
        yield _counter("spans_made", "Spans made of records, by kind.", "kind", self._spans)
        yield _counter("minilang_spans_made", "Spans of the mini-language that have ended, by kind.", "kind", self._minilang_spans)
        yield _counter(
            "minilang_warnings",
            "Arguments of the mini-language that could not be taken as written, by reason.",
            "reason",
            self._minilang_warnings,
        )
        if self._minilanguage is not None:
            yield GaugeMetricFamily(
                f"{PREFIX}minilang_exchanges_open", "Exchanges with open spans of the mini-language.", len(self._minilanguage)
            )
            yield GaugeMetricFamily(
                f"{PREFIX}minilang_exchanges_open_bytes", "What they take, estimated.", self._minilanguage.size_bytes
            )
            yield _counter(
                "minilang_exchanges_expired",
                "Exchanges of the mini-language that nothing finished, by why they were closed.",
                "reason",
                self._minilanguage.expired,
            )
        yield _single("spans_exported", "Spans that destinations took; each destination counts.", self._spans_exported)
        yield _counter("spans_dropped", "Spans that were lost, by reason.", "reason", self._spans_dropped)
        yield _counter(
            "export_requests", "Requests to the collector, by status code or kind of failure.", "code", self._export_requests
        )
        yield _histogram("export_duration_seconds", "Time of requests to the collector.", self._export_duration)
        yield GaugeMetricFamily(
            f"{PREFIX}last_export_success_timestamp_seconds", "When the collector last took spans.", self._last_export_seconds
        )
        if self._memory is not None:
            yield GaugeMetricFamily(
                f"{PREFIX}memory_shedding", "Whether spans are dropped for want of memory.", float(self._memory.shedding)
            )
        destinations = CounterMetricFamily(
            f"{PREFIX}destination_spans_total",
            "Spans by destination (its place in the settings), taken or lost.",
            labels=["destination", "result"],
        )
        for name, destination in self._destinations.items():
            for result, count in destination.spans.items():
                destinations.add_metric([name, result], count)
        yield destinations
        if self._queues:
            queues = self._queues
            yield GaugeMetricFamily(f"{PREFIX}queue_size", "Spans that wait for export.", sum(map(len, queues)))
            yield GaugeMetricFamily(
                f"{PREFIX}queue_size_bytes", "Bytes of the spans that wait.", sum(queue.size_bytes for queue in queues)
            )
            yield GaugeMetricFamily(f"{PREFIX}queue_capacity", "Spans that may wait.", sum(queue.max_spans for queue in queues))


def _single(name: str, documentation: str, value: float) -> CounterMetricFamily:
    return CounterMetricFamily(f"{PREFIX}{name}_total", documentation, value)


def _counter(name: str, documentation: str, label: str, values: Mapping[str, int]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"{PREFIX}{name}_total", documentation, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _gauge(name: str, documentation: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}{name}", documentation, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def _histogram(name: str, documentation: str, histogram: _Histogram) -> HistogramMetricFamily:
    return HistogramMetricFamily(f"{PREFIX}{name}", documentation, buckets=histogram.buckets(), sum_value=histogram.total)
