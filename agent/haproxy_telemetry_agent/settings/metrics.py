"""Settings of metrics: what ``/metrics`` says of requests, beside what the agent says of itself."""

from typing import Annotated, Literal, get_args

import msgspec

from .explanation import SettingsError
from .types import Duration, Struct, Url, duration_seconds

__all__ = ["MetricLabel", "Metrics", "Push", "check_metrics"]

_LEAST_INTERVAL_SECONDS = 1.0

MetricLabel = Literal[
    "http.request.method",
    "http.response.status_code",
    "http.route",
    "url.scheme",
    "network.protocol.version",
    "error.type",
    "haproxy.frontend.name",
    "haproxy.backend.name",
]


class Push(Struct, frozen=True):
    """Pushing all that /metrics shows, as OTLP over HTTP; headers, TLS, compression and timeout are those of exporter."""

    enabled: bool = False
    endpoint: Url | None = None
    """Full URL, used as it is; default: exporter.endpoint with /v1/metrics."""
    interval: Duration = "60s"


class Metrics(Struct, frozen=True):
    """The histogram http_server_request_duration_seconds: every request counts, whatever becomes of its trace."""

    requests: bool = False
    """Measure requests. Off by default: it makes series, and HAProxy has counters per frontend and backend of its own."""
    labels: Annotated[list[MetricLabel], msgspec.Meta(max_length=8)] = msgspec.field(
        default_factory=lambda: list(get_args(MetricLabel))
    )
    """Attributes that series are told apart by. As labels their dots are underscores."""
    max_series: Annotated[int, msgspec.Meta(ge=2, le=100_000)] = 2_000
    """Label sets; one of them is kept for all requests that would make more: otel_metric_overflow="true"."""
    exemplars: bool = True
    """Show the trace of one request of each bucket, of those whose spans are exported."""
    excluded_requests: bool = True
    """Count requests that sampling.exclude leaves without a trace, such as health checks."""
    push: Push = msgspec.field(default_factory=Push)


def check_metrics(metrics: Metrics) -> None:
    """What types can't say.

    Raises:
        SettingsError: names the field, its value and the fix.
    """
    for index, label in enumerate(metrics.labels):
        if label in metrics.labels[:index]:
            raise SettingsError(f"metrics.labels[{index}]: {label!r}: stands there already: drop one")
    if metrics.push.enabled and duration_seconds(metrics.push.interval) < _LEAST_INTERVAL_SECONDS:
        raise SettingsError(f"metrics.push.interval: {metrics.push.interval!r}: expected at least 1s")
