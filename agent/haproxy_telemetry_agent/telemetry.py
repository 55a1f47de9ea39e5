"""The agent's own metrics: plain integers on the hot path, Prometheus families when somebody asks.

Counting an event is one addition; names, labels and help texts only matter at a scrape, where ``collect`` builds the families.
Label values that can be known beforehand start at 0, so that ``rate()`` sees the first event. What counts what is said by the
method's name; no other module knows a metric.
"""

import json
import platform
import re
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from .destination_metrics import DestinationCounts, collect_destinations
from .export import Result, SpanQueue
from .log_telemetry import LogTelemetry
from .memory import MemoryGuard
from .metric_families import PREFIX, Histogram, counter, counter_by, gauge, histogram, single
from .records import SkipReason
from .request_metrics import RequestMetrics
from .tracing import Attribute, ExtractCounts, MiniLanguage, Span, SpanKind, WarningReason
from .version import VERSION
from .wiring import SPOE_EVENTS

__all__ = ["PREFIX", "Telemetry"]

_MESSAGE_BUCKETS_SECONDS = (50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 20e-3, 50e-3, 100e-3)
"""HAProxy's ``timeout processing`` (20 ms by default) is the budget."""
_LAG_BUCKETS_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0)
_EXPORT_BUCKETS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_CONNECTION_KINDS = ("spop", "records", "http")
_GIVEN_UP = (("spop", "unfinished"), ("spop", "unread"), ("records", "unfinished"), ("http", "unfinished"), ("http", "unread"))
_KINDS = {SpanKind.INTERNAL.value: "internal", SpanKind.SERVER.value: "server", SpanKind.CLIENT.value: "client"}
_REASONS = ("denied", "error", "excluded", "forced", "rate_limited", "rule", "slow")
_DROP_REASONS = ("memory", "queue_full", "rejected", "retry_exhausted", "shutdown")
_SPILL_REASONS = ("spill_failed", "spill_full")
_FRAMES = (
    ("haproxy_hello", "received"),
    ("haproxy_disconnect", "received"),
    ("notify", "received"),
    ("other", "received"),
    ("agent_hello", "sent"),
    ("agent_disconnect", "sent"),
    ("ack", "sent"),
)
_FRAME_ERRORS = (
    "too_big",
    "invalid",
    "no_version",
    "no_max_frame_size",
    "no_capabilities",
    "unsupported_version",
    "bad_max_frame_size",
    "fragmentation_refused",
)
_NOT_IN_A_LABEL = re.compile(r"[^a-zA-Z0-9_]")
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
        self._given_up: Counter[tuple[str, str]] = Counter(dict.fromkeys(_GIVEN_UP, 0))
        self._http_requests_refused = 0
        self._disconnects: Counter[str] = Counter(normal=0)
        self._frames: Counter[tuple[str, str]] = Counter(dict.fromkeys(_FRAMES, 0))
        self._frame_errors: Counter[str] = Counter(dict.fromkeys(_FRAME_ERRORS, 0))
        self._hello_timeouts = 0
        self._health_checks = 0
        self._messages: Counter[str] = Counter(dict.fromkeys((*(event.message for event in SPOE_EVENTS), "minilang", "other"), 0))
        self._answers_too_long = 0
        self._message_duration = Histogram(_MESSAGE_BUCKETS_SECONDS)
        self._answered: Counter[tuple[str, str]] = Counter(
            {(sampled, parent): 0 for sampled in ("true", "false") for parent in ("remote", "none")}
        )
        self.extracts: ExtractCounts = {}
        """Counted by ``Propagation``."""
        self._records: Counter[str] = Counter(answered=0, unanswered=0, unasked=0, no_request=0, connection=0, probe=0)
        self._records_skipped: Counter[str] = Counter({reason.value: 0 for reason in SkipReason})
        self._records_cut = 0
        self._records_lost = 0
        self._reasons: Counter[str] = Counter(dict.fromkeys(_REASONS, 0))
        self._routes: Counter[str] = Counter(ok=0, refused=0)
        self._spoe_errors: Counter[str] = Counter(other=0)
        self._spans: Counter[str] = Counter(server=0, client=0, internal=0)
        self._minilang_spans: Counter[str] = Counter(server=0, internal=0)
        self._minilang_warnings: Counter[str] = Counter({reason.value: 0 for reason in WarningReason})
        self._spans_exported = 0
        self._spans_dropped: Counter[str] = Counter(dict.fromkeys(_DROP_REASONS + _SPILL_REASONS, 0))
        self._export_requests: Counter[str] = Counter({"200": 0})
        self._export_duration = Histogram(_EXPORT_BUCKETS_SECONDS)
        self._last_export_seconds = 0.0
        self._metrics_pushed: Counter[str] = Counter(ok=0, failed=0)
        self._loop_lag = Histogram(_LAG_BUCKETS_SECONDS)
        self._resource: dict[str, str] = {}
        self._requests: RequestMetrics | None = None
        self._memory: MemoryGuard | None = None
        self._queues: Sequence[SpanQueue] = ()
        self._destinations: dict[str, DestinationCounts] = {}
        self._logs: LogTelemetry | None = None
        self._minilanguage: MiniLanguage | None = None
        self.registry.register(self)
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)

    def destination(self, name: str) -> DestinationCounts:
        """Who counts for one destination; what it counts is in the sums over all destinations too."""
        return self._destinations.setdefault(name, DestinationCounts(self))

    def watch_queues(self, queues: Sequence[SpanQueue]) -> None:
        """Show these queues' size, taken together: there is one for each destination."""
        self._queues = queues

    def watch_logs(self) -> LogTelemetry:
        """Who counts for the access log; shown from now on."""
        self._logs = LogTelemetry(drop_reasons=_DROP_REASONS)
        return self._logs

    def watch_memory(self, guard: MemoryGuard) -> None:
        """Show whether spans are dropped for want of memory."""
        self._memory = guard

    def watch_minilanguage(self, minilanguage: MiniLanguage) -> None:
        """Show what this one holds, and what it had to give up."""
        self._minilanguage = minilanguage

    def watch_requests(self, requests: RequestMetrics) -> None:
        """Show how many series these have; what is in them is shown by ``request_exposition``."""
        self._requests = requests

    def describe_resource(self, attributes: Mapping[str, Attribute]) -> None:
        """Show whom the telemetry is about, as ``target_info``; names that become the same label share it."""
        labels: dict[str, list[str]] = {}
        for name, value in sorted(attributes.items()):
            text = value if isinstance(value, str) else json.dumps(value)
            labels.setdefault(_label(name), []).append(text)
        self._resource = {name: ";".join(texts) for name, texts in labels.items()}

    def loop_was_late(self, seconds: float) -> None:
        """The event loop came to something so much later than it should have."""
        self._loop_lag.observe(seconds)

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

    def given_up(self, kind: str, reason: str) -> None:
        """A connection was closed, because its peer took too long: ``unfinished`` or ``unread``."""
        self._given_up[kind, reason] += 1

    def http_request_refused(self) -> None:
        """What came on the HTTP endpoint was no HTTP, or too much of it."""
        self._http_requests_refused += 1

    def spop_hello(self, *, healthcheck: bool) -> None:
        """A HELLO was answered with one of ours; HAProxy's health checks send one too, and nothing after it."""
        self._frames["haproxy_hello", "received"] += 1
        self._frames["agent_hello", "sent"] += 1
        self._health_checks += healthcheck

    def spop_disconnect(self, status_code: int) -> None:
        """HAProxy sent a DISCONNECT frame for this reason, and was sent one."""
        self._frames["haproxy_disconnect", "received"] += 1
        self._disconnected_for(status_code)

    def spop_closed(self) -> None:
        """We sent a DISCONNECT frame, because we stop."""
        self._disconnected_for(0)

    def spop_violated(self, status_code: int) -> None:
        """HAProxy broke the protocol, and was sent a DISCONNECT frame with this reason."""
        self._frame_errors[_DISCONNECT_CODES.get(status_code, "unknown")] += 1
        self._disconnected_for(status_code)

    def _disconnected_for(self, status_code: int) -> None:
        self._frames["agent_disconnect", "sent"] += 1
        self._disconnects[_DISCONNECT_CODES.get(status_code, "unknown")] += 1

    def frames_ignored(self, count: int) -> None:
        """Frames came of a type that we do not know."""
        self._frames["other", "received"] += count

    def hello_timed_out(self) -> None:
        """A connection was closed because no HELLO came."""
        self._hello_timeouts += 1

    def messages_answered(self, count: int, duration_seconds: float) -> None:
        """``count`` NOTIFYs that came together were answered ``duration_seconds`` after they had been read."""
        self._message_duration.observe(duration_seconds, count)
        self._frames["notify", "received"] += count
        self._frames["ack", "sent"] += count

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

    def records_lost(self, count: int) -> None:
        """HAProxy says that its ring had no room for so many."""
        self._records_lost += count

    def spoe_failed(self, code: str) -> None:
        """A record says that HAProxy got no answer: SPOE's error code."""
        self._spoe_errors[code if len(self._spoe_errors) < 65 or code in self._spoe_errors else "other"] += 1

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

    def metrics_pushed(self, *, ok: bool) -> None:
        """Metrics were pushed to the collector, or could not be."""
        self._metrics_pushed["ok" if ok else "failed"] += 1

    def collect(self) -> Iterator[Metric]:
        """The families, at a scrape."""
        build = GaugeMetricFamily(f"{PREFIX}build_info", "What runs; always 1.", labels=["version", "python"])
        build.add_metric([VERSION, platform.python_version()], 1)
        yield build
        yield single("worker_restarts", "Times the supervisor has restarted the agent.", self._worker_restarts)
        yield GaugeMetricFamily(
            f"{PREFIX}config_last_reload_successful", "Whether the settings, as last read, are in use.", float(self._config_ok)
        )
        yield GaugeMetricFamily(
            f"{PREFIX}config_reload_timestamp_seconds", "When settings were last taken.", self._config_reload_seconds
        )
        yield counter("config_reloads", "Times the settings were read again.", "result", self._config_reloads)
        if self._resource:
            yield InfoMetricFamily("target", "Whom the telemetry is about: the resource's attributes.", self._resource)
        yield histogram("event_loop_lag_seconds", "How late the event loop is, looked at twice a second.", self._loop_lag)
        yield gauge("open_connections", "Open connections, by kind.", "kind", self._open)
        connections = CounterMetricFamily(
            f"{PREFIX}connections_total",
            "Connections, by kind and whether they were taken.",
            labels=["kind", "result"],
        )
        for (kind, result), count in self._connections.items():
            connections.add_metric([kind, result], count)
        yield connections
        given_up = CounterMetricFamily(
            f"{PREFIX}connections_given_up_total",
            "Connections closed because the peer did not end what it had begun, or did not read what it was sent.",
            labels=["kind", "reason"],
        )
        for (kind, reason), count in self._given_up.items():
            given_up.add_metric([kind, reason], count)
        yield given_up
        yield single(
            "http_requests_refused", "Requests to the HTTP endpoint that were no HTTP, or too long.", self._http_requests_refused
        )
        frames = CounterMetricFamily(
            f"{PREFIX}frames_total",
            "SPOP frames, by type and direction; 'other' are of no known type.",
            labels=["type", "direction"],
        )
        for (frame_type, direction), count in self._frames.items():
            frames.add_metric([frame_type, direction], count)
        yield frames
        yield counter(
            "frame_errors", "SPOP connections closed for what HAProxy sent, by our status code.", "code", self._frame_errors
        )
        yield single("hello_timeouts", "SPOP connections closed because no HELLO came.", self._hello_timeouts)
        yield counter("disconnects", "SPOP DISCONNECT frames sent and received, by status code.", "code", self._disconnects)
        yield single("health_checks", "Health checks of HAProxy's that were answered.", self._health_checks)
        yield counter(
            "messages",
            "SPOE messages, by name; those in the mini-language are 'minilang', others 'other'.",
            "message",
            self._messages,
        )
        yield single("answers_too_long", "NOTIFYs whose answer fits in no frame that HAProxy takes.", self._answers_too_long)
        yield histogram("message_duration_seconds", "Time from reading NOTIFYs to writing their ACKs.", self._message_duration)
        answered = CounterMetricFamily(
            f"{PREFIX}exchanges_answered_total",
            "Exchanges whose start was answered, by sampling decision and the caller's context.",
            labels=["sampled", "parent"],
        )
        for (sampled, parent), count in self._answered.items():
            answered.add_metric([sampled, parent], count)
        yield answered
        yield counter_by(
            "propagation_extract",
            "Times a propagator was asked for the caller's context; 'invalid' is a header that holds none.",
            ("propagator", "result"),
            self.extracts,
        )
        yield counter(
            "exchanges_recorded",
            "Records read at the end of exchanges, by whether the agent had answered their start; answered ones that stay "
            "short of exchanges_answered over time were lost, or are still open. Connections of TCP frontends have no start.",
            "start",
            self._records,
        )
        yield counter(
            "sampling_reasons",
            "Exchanges that something else than the ordinary sampler decided.",
            "reason",
            self._reasons,
        )
        yield counter("routes_read", "Times the file of routes was read again.", "result", self._routes)
        yield counter("records_skipped", "Records that could not be used, by reason.", "reason", self._records_skipped)
        yield single("records_cut", "Records that were used, and whose end was missing: texts were too long.", self._records_cut)
        yield single("records_lost", "Records that had no room in HAProxy's ring, as HAProxy 2.6 and 2.8 say.", self._records_lost)
        yield counter("spoe_errors", "Exchanges that HAProxy got no answer for, by its SPOE error code.", "code", self._spoe_errors)
        yield counter("spans_made", "Spans made of records, by kind.", "kind", self._spans)
        yield counter("minilang_spans_made", "Spans of the mini-language that have ended, by kind.", "kind", self._minilang_spans)
        yield counter(
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
            yield counter(
                "minilang_exchanges_expired",
                "Exchanges of the mini-language that nothing finished, by why they were closed.",
                "reason",
                self._minilanguage.expired,
            )
        yield single("spans_exported", "Spans that destinations took; each destination counts.", self._spans_exported)
        yield counter("spans_dropped", "Spans that were lost, by reason.", "reason", self._spans_dropped)
        yield counter(
            "export_requests", "Requests to the collector, by status code or kind of failure.", "code", self._export_requests
        )
        yield histogram("export_duration_seconds", "Time of requests to the collector.", self._export_duration)
        yield GaugeMetricFamily(
            f"{PREFIX}last_export_success_timestamp_seconds", "When the collector last took spans.", self._last_export_seconds
        )
        yield counter("metrics_pushed", "Times that metrics were pushed to the collector.", "result", self._metrics_pushed)
        if self._memory is not None:
            yield GaugeMetricFamily(
                f"{PREFIX}memory_shedding", "Whether spans are dropped for want of memory.", float(self._memory.shedding)
            )
        yield from collect_destinations(self._destinations, self._queues)
        if self._queues:
            queues = self._queues
            yield GaugeMetricFamily(f"{PREFIX}queue_size", "Spans that wait for export.", sum(map(len, queues)))
            yield GaugeMetricFamily(
                f"{PREFIX}queue_size_bytes", "Bytes of the spans that wait.", sum(queue.size_bytes for queue in queues)
            )
            yield GaugeMetricFamily(f"{PREFIX}queue_capacity", "Spans that may wait.", sum(queue.max_spans for queue in queues))
        if self._logs is not None:
            yield from self._logs.collect()
        if self._requests is not None:
            yield GaugeMetricFamily(
                f"{PREFIX}request_series", "Label sets of http_server_request_duration_seconds.", len(self._requests.series)
            )
            yield single(
                "request_series_overflowed",
                "Requests counted under otel_metric_overflow, because their label set would have been one too many.",
                self._requests.overflowed,
            )


def _label(name: str) -> str:
    label = _NOT_IN_A_LABEL.sub("_", name)
    return f"_{label}" if label[:1].isdigit() or not label else label
