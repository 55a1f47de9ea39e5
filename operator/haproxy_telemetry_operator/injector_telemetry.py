"""Metrics of the injector."""

from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from .inventory import Inventory

__all__ = ["InjectorTelemetry"]

_RESULTS = (
    "injected",
    "unchanged",
    "opted_out",
    "not_owned",
    "not_haproxy",
    "no_resource",
    "suspended",
    "unsupported",
    "invalid_resource",
    "error",
    "bad_review",
)
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Up to the webhook's timeout."""
_PREFIX = "haproxy_telemetry_injector"


class InjectorTelemetry:
    """Its registry, by what happened."""

    def __init__(
        self, inventory: Inventory, expires: Callable[[], datetime | None], watch_age_seconds: Callable[[], float]
    ) -> None:
        self.registry = CollectorRegistry()
        self._admissions = Counter(
            f"{_PREFIX}_admissions",
            "Pods that the API server asked about, by what became of them.",
            ["result"],
            registry=self.registry,
        )
        for result in _RESULTS:
            self._admissions.labels(result)
        self._dry_runs = Counter(f"{_PREFIX}_dry_runs", "Questions that were asked without consequence.", registry=self.registry)
        self._seconds = Histogram(
            f"{_PREFIX}_admission_duration_seconds", "Time to the answer.", buckets=_BUCKETS, registry=self.registry
        )
        expiry = Gauge(
            f"{_PREFIX}_certificate_expiry_timestamp_seconds", "When the serving certificate ends.", registry=self.registry
        )
        expiry.set_function(lambda: 0.0 if (end := expires()) is None else end.timestamp())
        age = Gauge(f"{_PREFIX}_watch_age_seconds", "Time since the API server was last heard of.", registry=self.registry)
        age.set_function(watch_age_seconds)
        resources = Gauge(f"{_PREFIX}_resources", "HAProxyTelemetry objects that are known.", registry=self.registry)
        resources.set_function(lambda: float(inventory.counts()["resources"]))

    def admitted(self, result: str, duration_seconds: float, *, dry_run: bool) -> None:
        """A question was answered."""
        self._admissions.labels(result).inc()
        self._seconds.observe(duration_seconds)
        if dry_run:
            self._dry_runs.inc()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """``(body, content type)``, as a scraper asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
