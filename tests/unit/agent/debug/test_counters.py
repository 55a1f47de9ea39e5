"""The counters that matter most: that they exist, and what they say."""

from haproxy_telemetry_agent.debug.counters import COUNTERS, CounterView, quantile_bound, read_values, view_counters
from haproxy_telemetry_agent.records import SkipReason
from haproxy_telemetry_agent.telemetry import Telemetry


def values_of(telemetry: Telemetry) -> dict[str, dict[tuple[str, ...], float]]:
    return read_values(telemetry.registry.collect())


def test_every_metric_that_is_read_exists() -> None:
    values = values_of(Telemetry())
    assert {counter.metric for counter in COUNTERS} <= values.keys()
    for counter in COUNTERS:
        assert any(set(counter.labels) <= set(labels) for labels in values[counter.metric]), counter


def test_what_they_say() -> None:
    telemetry = Telemetry()
    telemetry.answered(sampled=True, has_parent=False)
    telemetry.answered(sampled=True, has_parent=True)
    telemetry.answered(sampled=False, has_parent=True)
    telemetry.recorded("answered")
    telemetry.dropped(3, "queue_full")
    telemetry.record_skipped(SkipReason.MISMATCHED)
    telemetry.spoe_failed("5")
    views = {view.text: view for view in view_counters(values_of(telemetry))}
    assert views["answered at their start"].value == 3
    assert views["of these sampled"].value == 2
    assert views["recorded at their end"].value == 1
    assert views["lost"] == CounterView(
        group="Spans",
        text="lost",
        metric="haproxy_telemetry_agent_spans_dropped_total",
        value=3,
        is_trouble=True,
        parts={"queue_full": 3},
    )
    assert views["records of no use"].parts == {"mismatched": 1}
    assert views["answers that came too late or not at all"].parts == {"5": 1}
    assert views["restarts by the supervisor"].is_trouble is False
    assert views["memory"].metric == "process_resident_memory_bytes"


def test_a_metric_that_is_not_there_is_left_out() -> None:
    assert view_counters({}) == []


def test_quantiles_are_bounds() -> None:
    telemetry = Telemetry()
    assert quantile_bound(values_of(telemetry), "message_duration_seconds", 0.99) is None
    assert quantile_bound({}, "message_duration_seconds", 0.99) is None
    telemetry.messages_answered(99, 0.0002)
    telemetry.messages_answered(1, 0.004)
    assert quantile_bound(values_of(telemetry), "message_duration_seconds", 0.99) == 0.00025
    assert quantile_bound(values_of(telemetry), "message_duration_seconds", 1) == 0.005
    telemetry.messages_answered(100, 9.0)
    assert quantile_bound(values_of(telemetry), "message_duration_seconds", 0.99) == float("inf")
