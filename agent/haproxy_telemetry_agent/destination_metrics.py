"""What is counted for each of several destinations: spans taken and lost, bytes sent, what waits in its queue and on its disk.

Sums over all destinations are ``telemetry``'s; a destination hands what it is told on to it.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from prometheus_client.core import CounterMetricFamily, Metric

from .export import ExportObserver, Result, SpanQueue
from .metric_families import PREFIX, counter, gauge

__all__ = ["DestinationCounts", "collect_destinations"]


class DestinationCounts:
    """Counts for one destination, and for all of them.

    Args:
        whole: counts for all.
    """

    __slots__ = ("_whole", "damaged_batches", "held_bytes", "held_spans", "recovered_spans", "sent_bytes", "spans", "spilled_spans")

    def __init__(self, whole: ExportObserver) -> None:
        self._whole = whole
        self.spans: Counter[str] = Counter(exported=0, dropped=0)
        self.sent_bytes = 0
        self.spilled_spans = 0
        self.recovered_spans = 0
        self.damaged_batches = 0
        self.held_spans = 0
        self.held_bytes = 0

    def exported(self, spans: int) -> None:
        """See ``ExportObserver``."""
        self.spans["exported"] += spans
        self._whole.exported(spans)

    def dropped(self, spans: int, reason: str) -> None:
        """See ``ExportObserver``."""
        self.spans["dropped"] += spans
        self._whole.dropped(spans, reason)

    def requested(self, result: Result, duration_seconds: float) -> None:
        """See ``ExportObserver``."""
        self.sent_bytes += result.sent_bytes
        self._whole.requested(result, duration_seconds)

    def spilled(self, spans: int) -> None:
        """See ``SpillObserver``."""
        self.spilled_spans += spans

    def recovered(self, spans: int) -> None:
        """See ``SpillObserver``."""
        self.recovered_spans += spans

    def spill_damaged(self, batches: int) -> None:
        """See ``SpillObserver``."""
        self.damaged_batches += batches

    def spill_holds(self, spans: int, size_bytes: int) -> None:
        """See ``SpillObserver``."""
        self.held_spans, self.held_bytes = spans, size_bytes


def collect_destinations(destinations: Mapping[str, DestinationCounts], queues: Sequence[SpanQueue]) -> Iterator[Metric]:
    """The families by destination, which is its place in the settings; the queues are in the same order."""
    taken = CounterMetricFamily(
        f"{PREFIX}destination_spans_total",
        "Spans by destination (its place in the settings), taken or lost.",
        labels=["destination", "result"],
    )
    for name, destination in destinations.items():
        for result, count in destination.spans.items():
            taken.add_metric([name, result], count)
    yield taken
    yield gauge(
        "destination_queue_size",
        "Spans that wait for export, by destination.",
        "destination",
        {name: len(queue) for name, queue in zip(destinations, queues, strict=False)},
    )
    yield counter(
        "export_bytes",
        "Bytes of requests and lines that left, by destination: compressed with HTTP, before that with gRPC.",
        "destination",
        {name: destination.sent_bytes for name, destination in destinations.items()},
    )
    yield counter(
        "spilled_spans",
        "Spans written to disk because they would have been lost, by destination.",
        "destination",
        {name: destination.spilled_spans for name, destination in destinations.items()},
    )
    yield counter(
        "recovered_spans",
        "Spans from disk that their destination took; they count as exported, too.",
        "destination",
        {name: destination.recovered_spans for name, destination in destinations.items()},
    )
    yield counter(
        "spill_damaged_batches",
        "Batches on disk that could not be read: torn when an agent was killed, or damaged.",
        "destination",
        {name: destination.damaged_batches for name, destination in destinations.items()},
    )
    yield gauge(
        "spill_spans",
        "Spans that wait on disk, by destination.",
        "destination",
        {name: destination.held_spans for name, destination in destinations.items()},
    )
    yield gauge(
        "spill_bytes",
        "What their files take.",
        "destination",
        {name: destination.held_bytes for name, destination in destinations.items()},
    )
