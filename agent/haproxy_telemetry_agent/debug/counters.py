"""The counters that matter most, in words: read off the metrics that everybody sees at ``/metrics``.

The one place beside ``telemetry`` that knows names of metrics; a test holds them together.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol

import msgspec

__all__ = ["COUNTERS", "Counter", "CounterView", "Values", "quantile_bound", "read_values", "view_counters"]

_PREFIX = "haproxy_telemetry_agent_"
_PROCESS = "process_"
"""Metrics that are not the agent's own have no prefix of its own."""


class Sample(Protocol):
    """One line of ``/metrics``."""

    @property
    def name(self) -> str: ...

    @property
    def labels(self) -> Mapping[str, str]: ...

    @property
    def value(self) -> float: ...


class Family(Protocol):
    """All lines of one metric."""

    @property
    def samples(self) -> Iterable[Sample]: ...


Values = Mapping[str, Mapping[tuple[str, ...], float]]
"""Name without prefix -> values of its labels -> value."""


class Counter(NamedTuple):
    """One counter, and what it is called here."""

    group: str
    text: str
    metric: str
    labels: tuple[str, ...] = ()
    """Only samples that have all of these among the values of their labels count; those that do are summed up."""
    unit: str = ""
    """``bytes``, or nothing."""
    is_trouble: bool = False
    """Whether anything but 0 is worth a look; then what it consists of is shown too."""


COUNTERS = (
    Counter("Exchanges", "answered at their start", "exchanges_answered_total"),
    Counter("Exchanges", "of these sampled", "exchanges_answered_total", ("true",)),
    Counter("Exchanges", "recorded at their end", "exchanges_recorded_total", ("answered",)),
    Counter("Exchanges", "recorded, HAProxy never asks (Stream)", "exchanges_recorded_total", ("unasked",)),
    Counter("Exchanges", "recorded, but HAProxy had no answer", "exchanges_recorded_total", ("unanswered",), is_trouble=True),
    Counter("Exchanges", "connections of TCP frontends", "exchanges_recorded_total", ("connection",)),
    Counter("Exchanges", "messages in the mini-language", "messages_total", ("minilang",)),
    Counter("Spans", "made", "spans_made_total"),
    Counter("Spans", "of the mini-language made", "minilang_spans_made_total"),
    Counter("Spans", "taken by destinations", "spans_exported_total"),
    Counter("Spans", "lost", "spans_dropped_total", is_trouble=True),
    Counter("HAProxy", "health checks answered", "health_checks_total"),
    Counter("HAProxy", "answers that came too late or not at all", "spoe_errors_total", is_trouble=True),
    Counter("HAProxy", "records of no use", "records_skipped_total", is_trouble=True),
    Counter("HAProxy", "messages that nobody understood", "messages_total", ("other",), is_trouble=True),
    Counter("HAProxy", "connections closed for what they sent", "frame_errors_total", is_trouble=True),
    Counter("HAProxy", "connections refused, too many", "connections_total", ("limit",), is_trouble=True),
    Counter("HAProxy", "answers that fit in no frame", "answers_too_long_total", is_trouble=True),
    Counter("Agent", "memory", "process_resident_memory_bytes", unit="bytes"),
    Counter("Agent", "restarts by the supervisor", "worker_restarts_total", is_trouble=True),
    Counter("Agent", "settings refused", "config_reloads_total", ("refused",), is_trouble=True),
)


class CounterView(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A counter and its value."""

    group: str
    text: str
    metric: str
    """Its name at ``/metrics``."""
    value: float
    unit: str = ""
    is_trouble: bool = False
    """Whether the value is worth a look."""
    parts: dict[str, float] = {}
    """What it consists of, by label, where it is worth a look."""


def read_values(families: Iterable[Family]) -> dict[str, dict[tuple[str, ...], float]]:
    """All that is in the families."""
    values: dict[str, dict[tuple[str, ...], float]] = {}
    for family in families:
        for sample in family.samples:
            values.setdefault(sample.name.removeprefix(_PREFIX), {})[tuple(sample.labels.values())] = sample.value
    return values


def view_counters(values: Values) -> list[CounterView]:
    """Those of ``COUNTERS`` that this agent has."""
    views: list[CounterView] = []
    for counter in COUNTERS:
        if counter.metric not in values:
            continue
        found = {labels: value for labels, value in values[counter.metric].items() if set(counter.labels) <= set(labels)}
        value = sum(found.values())
        is_trouble = counter.is_trouble and value > 0
        parts = {
            " ".join(label for label in labels if label not in counter.labels): part
            for labels, part in found.items()
            if is_trouble and part
        }
        parts.pop("", None)
        views.append(
            CounterView(
                group=counter.group,
                text=counter.text,
                metric=counter.metric if counter.metric.startswith(_PROCESS) else _PREFIX + counter.metric,
                value=value,
                unit=counter.unit,
                is_trouble=is_trouble,
                parts=parts,
            )
        )
    return views


def quantile_bound(values: Values, histogram: str, share: float) -> float | None:
    """The bound of the bucket below which ``share`` of all observations of a histogram lie, in its unit; None if there are none.

    Infinite for what lies above the last bound.
    """
    buckets = [(float(bound), count) for (bound,), count in values.get(f"{histogram}_bucket", {}).items()]
    if not buckets or buckets[-1][1] == 0:
        return None
    wanted = share * buckets[-1][1]
    return next(bound for bound, count in buckets if count >= wanted)
