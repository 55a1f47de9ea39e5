"""The text of the request histogram, as Prometheus' own library reads it."""

from collections.abc import Iterator
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.core import Exemplar as PrometheusExemplar
from prometheus_client.core import HistogramMetricFamily, Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector, CollectorRegistry
from prometheus_client.samples import Sample

from haproxy_telemetry_agent.request_exposition import HELP, NAME, render_requests
from haproxy_telemetry_agent.request_metrics import BOUNDS_SECONDS, OVERFLOW, Exemplar, RequestMetrics, Series
from haproxy_telemetry_agent.tracing import SpanId, TraceId
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder


class Given(RequestMetrics):
    """Metrics that have these series."""

    __slots__ = ("given",)

    def __init__(self, given: list[Series]) -> None:
        super().__init__(attributes=AttributeBuilder())
        self.given = given

    @property
    def series(self) -> list[Series]:
        return self.given


class Oracle(Collector):
    """The same series by Prometheus' library."""

    def __init__(self, given: list[Series]) -> None:
        self._given = given

    def collect(self) -> Iterator[Metric]:
        names = sorted({name for series in self._given for name, _value in series.labels})
        labels = [name.replace(".", "_") for name in names]
        family = HistogramMetricFamily(NAME, HELP, labels=labels, unit="seconds")
        for series in self._given:
            bounds = [*map(str, BOUNDS_SECONDS), "+Inf"]
            exemplars = [None if one is None else exemplar_of(one) for one in series.exemplars]
            buckets = list(zip(bounds, accumulate(series.counts), exemplars, strict=True))
            values = dict(series.labels)
            family.add_metric([values.get(name, "") for name in names], buckets, series.total_nanoseconds / 1e9)
        yield family


def exemplar_of(one: Exemplar) -> PrometheusExemplar:
    ids = {"trace_id": one.trace_id.hex(), "span_id": one.span_id.hex()}
    return PrometheusExemplar(ids, one.duration_nanoseconds / 1e9, round(one.end_unix_nano / 1e9, 3))


def rendered(series: list[Series], *, openmetrics: bool) -> str:
    return b"".join(render_requests(Given(series), openmetrics=openmetrics)).decode()


def registry_of(series: list[Series]) -> CollectorRegistry:
    registry = CollectorRegistry()
    registry.register(Oracle(series))
    return registry


def comparable(families: Iterator[Metric]) -> list[object]:
    return [[family.name, family.type, family.documentation, family.unit, *map(sample_key, family.samples)] for family in families]


def sample_key(sample: Sample) -> object:
    labels = {name: value for name, value in sample.labels.items() if value}
    return sample.name, labels, sample.value, exemplar_key(sample.exemplar)


def exemplar_key(exemplar: PrometheusExemplar | None) -> object:
    return None if exemplar is None else (exemplar.labels, exemplar.value, float(exemplar.timestamp or 0))


def series_of(
    labels: tuple[tuple[str, str], ...],
    counts: list[int],
    total_nanoseconds: int = 0,
    exemplars: list[Exemplar | None] | None = None,
) -> Series:
    series = Series(labels)
    series.counts = counts
    series.total_nanoseconds = total_nanoseconds
    series.exemplars = exemplars or [None] * 15
    return series


EXEMPLAR = Exemplar(TraceId(bytes(range(16))), SpanId(bytes(range(8))), 3_000_000, 1_795_355_434_119_025_000)
VALUES = st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), min_size=1, max_size=8)
ANY_EXEMPLAR = st.builds(
    Exemplar,
    st.binary(min_size=16, max_size=16).map(TraceId),
    st.binary(min_size=8, max_size=8).map(SpanId),
    st.integers(0, 10**13),
    st.integers(0, 2**61),
)
SERIES = st.builds(
    series_of,
    st.dictionaries(st.sampled_from(["http.route", "error.type", "haproxy.backend.name"]), VALUES).map(
        lambda labels: tuple(labels.items())
    ),
    st.lists(st.integers(0, 10**12), min_size=15, max_size=15),
    st.integers(0, 10**18),
    st.lists(st.one_of(st.none(), ANY_EXEMPLAR), min_size=15, max_size=15),
)


@given(series=st.lists(SERIES, max_size=3, unique_by=lambda one: frozenset(one.labels)))
def test_it_is_what_prometheus_own_library_would_write(series: list[Series]) -> None:
    registry = registry_of(series)
    assert comparable(text_string_to_metric_families(rendered(series, openmetrics=False))) == comparable(
        text_string_to_metric_families(generate_latest(registry).decode())
    )
    assert comparable(parse_openmetrics(rendered(series, openmetrics=True) + "# EOF\n")) == comparable(
        parse_openmetrics(generate_openmetrics(registry).decode())
    )


def test_lines() -> None:
    text = rendered([series_of(OVERFLOW, [1] * 15, 90_500_000_000, [EXEMPLAR, *[None] * 14])], openmetrics=True)
    lines = text.splitlines()
    exemplar = '{trace_id="000102030405060708090a0b0c0d0e0f",span_id="0001020304050607"} 0.003 1795355434.119'
    assert lines[:4] == [
        f"# HELP {NAME} {HELP}",
        f"# TYPE {NAME} histogram",
        f"# UNIT {NAME} seconds",
        f'{NAME}_bucket{{otel_metric_overflow="true",le="0.005"}} 1 # {exemplar}',
    ]
    assert lines[-3:] == [
        f'{NAME}_bucket{{otel_metric_overflow="true",le="+Inf"}} 15',
        f'{NAME}_count{{otel_metric_overflow="true"}} 15',
        f'{NAME}_sum{{otel_metric_overflow="true"}} 90.5',
    ]


def test_exemplars_are_for_openmetrics_only() -> None:
    text = rendered([series_of((), [1] * 15, 0, [EXEMPLAR] * 15)], openmetrics=False)
    assert "trace_id" not in text
    assert "# UNIT" not in text
    assert f"{NAME}_count 15\n" in text


@pytest.mark.parametrize(("series", "parts"), [(0, 1), (1, 2), (20, 2), (21, 3), (2000, 101)])
def test_it_comes_in_small_parts(series: int, parts: int) -> None:
    many = [series_of((("http.route", f"/{number}"),), [1] * 15) for number in range(series)]
    assert len(list(render_requests(Given(many), openmetrics=True))) == parts
