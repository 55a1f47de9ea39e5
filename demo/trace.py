"""A trace is what one request leaves behind: the spans of one trace id, each below its parent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

from support.otlp_sink import SinkSpan

__all__ = ["Row", "Trace"]


class Row(NamedTuple):
    """A span at its place in the tree."""

    branches: tuple[bool, ...]
    """For each level below the root, down to the span's own: whether another branch of that level comes further down."""
    span: SinkSpan
    follows: SinkSpan | None = None
    """The sibling that it has a link to: it comes after it, not inside it."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Spans with one trace id."""

    trace_id: str
    spans: tuple[SinkSpan, ...]

    @classmethod
    def all_of(cls, spans: Iterable[SinkSpan]) -> list[Self]:
        """Every trace among the spans, in the order of their first starts."""
        by_id: dict[str, list[SinkSpan]] = {}
        # Of two that start together, the one that ends first comes first: the other one may follow from it.
        for span in sorted(spans, key=lambda span: (span.start_unix_nano, span.end_unix_nano)):
            by_id.setdefault(span.trace_id, []).append(span)
        return [cls(trace_id, tuple(of_trace)) for trace_id, of_trace in by_id.items()]

    @property
    def services(self) -> list[str]:
        """The services in the order in which the request came to them."""
        return list(dict.fromkeys(row.span.service for row in self.rows()))

    @property
    def roots(self) -> list[SinkSpan]:
        """The spans whose parent is not here."""
        ids = {span.span_id for span in self.spans}
        return [span for span in self.spans if span.parent_span_id not in ids]

    @property
    def start_unix_nano(self) -> int:
        """When its first span began."""
        return min(span.start_unix_nano for span in self.spans)

    @property
    def seconds(self) -> float:
        """From its first span's beginning to its last one's end."""
        return (max(span.end_unix_nano for span in self.spans) - self.start_unix_nano) / 1e9

    def children(self, span: SinkSpan) -> list[SinkSpan]:
        """The spans whose parent it is: those of its own service first, then whatever it has called; each by their starts."""
        children = [child for child in self.spans if child.parent_span_id == span.span_id]
        return sorted(children, key=lambda child: child.service != span.service)

    def followed(self, span: SinkSpan) -> SinkSpan | None:
        """The sibling that a span has a link to."""
        ids = {link.span_id for link in span.links}
        siblings = (other for other in self.spans if other.parent_span_id == span.parent_span_id)
        return next((sibling for sibling in siblings if sibling.span_id in ids), None)

    def rows(self) -> Iterator[Row]:
        """The tree from its roots down, in the order of ``children``."""
        for root in self.roots:
            yield from self._below(root, ())

    def _below(self, span: SinkSpan, branches: tuple[bool, ...]) -> Iterator[Row]:
        yield Row(branches, span, self.followed(span))
        children = self.children(span)
        for number, child in enumerate(children, 1):
            yield from self._below(child, (*branches, number < len(children)))
