"""The injector's own metrics: plain integers, Prometheus families when somebody asks."""

import datetime
import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

__all__ = ["PREFIX", "InjectorTelemetry"]

PREFIX = "haproxy_telemetry_injector_"

_BUCKETS_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""The webhook's timeout (5 s) is the budget."""
_RESULTS = (
    "injected",
    "unchanged",
    "opted_out",
    "not_owned",
    "not_haproxy",
    "suspended",
    "conflicted",
    "unsupported",
    "other_namespace",
    "unknown_resource",
    "deleting",
    "malformed",
    "error",
    "too_large",
    "too_slow",
)
_MAX_RESULTS = 64


class InjectorTelemetry(Collector):
    """Counts what the injector does; registered in a registry of its own.

    Implements ``WatchObserver`` and ``CertificateObserver``.

    Args:
        resources: how many resources are known, and how many could not be taken.
        certificate_not_after: when the certificate ends; None: there is none.
        unix_seconds: the clock.
    """

    def __init__(
        self,
        *,
        resources: Callable[[], tuple[int, int]],
        certificate_not_after: Callable[[], datetime.datetime | None],
        unix_seconds: Callable[[], float] = time.time,
    ) -> None:
        self.registry = CollectorRegistry()
        self._resources = resources
        self._certificate_not_after = certificate_not_after
        self._unix_seconds = unix_seconds
        self._admissions: Counter[str] = Counter(dict.fromkeys(_RESULTS, 0))
        self._dry_runs: Counter[str] = Counter(injected=0)
        self._durations = [0] * (len(_BUCKETS_SECONDS) + 1)
        self._duration_seconds = 0.0
        self._connections_given_up = 0
        self._certificates: Counter[str] = Counter(ok=0, refused=0)
        self._events: Counter[str] = Counter()
        self._failures: Counter[str] = Counter()
        self._heard_seconds: dict[str, float] = {}
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self.registry.register(self)

    def admitted(self, result: str, seconds: float, *, dry_run: bool = False) -> None:
        """A question was answered, whatever the answer."""
        counts = self._dry_runs if dry_run else self._admissions
        counts[result if result in counts or len(counts) < _MAX_RESULTS else "other"] += 1
        self._durations[bisect_left(_BUCKETS_SECONDS, seconds)] += 1
        self._duration_seconds += seconds

    def connection_given_up(self) -> None:
        """One too many, or one on which no question came."""
        self._connections_given_up += 1

    def certificate_read(self, result: str) -> None:
        """A new certificate: ``ok`` or ``refused``."""
        self._certificates[result] += 1

    def expect_watch(self, name: str) -> None:
        """There will be a watch of this name: its counters start at 0."""
        self._events[name] += 0
        self._failures[name] += 0

    def watch_heard(self, name: str, *, events: int) -> None:
        """The API server answered, with so many events."""
        self._events[name] += events
        self._heard_seconds[name] = self._unix_seconds()

    def watch_failed(self, name: str) -> None:
        """It did not, or refused."""
        self._failures[name] += 1

    def collect(self) -> Iterator[Metric]:
        """See ``Collector``."""
        yield _counter("admissions", "Pods the API server asked for, by what came of it.", "result", self._admissions)
        yield _counter("dry_runs", "Pods the API server asked for and will not make, by what came of it.", "result", self._dry_runs)
        sums = [float(count) for count in accumulate(self._durations)]
        yield HistogramMetricFamily(
            f"{PREFIX}admission_duration_seconds",
            "How long an answer took, from the question's head to the answer.",
            buckets=list(zip([*map(str, _BUCKETS_SECONDS), "+Inf"], sums, strict=True)),
            sum_value=self._duration_seconds,
        )
        yield CounterMetricFamily(
            f"{PREFIX}connections_given_up_total",
            "Connections that were one too many, or on which no question came.",
            self._connections_given_up,
        )
        not_after = self._certificate_not_after()
        yield GaugeMetricFamily(
            f"{PREFIX}certificate_expiry_timestamp_seconds",
            "When the serving certificate ends; 0: there is none.",
            0.0 if not_after is None else not_after.timestamp(),
        )
        yield _counter("certificate_reads", "New certificates; refused: the one before stays.", "result", self._certificates)
        known, refused = self._resources()
        yield GaugeMetricFamily(f"{PREFIX}resources", "Resources HAProxyTelemetry that are known.", known)
        yield CounterMetricFamily(f"{PREFIX}resources_refused_total", "Resources that can't be read, or are too many.", refused)
        yield _counter("watch_events", "Changes the API server told of.", "watch", self._events)
        yield _counter("watch_failures", "Times the API server could not be reached, or refused.", "watch", self._failures)
        heard = GaugeMetricFamily(
            f"{PREFIX}watch_last_heard_timestamp_seconds",
            "When the API server last answered or told of something.",
            labels=["watch"],
        )
        for name, seconds in self._heard_seconds.items():
            heard.add_metric([name], seconds)
        yield heard


def _counter(name: str, documentation: str, label: str, values: Counter[str]) -> CounterMetricFamily:
    family = CounterMetricFamily(f"{PREFIX}{name}_total", documentation, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family
