"""The queue between the spans that end and the worker that sends them: bounded in spans and in bytes, every drop counted.

Full means that the newest are dropped (what is queued is nearer to being sent), or the oldest (what happens now is of more
interest): a choice. Not thread-safe: all of it happens on one event loop.
"""

from collections import deque

__all__ = ["SpanQueue"]


class SpanQueue:
    """Encoded spans, or log records, in the order they came.

    Args:
        max_spans: at most so many wait.
        max_bytes: and at most so many bytes of them.
        drop_oldest: whether the oldest make room for the newest.
    """

    __slots__ = ("_bytes", "_drop_oldest", "_max_bytes", "_max_spans", "_spans", "dropped_count")

    def __init__(self, *, max_spans: int, max_bytes: int, drop_oldest: bool = False) -> None:
        self._max_spans = max_spans
        self._max_bytes = max_bytes
        self._drop_oldest = drop_oldest
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

    def resize(self, *, max_spans: int, max_bytes: int, drop_oldest: bool = False) -> None:
        """Change the bounds, and which spans are lost at them; what waits already stays."""
        self._max_spans = max_spans
        self._max_bytes = max_bytes
        self._drop_oldest = drop_oldest

    def has_room(self, size_bytes: int) -> bool:
        """Whether a span of this size would be queued without a loss."""
        return len(self._spans) < self._max_spans and self._bytes + size_bytes <= self._max_bytes

    def offer(self, span: bytes) -> int:
        """Queue one encoded span; returns how many spans are lost for want of room, this one or older ones. They are counted."""
        size_bytes = len(span)
        if len(self._spans) < self._max_spans and self._bytes + size_bytes <= self._max_bytes:
            self._spans.append(span)
            self._bytes += size_bytes
            return 0
        lost = 1
        if self._drop_oldest and size_bytes <= self._max_bytes:
            lost = self._make_room(size_bytes)
            self._spans.append(span)
            self._bytes += size_bytes
        self.dropped_count += lost
        return lost

    def _make_room(self, size_bytes: int) -> int:
        lost = 0
        while len(self._spans) >= self._max_spans or self._bytes + size_bytes > self._max_bytes:
            self._bytes -= len(self._spans.popleft())
            lost += 1
        return lost

    def take(self, max_spans: int) -> list[bytes]:
        """The oldest ones, at most ``max_spans``; they leave the queue."""
        taken = [self._spans.popleft() for _ in range(min(max_spans, len(self._spans)))]
        self._bytes -= sum(map(len, taken))
        return taken
