"""What is counted by destination."""

from haproxy_telemetry_agent.destination_metrics import DestinationCounts, collect_destinations
from haproxy_telemetry_agent.export import Result, SpanQueue, Verdict
from haproxy_telemetry_agent.metric_families import PREFIX


class Whole:
    """Who counts for all."""

    def __init__(self) -> None:
        self.told: list[object] = []

    def exported(self, spans: int) -> None:
        self.told.append(("exported", spans))

    def dropped(self, spans: int, reason: str) -> None:
        self.told.append((reason, spans))

    def requested(self, result: Result, duration_seconds: float) -> None:
        self.told.append((result.code, duration_seconds))


def values_of(destinations: dict[str, DestinationCounts], *queues: SpanQueue) -> dict[str, float]:
    """Those that are not 0."""
    return {
        f"{sample.name.removeprefix(PREFIX)} {' '.join(sample.labels.values())}": sample.value
        for family in collect_destinations(destinations, queues)
        for sample in family.samples
        if sample.value
    }


def test_each_counts_by_itself_and_what_is_counted_for_all_is_handed_on() -> None:
    whole = Whole()
    first, second = DestinationCounts(whole), DestinationCounts(whole)
    first.exported(3)
    second.dropped(2, "spill_full")
    second.requested(Result(Verdict.RETRY, "503", sent_bytes=80), 0.5)
    first.spilled(5)
    first.recovered(4)
    second.spill_damaged(1)
    first.spill_holds(6, 700)
    queue = SpanQueue(max_spans=9, max_bytes=9)
    queue.offer(b"a")
    assert whole.told == [("exported", 3), ("spill_full", 2), ("503", 0.5)]
    assert values_of({"exporter": first, "exporters[0]": second}, queue, queue) == {
        "destination_spans_total exporter exported": 3,
        "destination_spans_total exporters[0] dropped": 2,
        "destination_queue_size exporter": 1,
        "destination_queue_size exporters[0]": 1,
        "export_bytes_total exporters[0]": 80,
        "spilled_spans_total exporter": 5,
        "recovered_spans_total exporter": 4,
        "spill_damaged_batches_total exporters[0]": 1,
        "spill_spans exporter": 6,
        "spill_bytes exporter": 700,
    }


def test_every_family_is_there_from_the_start() -> None:
    families = list(collect_destinations({"exporter": DestinationCounts(Whole())}, []))
    assert all(family.samples for family in families if family.name != f"{PREFIX}destination_queue_size")
    assert all(family.documentation for family in families)
