"""Families of the agent's own metrics, as a scraper reads them."""

from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import Metric
from prometheus_client.registry import Collector

from haproxy_telemetry_agent.metric_families import PREFIX, Histogram, counter, counter_by, gauge, histogram, single

BOUNDS = (0.1, 1.0, 2.5)


class One(Collector):
    def __init__(self, family: Metric) -> None:
        self.family = family

    def collect(self) -> list[Metric]:
        return [self.family]


def page(family: Metric) -> list[str]:
    registry = CollectorRegistry()
    registry.register(One(family))
    return [line.removeprefix(PREFIX) for line in generate_latest(registry).decode().splitlines() if not line.startswith("#")]


@pytest.mark.parametrize(
    ("family", "lines"),
    [
        (single("frames", "F.", 3), ["frames_total 3.0"]),
        (
            counter("frames", "Frames.", "type", {"ack": 1, "hello": 0}),
            ['frames_total{type="ack"} 1.0', 'frames_total{type="hello"} 0.0'],
        ),
        (
            counter_by("frames", "Frames.", ("type", "direction"), {("ack", "sent"): 1, ("hello", "received"): 0}),
            ['frames_total{direction="sent",type="ack"} 1.0', 'frames_total{direction="received",type="hello"} 0.0'],
        ),
        (gauge("open", "Open.", "kind", {"spop": 2}), ['open{kind="spop"} 2.0']),
    ],
)
def test_what_a_scraper_reads(family: Metric, lines: list[str]) -> None:
    assert page(family) == lines


def test_a_histogram_is_cumulative() -> None:
    observed = Histogram(BOUNDS)
    observed.observe(1.0)
    observed.observe(0.05, times=2)
    observed.observe(7.0)
    assert page(histogram("lag_seconds", "Lag.", observed)) == [
        'lag_seconds_bucket{le="0.1"} 2.0',
        'lag_seconds_bucket{le="1.0"} 3.0',
        'lag_seconds_bucket{le="2.5"} 3.0',
        'lag_seconds_bucket{le="+Inf"} 4.0',
        "lag_seconds_count 4.0",
        "lag_seconds_sum 8.1",
    ]


@given(values=st.lists(st.floats(0, 10)))
def test_each_value_is_in_all_buckets_that_have_room_for_it(values: list[float]) -> None:
    observed = Histogram(BOUNDS)
    for value in values:
        observed.observe(value)
    expected = [sum(bisect_left(BOUNDS, value) <= index for value in values) for index in range(len(BOUNDS) + 1)]
    assert [count for _, count in observed.buckets()] == expected
