"""Settings of metrics: what ``/metrics`` says of requests, beside what the agent says of itself."""

from typing import Annotated, Literal, get_args

import msgspec

from .endpoints import check_url
from .explanation import SettingsError
from .exporter import DEFAULT_HTTP_ENDPOINT, Exporter
from .types import Duration, Struct, Url, duration_seconds

__all__ = ["MetricLabel", "Metrics", "Push", "check_metrics", "push_url"]

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


def check_metrics(metrics: Metrics, exporter: Exporter) -> None:
    """What types can't say.

    Raises:
        SettingsError: names the field, its value and the fix.
    """
    for index, label in enumerate(metrics.labels):
        if label in metrics.labels[:index]:
            raise SettingsError(f"metrics.labels[{index}]: {label!r}: stands there already: drop one")
    push = metrics.push
    check_url(push.endpoint, "metrics.push.endpoint")
    if not push.enabled:
        return
    if duration_seconds(push.interval) < _LEAST_INTERVAL_SECONDS:
        raise SettingsError(f"metrics.push.interval: {push.interval!r}: expected at least 1s")
    if exporter.tls.insecure_skip_verify:
        raise SettingsError("exporter.tls.insecureSkipVerify: true excludes metrics.push, which always verifies: set caFile")
    if push_url(push, exporter) is None:
        raise SettingsError(
            "metrics.push.endpoint: missing; exporter has no URL for OTLP over HTTP that it could be made from: "
            "set it, such as http://collector:4318/v1/metrics"
        )


def push_url(push: Push, exporter: Exporter) -> str | None:
    """Where metrics are pushed to; None if nobody says so."""
    if push.endpoint is not None:
        return push.endpoint
    base = exporter.endpoint or DEFAULT_HTTP_ENDPOINT
    if exporter.type != "otlp" or exporter.protocol != "http/protobuf" or base.startswith("unix:"):
        return None
    return base.rstrip("/") + "/v1/metrics"
