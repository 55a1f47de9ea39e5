"""How long requests took, by their labels: exact, since every record counts before anybody asks whether its trace is sampled.

One histogram, ``http.server.request.duration`` of the semantic conventions, made of plain integers. Counting is one look-up, one
search among the bounds and two additions; what the labels are is worked out once for each kind of request. The number of label sets
is bounded: what comes after is counted in one more, which says so (``otel.metric.overflow``).
"""

from bisect import bisect_left
from collections.abc import Collection
from typing import NamedTuple

from .tracing import Exchange, SpanId, TraceId
from .tracing.attributes import PROTOCOL_VERSIONS, AttributeBuilder
from .tracing.outcome import server_outcome
from .tracing.semconv import (
    ERROR_TYPE,
    HAPROXY_BACKEND_NAME,
    HAPROXY_FRONTEND_NAME,
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
    NETWORK_PROTOCOL_VERSION,
    URL_SCHEME,
)

__all__ = ["BOUNDS_SECONDS", "LABELS", "OVERFLOW", "Exemplar", "RequestMetrics", "Series"]

BOUNDS_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
"""The conventions' advice for ``http.server.request.duration``."""
LABELS = (
    HTTP_REQUEST_METHOD,
    HTTP_RESPONSE_STATUS_CODE,
    HTTP_ROUTE,
    URL_SCHEME,
    NETWORK_PROTOCOL_VERSION,
    ERROR_TYPE,
    HAPROXY_FRONTEND_NAME,
    HAPROXY_BACKEND_NAME,
)
"""What series can be told apart by."""
OVERFLOW = (("otel.metric.overflow", "true"),)
"""The labels of requests that would have made too many series; OpenTelemetry's word for it."""

_BOUNDS_NANOSECONDS = tuple(round(bound * 1_000_000_000) for bound in BOUNDS_SECONDS)
_REMEMBERED_PER_SERIES = 4

_Labels = tuple[tuple[str, str], ...]
_Kind = tuple[str, int | None, str, str, str, str, str, str, str | None]
"""What tells labels apart, before it is put in words: method, status code, termination state, protocol, scheme, frontend, backend,
route, gRPC's status.
"""


class Exemplar(NamedTuple):
    """One exchange of a bucket, by its SERVER span."""

    trace_id: TraceId
    span_id: SpanId
    duration_nanoseconds: int
    end_unix_nano: int


class Series:
    """The histogram of one label set. Counts are of each bucket by itself; they are summed up when read."""

    __slots__ = ("counts", "exemplars", "labels", "total_nanoseconds")

    def __init__(self, labels: _Labels) -> None:
        self.labels = labels
        self.counts = [0] * (len(BOUNDS_SECONDS) + 1)
        self.exemplars: list[Exemplar | None] = [None] * len(self.counts)
        self.total_nanoseconds = 0


class RequestMetrics:
    """Counts exchanges.

    Args:
        attributes: says of a request what its spans would say.
        labels: some of ``LABELS``.
        max_series: with the one for what is too much.
        exemplars: whether series remember exchanges whose spans are exported.
        excluded_requests: whether exchanges count that are excluded from tracing.
    """

    __slots__ = ("_excluded_requests", "_exemplars", "_kinds", "_labels", "_max_series", "_overflow", "_series", "attributes")

    def __init__(
        self,
        *,
        attributes: AttributeBuilder,
        labels: Collection[str] = LABELS,
        max_series: int = 2_000,
        exemplars: bool = True,
        excluded_requests: bool = True,
    ) -> None:
        self.attributes = attributes
        self._labels = frozenset(labels)
        self._max_series = max_series
        self._exemplars = exemplars
        self._excluded_requests = excluded_requests
        self._series: dict[_Labels, Series] = {}
        self._kinds: dict[_Kind, Series] = {}
        self._overflow = Series(OVERFLOW)

    @property
    def series(self) -> list[Series]:
        """All there are, as of now; the one for what is too much only if something was."""
        series = list(self._series.values())
        return [*series, self._overflow] if self.overflowed else series

    @property
    def overflowed(self) -> int:
        """Exchanges that would have made too many series."""
        return sum(self._overflow.counts)

    def count(self, exchange: Exchange) -> None:
        """Count the exchange of one record; a connection that closed before a request came is none."""
        ending = exchange.ending
        if not exchange.had_request or (ending.excluded and not self._excluded_requests):
            return
        summary = self.attributes.summarize(ending)
        kind = (
            summary.method,
            ending.status_code,
            ending.termination_state,
            ending.protocol,
            summary.scheme,
            ending.frontend,
            ending.backend,
            "" if summary.route is None else summary.route.route,
            None if summary.call is None else summary.call.status_code,
        )
        series = self._kinds.get(kind)
        if series is None:
            series = self._find(kind, exchange)
        duration_nanoseconds = ending.end_unix_nano - exchange.start_unix_nano
        bucket = bisect_left(_BOUNDS_NANOSECONDS, duration_nanoseconds)
        series.counts[bucket] += 1
        series.total_nanoseconds += duration_nanoseconds
        if exchange.spans and self._exemplars:
            span = exchange.spans[0]
            series.exemplars[bucket] = Exemplar(span.trace_id, span.span_id, duration_nanoseconds, ending.end_unix_nano)

    def _find(self, kind: _Kind, exchange: Exchange) -> Series:
        labels = self._name(kind, exchange)
        series = self._series.get(labels)
        if series is None:
            if len(self._series) < self._max_series - 1:
                series = self._series[labels] = Series(labels)
            else:
                series = self._overflow
        if len(self._kinds) >= self._max_series * _REMEMBERED_PER_SERIES:
            self._kinds.clear()
        self._kinds[kind] = series
        return series

    def _name(self, kind: _Kind, exchange: Exchange) -> _Labels:
        method, status_code, termination_state, protocol, scheme, frontend, backend, route, _grpc_status = kind
        outcome = server_outcome(status_code, termination_state)
        call = self.attributes.summarize(exchange.ending).call
        if call is not None:
            outcome = call.server_outcome(outcome)
        values = {
            HTTP_REQUEST_METHOD: method,
            HTTP_RESPONSE_STATUS_CODE: "" if status_code is None else str(status_code),
            HTTP_ROUTE: route,
            URL_SCHEME: scheme,
            NETWORK_PROTOCOL_VERSION: PROTOCOL_VERSIONS.get(protocol, ""),
            ERROR_TYPE: outcome.error_type or "",
            HAPROXY_FRONTEND_NAME: frontend,
            HAPROXY_BACKEND_NAME: backend,
        }
        return tuple((name, value) for name, value in values.items() if value and name in self._labels)
