"""Metrics of the operator."""

from collections.abc import Callable
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import choose_encoder

from .inventory import Inventory

__all__ = ["OperatorTelemetry"]

_PREFIX = "haproxy_telemetry_operator"
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)


class OperatorTelemetry:
    """Its registry, by what happened."""

    def __init__(
        self,
        inventory: Inventory,
        *,
        expires: Callable[[], datetime | None],
        watch_age_seconds: Callable[[], float],
        api_calls: Callable[[], int],
    ) -> None:
        self.registry = CollectorRegistry()
        self._reconciles = Counter(f"{_PREFIX}_reconciles", "Looks at a namespace, by result.", ["result"], registry=self.registry)
        for result in ("ok", "api_error", "error"):
            self._reconciles.labels(result)
        self._seconds = Histogram(
            f"{_PREFIX}_reconcile_duration_seconds", "Time of a look.", buckets=_BUCKETS, registry=self.registry
        )
        self._events = Counter(f"{_PREFIX}_watch_events", "Events of watches, by kind.", ["kind"], registry=self.registry)
        objects = Gauge(f"{_PREFIX}_objects", "Objects that are known, by kind.", ["kind"], registry=self.registry)
        for kind in inventory.counts():
            objects.labels(kind).set_function(lambda kind=kind: float(inventory.counts()[kind]))  # type: ignore[misc]
        pods = Gauge(f"{_PREFIX}_instrumented_pods", "Pods that have the agent in them.", registry=self.registry)
        pods.set_function(lambda: float(inventory.instrumented()))
        age = Gauge(f"{_PREFIX}_watch_age_seconds", "Time since a watch last told of our own heartbeat.", registry=self.registry)
        age.set_function(watch_age_seconds)
        expiry = Gauge(
            f"{_PREFIX}_certificate_expiry_timestamp_seconds", "When the injector's certificate ends.", registry=self.registry
        )
        expiry.set_function(lambda: 0.0 if (end := expires()) is None else end.timestamp())
        calls = Gauge(f"{_PREFIX}_api_calls", "Requests to the API server so far, but for watches.", registry=self.registry)
        calls.set_function(lambda: float(api_calls()))

    def reconciled(self, result: str, duration_seconds: float) -> None:
        """A look has ended."""
        self._reconciles.labels(result).inc()
        self._seconds.observe(duration_seconds)

    def watched(self, kind: str) -> None:
        """An event of a watch."""
        self._events.labels(kind).inc()

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """``(body, content type)``, as a scraper asks for it."""
        encode, content_type = choose_encoder(accept)
        return encode(self.registry), content_type
