"""A waterfall is a trace as lines of text: a line a span, its bar where the span lies on the trace's own time axis.

A branch (``└``) leads to a child. An arrow in front of a name is a link: the span follows from its predecessor, a sibling.
"""

from collections.abc import Iterator

from rich.text import Text

from demo.trace import Row, Trace
from support.otlp_sink import SinkSpan

__all__ = ["FOLLOWS", "waterfall"]

FOLLOWS = "⇢"
"""Stands in front of the name of a span that follows from another."""

_LEAST_BAR_COLUMNS = 12
_BAR = "█"
_COLORS = ("cyan", "blue", "green", "magenta", "yellow")


def waterfall(trace: Trace, *, columns: int) -> Iterator[Text]:
    """The lines of a trace, for a terminal of that many columns."""
    rows = list(trace.rows())
    cells = [_cells(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    bar_columns = max(columns - sum(widths) - 2 * len(widths), _LEAST_BAR_COLUMNS)
    color_of = dict(zip(trace.services, _COLORS * len(trace.services), strict=False))
    for (service, name, kind, outcome, duration), row in zip(cells, rows, strict=True):
        span = row.span
        color = color_of[span.service]
        style = "bold red" if _is_error(span) else ""
        line = Text(no_wrap=True, overflow="crop")
        line.append(service.ljust(widths[0]) + "  ", color)
        line.append(name.ljust(widths[1]) + "  ", style)
        line.append(kind.ljust(widths[2]) + "  ", "dim")
        line.append(outcome.ljust(widths[3]) + "  ", style)
        line.append(duration.rjust(widths[4]) + "  ")
        line.append(_bar(trace, span, bar_columns), "red" if _is_error(span) else color)
        yield line


def _cells(row: Row) -> tuple[str, str, str, str, str]:
    span = row.span
    return span.service, _branch(row) + span.name, span.kind, _outcome(span), f"{span.seconds * 1000:.1f} ms"


def _branch(row: Row) -> str:
    """What leads from the root to the span's name."""
    through = "".join("│ " if more else "  " for more in row.branches[:-1])
    own = "".join("├ " if more else "└ " for more in row.branches[-1:])
    return through + own + (f"{FOLLOWS} " if row.follows is not None else "")


def _outcome(span: SinkSpan) -> str:
    """The most telling words about how a span ended: the answer's status, or what was wrong; HAProxy's own two letters, if any."""
    attributes = span.attributes
    how = attributes.get("http.response.status_code") or attributes.get("error.type") or span.status_message
    termination = attributes.get("haproxy.termination_state")
    return " ".join(str(word) for word in (how, termination) if word and word != "--")


def _is_error(span: SinkSpan) -> bool:
    return span.status_code == "ERROR"


def _bar(trace: Trace, span: SinkSpan, columns: int) -> str:
    """A bar of at least one column, at the span's place among `columns`."""
    total_nano = max(trace.seconds * 1e9, 1)
    first = round((span.start_unix_nano - trace.start_unix_nano) / total_nano * columns)
    first = min(first, columns - 1)
    length = max(round((span.end_unix_nano - span.start_unix_nano) / total_nano * columns), 1)
    return (" " * first + _BAR * length)[:columns]
