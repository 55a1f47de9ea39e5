"""Prometheus families of the agent's own: one name, one help text, at most one label.

What is counted is counted as plain integers; a family is made of them only at a scrape.
"""

from bisect import bisect_left
from collections.abc import Mapping
from itertools import accumulate

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

__all__ = ["PREFIX", "Histogram", "counter", "counter_by", "gauge", "histogram", "single"]

PREFIX = "haproxy_telemetry_agent_"


class Histogram:
    """Cumulative only when read: observing is one search and two additions."""

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, value: float, times: int = 1) -> None:
        """Count ``value``, so many times."""
        self.counts[bisect_left(self.bounds, value)] += times
        self.total += value * times

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bounds, ``+Inf`` the last, and how many values are at most as large."""
        names = [*map(str, self.bounds), "+Inf"]
        return [(name, float(count)) for name, count in zip(names, accumulate(self.counts), strict=True)]


def single(name: str, documentation: str, value: float) -> CounterMetricFamily:
    """A counter without labels; ``name`` goes without prefix and ``_total``."""
    return CounterMetricFamily(f"{PREFIX}{name}_total", documentation, value)


def counter(name: str, documentation: str, label: str, values: Mapping[str, int]) -> CounterMetricFamily:
    """A counter by one label."""
    family = CounterMetricFamily(f"{PREFIX}{name}_total", documentation, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def counter_by(
    name: str, documentation: str, labels: tuple[str, str], values: Mapping[tuple[str, str], int]
) -> CounterMetricFamily:
    """A counter by two labels."""
    family = CounterMetricFamily(f"{PREFIX}{name}_total", documentation, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def gauge(name: str, documentation: str, label: str, values: dict[str, int]) -> GaugeMetricFamily:
    """A gauge by one label."""
    family = GaugeMetricFamily(f"{PREFIX}{name}", documentation, labels=[label])
    for key, value in values.items():
        family.add_metric([key], value)
    return family


def histogram(name: str, documentation: str, observed: Histogram) -> HistogramMetricFamily:
    """A histogram without labels; ``name`` ends in its unit."""
    return HistogramMetricFamily(f"{PREFIX}{name}", documentation, buckets=observed.buckets(), sum_value=observed.total)
