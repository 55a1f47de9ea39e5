"""``http_server_request_duration_seconds`` as text, in Prometheus' format and in OpenMetrics.

Written here and not by prometheus_client, because of its size: two thousand series are 34,000 lines, for which the library needs so
long that HAProxy would not get its answers in time. These lines come in parts, between which others have their turn. Exemplars
exist in OpenMetrics only.
"""

from collections.abc import Iterator

from .request_metrics import BOUNDS_SECONDS, Exemplar, RequestMetrics, Series

__all__ = ["HELP", "NAME", "render_requests"]

NAME = "http_server_request_duration_seconds"
HELP = "Time from a request's first byte to the end of its exchange; every request counts, sampled or not."

_BOUNDS = (*map(str, BOUNDS_SECONDS), "+Inf")
_SERIES_PER_PART = 20
_NANOSECONDS_PER_SECOND = 1_000_000_000
_ESCAPES = str.maketrans({"\\": r"\\", "\n": r"\n", '"': r"\""})


def render_requests(metrics: RequestMetrics, *, openmetrics: bool) -> Iterator[bytes]:
    """The family in parts, each of so few series that it takes less than a millisecond; without OpenMetrics' end mark."""
    unit = f"# UNIT {NAME} seconds\n" if openmetrics else ""
    yield f"# HELP {NAME} {HELP}\n# TYPE {NAME} histogram\n{unit}".encode()
    series = metrics.series
    for start in range(0, len(series), _SERIES_PER_PART):
        lines: list[str] = []
        for one in series[start : start + _SERIES_PER_PART]:
            _add_lines(lines, one, with_exemplars=openmetrics)
        yield "".join(lines).encode()


def _add_lines(lines: list[str], series: Series, *, with_exemplars: bool) -> None:
    labels = ",".join([f'{name.replace(".", "_")}="{value.translate(_ESCAPES)}"' for name, value in series.labels])
    comma = "," if labels else ""
    count = 0
    for bound, in_bucket, exemplar in zip(_BOUNDS, series.counts, series.exemplars, strict=True):
        count += in_bucket
        text = _exemplar(exemplar) if with_exemplars and exemplar is not None else ""
        lines.append(f'{NAME}_bucket{{{labels}{comma}le="{bound}"}} {count}{text}\n')
    braces = f"{{{labels}}}" if labels else ""
    lines.append(f"{NAME}_count{braces} {count}\n")
    lines.append(f"{NAME}_sum{braces} {series.total_nanoseconds / _NANOSECONDS_PER_SECOND!r}\n")


def _exemplar(exemplar: Exemplar) -> str:
    ids = f'trace_id="{exemplar.trace_id.hex()}",span_id="{exemplar.span_id.hex()}"'
    duration_seconds = exemplar.duration_nanoseconds / _NANOSECONDS_PER_SECOND
    return f" # {{{ids}}} {duration_seconds!r} {exemplar.end_unix_nano / _NANOSECONDS_PER_SECOND:.3f}"
