"""The report of a soak: a table in Markdown, a line for each fault and HAProxy."""

import math
from collections.abc import Iterable, Sequence

from soak.trial import Outcome

__all__ = ["HEADER", "row", "table"]

HEADER = (
    "| HAProxy | fault | seconds | requests | failed | p50 | p99 | slowest | spans expected | seen | twice | lost | counted | RSS |"
    "\n"
    "| --- | --- | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: | --: |"
)


def row(version: str, outcomes: Sequence[Outcome]) -> str:
    """One fault, as often as it was tried."""
    requests = [request for outcome in outcomes for request in outcome.requests]
    durations = sorted(request.duration_seconds or 0.0 for request in requests)
    counts = [outcome.counted for outcome in outcomes]
    cells = [
        version,
        outcomes[0].fault,
        f"{sum(outcome.seconds for outcome in outcomes):.0f}",
        str(len(requests)),
        str(sum(request.failed for request in requests)),
        _milliseconds(_quantile(durations, 0.5)),
        _milliseconds(_quantile(durations, 0.99)),
        _milliseconds(durations[-1]),
        str(sum(outcome.spans.expected for outcome in outcomes)),
        str(sum(outcome.spans.seen for outcome in outcomes)),
        str(sum(outcome.spans.twice for outcome in outcomes)),
        str(sum(outcome.spans.lost for outcome in outcomes)),
        "-" if None in counts else str(sum(count or 0 for count in counts)),
        f"{outcomes[-1].rss_bytes / (1 << 20):.0f} MiB",
    ]
    return "| " + " | ".join(cells) + " |"


def table(results: Iterable[tuple[str, Sequence[Outcome]]]) -> str:
    """The whole table: outcomes of one fault by HAProxy's version."""
    return "\n".join([HEADER, *(row(version, outcomes) for version, outcomes in results)])


def _quantile(values: Sequence[float], share: float) -> float:
    """The smallest of the sorted values that so many of them do not exceed."""
    return values[max(0, math.ceil(share * len(values)) - 1)]


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.1f} ms"
