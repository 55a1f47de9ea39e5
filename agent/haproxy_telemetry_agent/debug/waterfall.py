"""A waterfall: the spans of one trace as rows, a child below its parent, each with its place on the trace's own time axis.

The page draws the rows, ``tail`` writes them as lines of text. A branch (``└``) leads to a child; an arrow in front of a name is a
link: the span follows from a sibling.
"""

from collections.abc import Sequence
from typing import NamedTuple

from .exchange_view import SpanView

__all__ = ["FOLLOWS", "Row", "bar", "branch", "outcome", "waterfall"]

FOLLOWS = "⇢"
"""Stands in front of the name of a span that follows from another."""
_BAR = "█"

_Place = tuple[SpanView, tuple[bool, ...], bool]
"""A span, its branches, and whether it follows from a sibling."""


class Row(NamedTuple):
    """A span at its place."""

    span: SpanView
    branches: tuple[bool, ...]
    """For each level below the root, down to the span's own: whether another branch of that level comes further down."""
    follows: bool
    start: float
    """Where it begins, as a share of the whole: 0 is the beginning of the first span, 1 the end of the last."""
    share: float
    """How much of the whole it takes."""

    @property
    def seconds(self) -> float:
        """How long it took."""
        return (self.span.end_unix_nano - self.span.start_unix_nano) / 1e9


def waterfall(spans: Sequence[SpanView]) -> list[Row]:
    """The rows of one trace; each span is in one of them, whatever its parent is said to be."""
    if not spans:
        return []
    # Of two that begin together the one that ends first comes first: the other one may follow from it.
    ordered = sorted(spans, key=lambda span: (span.start_unix_nano, span.end_unix_nano))
    begin = ordered[0].start_unix_nano
    total = max(max(span.end_unix_nano for span in spans) - begin, 1)
    ids = {span.span_id for span in spans}
    children: dict[str | None, list[SpanView]] = {}
    for span in ordered:
        children.setdefault(span.parent_span_id if span.parent_span_id in ids else None, []).append(span)
    rows: list[Row] = []
    left = {id(span) for span in spans}
    # What comes next is last. A circle of parents leads to no root: its spans come when nothing else is left.
    waiting: list[_Place] = [(span, (), False) for span in reversed(ordered)] + _below(children.get(None, ()), None)
    while waiting:
        span, branches, follows = waiting.pop()
        if id(span) not in left:
            continue
        left.remove(id(span))
        start, end = span.start_unix_nano - begin, max(span.end_unix_nano, span.start_unix_nano) - begin
        rows.append(Row(span, branches, follows, start / total, (end - start) / total))
        waiting += _below(children.get(span.span_id, ()), branches)
    return rows


def _below(siblings: Sequence[SpanView], above: tuple[bool, ...] | None) -> list[_Place]:
    ids = {span.span_id for span in siblings}
    places = [
        (span, () if above is None else (*above, number < len(siblings)), any(link.span_id in ids for link in span.links))
        for number, span in enumerate(siblings, 1)
    ]
    return places[::-1]


def branch(row: Row) -> str:
    """What leads from the root to the span's name."""
    through = "".join("│ " if more else "  " for more in row.branches[:-1])
    own = "".join("├ " if more else "└ " for more in row.branches[-1:])
    return through + own + (f"{FOLLOWS} " if row.follows else "")


def outcome(span: SpanView) -> str:
    """How a span ended, in the fewest words: the status code or what was wrong, and HAProxy's two letters if they tell more."""
    attributes = span.attributes
    how = attributes.get("http.response.status_code") or attributes.get("error.type") or span.status_message
    termination_state = attributes.get("haproxy.termination_state")
    return " ".join(str(word) for word in (how, termination_state) if word and word != "--")


def bar(row: Row, columns: int) -> str:
    """A bar of at least one column, at the span's place among ``columns``."""
    first = min(round(row.start * columns), columns - 1)
    length = max(round(row.share * columns), 1)
    return (" " * first + _BAR * length)[:columns]
