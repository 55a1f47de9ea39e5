"""The queue between the spans that end and the worker that sends them: bounded in spans and in bytes, every drop counted.

Full means the newest is dropped: what is queued is nearer to being sent. Not thread-safe: all of it happens on one event loop.
"""

from collections import deque

__all__ = ["SpanQueue"]


class SpanQueue:
    """Encoded spans in the order they came.

    Args:
        max_spans: at most so many wait.
        max_bytes: and at most so many bytes of them.
    """

    __slots__ = ("_bytes", "_max_bytes", "_max_spans", "_spans", "dropped_count")

    def __init__(self, *, max_spans: int, max_bytes: int) -> None:
        self._max_spans = max_spans
        self._max_bytes = max_bytes
        self._spans: deque[bytes] = deque()
        self._bytes = 0
        self.dropped_count = 0

    def __len__(self) -> int:
        return len(self._spans)

    @property
    def size_bytes(self) -> int:
        """Bytes that wait."""
        return self._bytes

    @property
    def max_spans(self) -> int:
        """How many may wait."""
        return self._max_spans

    def resize(self, *, max_spans: int, max_bytes: int) -> None:
        """Change the bounds; what waits already stays."""
        self._max_spans = max_spans
        self._max_bytes = max_bytes

    def offer(self, span: bytes) -> bool:
        """Queue one encoded span; False, and counted, if there is no room."""
        if len(self._spans) >= self._max_spans or self._bytes + len(span) > self._max_bytes:
            self.dropped_count += 1
            return False
        self._spans.append(span)
        self._bytes += len(span)
        return True

    def take(self, max_spans: int) -> list[bytes]:
        """The oldest ones, at most ``max_spans``; they leave the queue."""
        taken = [self._spans.popleft() for _ in range(min(max_spans, len(self._spans)))]
        self._bytes -= sum(map(len, taken))
        return taken
