"""The segments of one directory: written, read oldest first, and deleted when all in them has been sent. Blocks, and knows no loop.

The directory is one agent's: a lock on the file ``lock`` in it, which the kernel gives back when the agent ends, however it ends.
Files that are none of ours are left alone; one of ours that can't be read is set aside as ``<name>.damaged``. Nothing is synced:
what is written survives the agent's end, SIGKILL included, and of a machine that loses power it loses the latest.

``segment`` has the format. What goes wrong is counted here and told by ``error``; nothing but ``lock`` raises.
"""

import contextlib
import errno
import fcntl
import os
import stat
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .segment import (
    SETTLED,
    SETTLED_OFFSET,
    BatchEntry,
    Origin,
    SegmentError,
    SpilledSpans,
    TornSegmentError,
    decode_batch,
    encode_batch,
    encode_segment_header,
    list_batches,
    parse_segment_name,
    read_segment_header,
    segment_name,
)

__all__ = ["SegmentStore", "StoreError"]

_LOCK = "lock"
_DAMAGED = ".damaged"
_MAX_BATCH_BYTES = 1 << 20
"""What is read again in one piece; larger batches are cut, between spans."""
_MAX_SEGMENT_BYTES = 8 << 20
_CLOSED = -1
_PASSING = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""Errors that say nothing about the file."""
_SEGMENTS = 8
"""Space comes back by the segment: at least so many must fit."""


class StoreError(Exception):
    """The directory can't be used: why."""


@dataclass(slots=True)
class _Segment:
    number: int
    path: Path
    origin: Origin
    cursor: int
    """Where the oldest batch is that may not be settled."""
    end: int
    """Where the last whole batch ends."""
    size_bytes: int
    pending_spans: int
    descriptor: int = _CLOSED
    """While it is written to."""


class SegmentStore:
    """What is on disk for one destination.

    Only one thread at a time may use it, and the numbers may be read in between.

    Args:
        directory: its own; made with mode 0700 if it is not there.
        max_bytes: of all segments together.
        drop_oldest: whether at the bound the oldest segment makes room; otherwise what comes is refused.
    """

    def __init__(self, directory: Path, *, max_bytes: int, drop_oldest: bool = False) -> None:
        self._directory = directory
        self._max_bytes = max_bytes
        self.drop_oldest = drop_oldest
        self._segment_bytes = min(max_bytes // _SEGMENTS, _MAX_SEGMENT_BYTES)
        self._batch_bytes = min(self._segment_bytes // 2, _MAX_BATCH_BYTES)
        self._segments: deque[_Segment] = deque()
        self._next_number = 1
        self._lock = _CLOSED
        self._lent: BatchEntry | None = None
        self.held_spans = 0
        """On disk and not settled, the lent batch included."""
        self.held_bytes = 0
        """What the segments take."""
        self.written_spans = 0
        self.damaged_batches = 0
        self.dropped: Counter[str] = Counter()
        """Spans lost, by reason: ``spill_full``, ``spill_failed``; the lent batch is never among them."""
        self.error: str | None = None
        """What went wrong last; whoever tells it sets it back."""

    def lock(self) -> None:
        """Take the directory, for this agent alone.

        Raises:
            StoreError: it can't be made or written, or another agent has it.
        """
        try:
            with contextlib.suppress(FileExistsError):
                self._directory.mkdir(mode=0o700)
            self._lock = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self.close()
            if isinstance(error, BlockingIOError):
                raise StoreError("is in use by another agent: each needs a directory of its own") from None
            raise StoreError(f"can't be used: {error.strerror}") from None

    def close(self) -> None:
        """Give the directory back."""
        for segment in self._segments:
            self._stop_writing(segment)
        if self._lock != _CLOSED:
            os.close(self._lock)
            self._lock = _CLOSED

    def scan(self) -> None:
        """Find what an earlier agent has left."""
        try:
            names = [path.name for path in self._directory.iterdir()]
        except OSError as error:
            self._fail("read", self._directory, error)
            return
        for number in sorted(number for number in map(parse_segment_name, names) if number is not None):
            self._next_number = number + 1
            path = self._directory / segment_name(number)
            try:
                self._take_over(number, path)
            except TornSegmentError:
                self.damaged_batches += 1
                self._remove(path)
            except SegmentError as error:
                self.error = f"{path}: {error}; it is set aside"
                self._set_aside(path)
            except OSError as error:
                self._fail("read", path, error)

    def append(self, batches: Iterable[Sequence[bytes]], origin: Origin) -> None:
        """Write batches, large ones as several; what finds no room or can't be written is lost and counted."""
        header = encode_segment_header(origin)
        for batch in (part for whole in batches for part in _cut(whole, self._batch_bytes)):
            encoded = encode_batch(batch)
            try:
                has_room = self._make_room(len(header) + len(encoded))
                if has_room:
                    self._write(encoded, len(batch), origin)
            except OSError as error:
                self.dropped["spill_failed"] += len(batch)
                self._fail("written", self._directory, error)
            else:
                if not has_room:
                    self.dropped["spill_full"] += len(batch)

    def lend(self) -> SpilledSpans | None:
        """The oldest batch, the same until ``settle``; None: there is none, or none now. What can't be read is lost and counted."""
        self._lent = None
        while self._segments:
            segment = self._segments[0]
            try:
                with _opened(segment.path, os.O_RDONLY) as descriptor:
                    spans = self._read_next(segment, descriptor)
            except (OSError, SegmentError) as error:
                self._fail("read", segment.path, error)
                if isinstance(error, OSError) and error.errno in _PASSING:
                    return None
                self._give_up(segment)
                continue
            if spans is not None:
                return SpilledSpans(spans, segment.origin)
            self._delete(segment)
        return None

    def settle(self) -> None:
        """The batch that was lent has been delivered, or given up: it is never lent again."""
        if self._lent is None:
            return  # its segment had to make room
        entry, self._lent = self._lent, None
        segment = self._segments[0]
        self._pass_over(segment, entry)
        if segment.cursor >= segment.end:
            self._delete(segment)
            return
        try:
            with _opened(segment.path, os.O_WRONLY) as descriptor:
                os.pwrite(descriptor, SETTLED, entry.offset + SETTLED_OFFSET)
        except OSError as error:
            self._fail("written", segment.path, error)

    @property
    def lent(self) -> bool:
        """Whether there is a batch that was lent and is still on disk."""
        return self._lent is not None

    def _take_over(self, number: int, path: Path) -> None:
        with _opened(path, os.O_RDONLY) as descriptor:
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise SegmentError("is no file")
            read = _reader(descriptor)
            origin, first = read_segment_header(read)
            segment = _Segment(number, path, origin, cursor=first, end=first, size_bytes=status.st_size, pending_spans=0)
            try:
                for entry in list_batches(read, first, status.st_size):
                    segment.end = entry.offset + entry.size_bytes
                    segment.pending_spans += 0 if entry.settled else entry.spans
            except SegmentError as error:
                self.damaged_batches += 1
                self.error = f"{path}: {error}; what comes before that is used"
        self._segments.append(segment)
        self.held_spans += segment.pending_spans
        self.held_bytes += segment.size_bytes
        if not segment.pending_spans:
            self._delete(segment)

    def _read_next(self, segment: _Segment, descriptor: int) -> list[bytes] | None:
        read = _reader(descriptor)
        for entry in list_batches(read, segment.cursor, segment.end):
            if entry.settled:
                segment.cursor = entry.offset + entry.size_bytes
                continue
            try:
                spans = decode_batch(entry, read(entry.offset + entry.size_bytes - entry.body_bytes, entry.body_bytes))
            except SegmentError as error:
                self.damaged_batches += 1
                self.dropped["spill_failed"] += entry.spans
                self.error = f"{segment.path}: {error}; it is passed over"
                self._pass_over(segment, entry)
                continue
            self._lent = entry
            return spans
        return None

    def _pass_over(self, segment: _Segment, entry: BatchEntry) -> None:
        segment.cursor = entry.offset + entry.size_bytes
        segment.pending_spans -= entry.spans
        self.held_spans -= entry.spans

    def _make_room(self, size_bytes: int) -> bool:
        """Whether so many bytes, and a segment's header, may be written."""
        if size_bytes > self._segment_bytes:
            return False
        while self.held_bytes + size_bytes > self._max_bytes:
            if not self.drop_oldest or not self._segments:
                return False
            segment = self._segments[0]
            lost = segment.pending_spans
            if self._lent is not None:
                lost -= self._lent.spans
                self._lent = None
            self.dropped["spill_full"] += lost
            self._delete(segment)
        return True

    def _write(self, encoded: bytes, spans: int, origin: Origin) -> None:
        segment = self._segments[-1] if self._segments else None
        if segment is not None and (segment.end + len(encoded) > self._segment_bytes or segment.origin != origin):
            self._stop_writing(segment)
        if segment is None or segment.descriptor == _CLOSED:
            segment = self._begin(origin)
        try:
            _write_all(segment.descriptor, encoded, segment.end)
        except OSError:
            self._undo(segment)
            raise
        segment.end += len(encoded)
        segment.size_bytes = segment.end
        segment.pending_spans += spans
        self.held_bytes += len(encoded)
        self.held_spans += spans
        self.written_spans += spans

    def _begin(self, origin: Origin) -> _Segment:
        path = self._directory / segment_name(self._next_number)
        header = encode_segment_header(origin)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        self._next_number += 1
        try:
            _write_all(descriptor, header, 0)
        except OSError:
            os.close(descriptor)
            self._remove(path)
            raise
        size_bytes = len(header)
        segment = _Segment(self._next_number - 1, path, origin, size_bytes, size_bytes, size_bytes, 0, descriptor)
        self._segments.append(segment)
        self.held_bytes += size_bytes
        return segment

    def _undo(self, segment: _Segment) -> None:
        """Take half of a batch back; where that fails too, it stays behind as a torn end, and the segment is written no more."""
        try:
            os.ftruncate(segment.descriptor, segment.end)
        except OSError:
            self._stop_writing(segment)
        if not segment.pending_spans:
            self._delete(segment)

    def _stop_writing(self, segment: _Segment) -> None:
        if segment.descriptor != _CLOSED:
            os.close(segment.descriptor)
            segment.descriptor = _CLOSED

    def _delete(self, segment: _Segment) -> None:
        self._forget(segment)
        self._remove(segment.path)

    def _give_up(self, segment: _Segment) -> None:
        self.dropped["spill_failed"] += segment.pending_spans
        self._forget(segment)
        self._set_aside(segment.path)

    def _forget(self, segment: _Segment) -> None:
        self._stop_writing(segment)
        self._segments.remove(segment)
        self.held_spans -= segment.pending_spans
        self.held_bytes -= segment.size_bytes

    def _remove(self, path: Path) -> None:
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            self._fail("deleted", path, error)

    def _set_aside(self, path: Path) -> None:
        with contextlib.suppress(OSError):
            path.rename(path.with_name(f"{path.name}{_DAMAGED}"))

    def _fail(self, what: str, path: Path, error: Exception) -> None:
        self.error = f"{path}: can't be {what}: {(isinstance(error, OSError) and error.strerror) or error}"


def _cut(spans: Sequence[bytes], max_bytes: int) -> Iterator[Sequence[bytes]]:
    start = size_bytes = 0
    for index, span in enumerate(spans):
        size_bytes += len(span)
        if size_bytes > max_bytes and index > start:
            yield spans[start:index]
            start, size_bytes = index, len(span)
    if start < len(spans):
        yield spans[start:]


@contextlib.contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    # Without waiting for whoever would write to it, should it be a pipe.
    descriptor = os.open(path, flags | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _reader(descriptor: int) -> Callable[[int, int], bytes]:
    return lambda offset, size: os.pread(descriptor, size, offset)


def _write_all(descriptor: int, data: bytes, offset: int) -> None:
    """A disk that is nearly full takes a part."""
    view = memoryview(data)
    while view:
        written = os.pwrite(descriptor, view, offset)
        view = view[written:]
        offset += written
