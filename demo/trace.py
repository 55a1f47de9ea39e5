"""A trace is what one request leaves behind: the spans of one trace id, each below its parent."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple, Self

from support.otlp_sink import SinkSpan

__all__ = ["Row", "Trace"]


class Row(NamedTuple):
    """A span at its place in the tree."""

    depth: int
    span: SinkSpan


@dataclass(frozen=True, slots=True)
class Trace:
    """Spans with one trace id."""

    trace_id: str
    spans: tuple[SinkSpan, ...]

    @classmethod
    def all_of(cls, spans: Iterable[SinkSpan]) -> list[Self]:
        """Every trace among the spans, in the order of their first starts."""
        by_id: dict[str, list[SinkSpan]] = {}
        for span in sorted(spans, key=lambda span: span.start_unix_nano):
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

    def rows(self) -> Iterator[Row]:
        """The tree from its roots down; siblings by their starts."""
        for root in self.roots:
            yield from self._below(root, 0)

    def _below(self, span: SinkSpan, depth: int) -> Iterator[Row]:
        yield Row(depth, span)
        for child in self.spans:
            if child.parent_span_id == span.span_id:
                yield from self._below(child, depth + 1)
