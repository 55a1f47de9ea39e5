"""What ``metrics`` prints: every metric that ``/metrics`` can have, as a Markdown page.

It is read off a telemetry of its own that has seen nothing, so it can't say anything else than the agent does.
"""

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from .export import SpanQueue
from .foreign_messages import make_minilanguage
from .request_exposition import HELP, NAME
from .request_metrics import LABELS, RequestMetrics
from .settings import Settings
from .telemetry import Telemetry
from .tracing import AlwaysOff, IdGenerator, Propagation
from .tracing.attributes import AttributeBuilder
from .wiring import FORMATS

if TYPE_CHECKING:
    from prometheus_client.core import Metric

__all__ = ["render_metrics_reference"]

_COLUMNS = ("Metric", "Type", "Labels", "Meaning")
_MANY = {"version", "python"}
"""Labels whose values are not the same everywhere."""


def render_metrics_reference() -> str:
    """The page."""
    requests = [f"`{NAME}`", "histogram", ", ".join(f"`{label.replace('.', '_')}`" for label in LABELS), HELP]
    target = ["`target_info`", "gauge", "the resource's attributes", "Whom the telemetry is about; always 1."]
    rows = [_line(requests), _line(target), *(_line(_row(family)) for family in _empty_telemetry().collect())]
    return f"""\
# Metrics

All that haproxy-telemetry-agent shows at `/metrics`, with the values of labels that are known beforehand.

{_line(_COLUMNS)}
{_line(["---"] * len(_COLUMNS))}
{chr(10).join(rows)}

`{NAME}` needs `metrics.requests`, and has the labels that `metrics.labels`
names; what would be more than `metrics.maxSeries` label sets is counted under `otel_metric_overflow="true"`. Metrics with `log` in
their names are of the access log, and need `logs.enabled`. Counters with `code`
have further values as they occur. Metrics of the process (`process_*`, `python_*`) come on top.
"""


def _empty_telemetry() -> Telemetry:
    settings = Settings()
    telemetry = Telemetry()
    telemetry.destination("exporter")
    telemetry.watch_queues([SpanQueue(max_spans=1, max_bytes=1)])
    Propagation([row.propagator for row in FORMATS], counts=telemetry.extracts)
    telemetry.watch_logs().watch_queue(SpanQueue(max_spans=1, max_bytes=1))
    ids = IdGenerator(random.Random(0).getrandbits)  # noqa: S311 - never asked for one
    telemetry.watch_minilanguage(make_minilanguage(settings.minilanguage, sampler=AlwaysOff(), ids=ids))
    telemetry.watch_requests(RequestMetrics(attributes=AttributeBuilder()))
    return telemetry


def _row(family: "Metric") -> list[str]:
    name = f"{family.name}_total" if family.type == "counter" else family.name
    return [f"`{name}`", family.type, ", ".join(_labels(family)), family.documentation]


def _labels(family: "Metric") -> Iterator[str]:
    values: dict[str, dict[str, None]] = {}
    for sample in family.samples:
        for label, value in sample.labels.items():
            if label != "le":
                values.setdefault(label, {})[value] = None
    for label, known in values.items():
        yield f"`{label}`" if label in _MANY else f"`{label}`: {' '.join(known)}"


def _line(cells: list[str] | tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"
