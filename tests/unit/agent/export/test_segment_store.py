"""The files of a spill, on a real disk: what is put there comes back, oldest first, and whatever is lost is counted."""

import errno
import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.export import segment_store
from haproxy_telemetry_agent.export.segment import Origin, encode_batch, encode_segment_header, segment_name
from haproxy_telemetry_agent.export.segment_store import SegmentStore, StoreError

ORIGIN = Origin(b"resource", b"scope", "https://schema")
OTHER = Origin(b"other", b"scope", "https://schema")
BOUND = 1 << 20


def opened(folder: Path, *, max_bytes: int = BOUND, drop_oldest: bool = False) -> SegmentStore:
    store = SegmentStore(folder / "spill", max_bytes=max_bytes, drop_oldest=drop_oldest)
    store.lock()
    store.scan()
    return store


def drained(store: SegmentStore) -> list[bytes]:
    """All that it lends, settled one by one."""
    spans: list[bytes] = []
    while (batch := store.lend()) is not None:
        spans += batch
        store.settle()
    return spans


def segments(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "spill").iterdir() if path.name != "lock")


def numbered(start: int, end: int, size: int = 1000) -> list[bytes]:
    return [b"%06d" % number + bytes(size) for number in range(start, end)]


class TestOneAgent:
    def test_batches_come_back_in_order_and_nothing_is_left(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        store.append([[b"a", b"b"]], ORIGIN)
        store.append([[b"c"]], ORIGIN)
        assert (store.held_spans, store.written_spans) == (3, 3)
        first = store.lend()
        assert first == [b"a", b"b"]
        assert first.origin == ORIGIN
        assert store.lend() == first
        assert store.lent
        store.settle()
        assert not store.lent
        assert drained(store) == [b"c"]
        assert (store.held_spans, store.held_bytes, segments(tmp_path)) == (0, 0, [])
        assert (store.error, store.dropped, store.damaged_batches) == (None, {}, 0)

    def test_what_is_settled_twice_or_not_lent_is_nothing(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        store.settle()
        store.append([[b"a"]], ORIGIN)
        assert drained(store) == [b"a"]

    def test_files_are_for_nobody_else(self, tmp_path: Path) -> None:
        mask = os.umask(0)
        try:
            store = opened(tmp_path)
            store.append([[b"a"]], ORIGIN)
        finally:
            os.umask(mask)
        assert (tmp_path / "spill").stat().st_mode & 0o777 == 0o700
        assert {path.stat().st_mode & 0o777 for path in (tmp_path / "spill").iterdir()} == {0o600}

    def test_spans_of_another_origin_are_in_another_segment(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        for origin in (ORIGIN, OTHER, ORIGIN):
            store.append([[b"a"]], origin)
        assert len(segments(tmp_path)) == 3
        assert store.lend().origin == ORIGIN  # type: ignore[union-attr]
        store.settle()
        assert store.lend().origin == OTHER  # type: ignore[union-attr]

    def test_large_batches_are_cut_between_spans(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        spans = numbered(0, 300)
        store.append([spans], ORIGIN)
        first = store.lend()
        assert first is not None
        assert 0 < len(first) < 100
        assert drained(store) == spans

    def test_more_can_be_written_while_a_batch_is_lent(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        store.append([[b"a"]], ORIGIN)
        assert store.lend() == [b"a"]
        store.append([[b"b"]], ORIGIN)
        store.settle()
        assert drained(store) == [b"b"]


class TestNextAgent:
    @given(st.lists(st.lists(st.binary(max_size=40), min_size=1, max_size=4), max_size=6), st.integers(0, 7))
    def test_it_sends_what_is_left_and_nothing_twice(
        self, tmp_path_factory: pytest.TempPathFactory, batches: list[list[bytes]], settled: int
    ) -> None:
        folder = tmp_path_factory.mktemp("store")
        store = opened(folder)
        for batch in batches:
            store.append([batch], ORIGIN)
        for _ in range(settled):
            store.lend()
            store.settle()
        store.close()
        later = opened(folder)
        assert later.held_spans == sum(map(len, batches[settled:]))
        assert drained(later) == [span for batch in batches[settled:] for span in batch]
        assert segments(folder) == []
        later.close()

    def test_origin_and_order_stay_and_its_own_come_after(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        store.append([[b"a"]], ORIGIN)
        store.close()
        later = opened(tmp_path)
        later.append([[b"b"]], OTHER)
        batch = later.lend()
        assert batch is not None
        assert (batch, batch.origin) == ([b"a"], ORIGIN)
        assert drained(later) == [b"a", b"b"]

    def test_a_torn_last_batch_is_passed_over_and_counted(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        store.append([[b"a"]], ORIGIN)
        store.append([[b"torn"]], ORIGIN)
        store.close()
        path = tmp_path / "spill" / segment_name(1)
        os.truncate(path, path.stat().st_size - 1)
        later = opened(tmp_path)
        assert (later.damaged_batches, later.held_spans) == (1, 1)
        assert "ends in the middle of a batch" in str(later.error)
        assert drained(later) == [b"a"]
        assert segments(tmp_path) == []

    @pytest.mark.parametrize("size", [0, 3, 20])
    def test_a_segment_that_was_hardly_begun_is_deleted_and_counted(self, tmp_path: Path, size: int) -> None:
        opened(tmp_path).close()
        (tmp_path / "spill" / segment_name(1)).write_bytes(encode_segment_header(ORIGIN)[:size])
        store = opened(tmp_path)
        assert (store.damaged_batches, segments(tmp_path)) == (1, [])

    def test_a_damaged_batch_is_passed_over_and_its_spans_are_counted(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        store.append([[b"aaaa", b"bbbb"]], ORIGIN)
        store.append([[b"c"]], ORIGIN)
        path = tmp_path / "spill" / segment_name(1)
        path.write_bytes(path.read_bytes().replace(b"bbbb", b"bbxb"))
        assert drained(store) == [b"c"]
        assert (store.damaged_batches, store.dropped) == (1, {"spill_failed": 2})
        assert (store.held_spans, store.held_bytes) == (0, 0)

    def test_foreign_files_are_left_alone_and_one_that_bears_our_name_is_set_aside(self, tmp_path: Path) -> None:
        opened(tmp_path).close()
        folder = tmp_path / "spill"
        (folder / "notes.txt").write_text("mine")
        (folder / segment_name(3)).write_text("this is no segment at all")
        (folder / segment_name(4)).mkdir()
        (folder / segment_name(5)).symlink_to(folder / "notes.txt")
        store = opened(tmp_path)
        assert store.damaged_batches == 0
        assert segments(tmp_path) == ["notes.txt", f"{segment_name(3)}.damaged", f"{segment_name(4)}.damaged", segment_name(5)]
        assert (folder / "notes.txt").read_text() == "mine"
        store.append([[b"a"]], ORIGIN)
        assert segment_name(6) in segments(tmp_path)
        assert drained(store) == [b"a"]

    def test_a_pipe_of_our_name_holds_nobody_up(self, tmp_path: Path) -> None:
        opened(tmp_path).close()
        os.mkfifo(tmp_path / "spill" / segment_name(1))
        opened(tmp_path)
        assert segments(tmp_path) == [f"{segment_name(1)}.damaged"]

    def test_a_segment_that_is_damaged_or_deleted_later_is_given_up(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        store.append([[b"a"]], ORIGIN)
        store.append([[b"b"]], OTHER)
        store.append([[b"c"]], ORIGIN)
        (tmp_path / "spill" / segment_name(1)).unlink()
        path = tmp_path / "spill" / segment_name(2)
        path.write_bytes(encode_segment_header(OTHER) + bytes(len(encode_batch([b"b"]))))
        assert drained(store) == [b"c"]
        assert store.dropped == {"spill_failed": 2}
        assert segments(tmp_path) == [f"{segment_name(2)}.damaged"]


class TestLock:
    def test_two_agents_are_excluded(self, tmp_path: Path) -> None:
        first = opened(tmp_path)
        with pytest.raises(StoreError, match="is in use by another agent"):
            opened(tmp_path)
        first.close()
        opened(tmp_path)

    def test_what_can_be_no_directory_is_said(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StoreError, match=r"can't be used: Not a directory"):
            opened(tmp_path / "file")
        with pytest.raises(StoreError, match=r"can't be used: No such file or directory"):
            opened(tmp_path / "not" / "there")


class TestBound:
    def test_what_comes_is_refused(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        for start in range(0, 2000, 50):
            store.append([numbered(start, start + 50)], ORIGIN)
        on_disk = sum(path.stat().st_size for path in (tmp_path / "spill").iterdir())
        assert BOUND * 0.9 < on_disk == store.held_bytes <= BOUND
        kept = drained(store)
        assert kept == numbered(0, 2000)[: len(kept)]
        assert store.dropped == {"spill_full": 2000 - len(kept)}

    def test_or_the_oldest_segment_makes_room(self, tmp_path: Path) -> None:
        store = opened(tmp_path, drop_oldest=True)
        for start in range(0, 2000, 50):
            store.append([numbered(start, start + 50)], ORIGIN)
            assert sum(path.stat().st_size for path in (tmp_path / "spill").iterdir()) == store.held_bytes <= BOUND
        assert store.held_bytes > BOUND * 0.8
        kept = drained(store)
        assert kept == numbered(2000 - len(kept), 2000)
        assert store.dropped == {"spill_full": 2000 - len(kept)}

    def test_the_lent_batch_is_not_counted_when_its_segment_goes(self, tmp_path: Path) -> None:
        store = opened(tmp_path, drop_oldest=True)
        store.append([numbered(0, 50)], ORIGIN)
        lent = store.lend()
        assert lent is not None
        while store.lent:
            store.append([numbered(0, 50)], ORIGIN)
        written = store.written_spans
        assert written == len(lent) + store.dropped["spill_full"] + store.held_spans
        store.settle()
        assert len(drained(store)) == written - len(lent) - store.dropped["spill_full"]

    def test_a_span_that_fits_in_no_segment_is_refused(self, tmp_path: Path) -> None:
        store = opened(tmp_path, drop_oldest=True)
        store.append([[b"small", bytes(BOUND // 8), b"small"]], ORIGIN)
        assert store.dropped == {"spill_full": 1}
        assert drained(store) == [b"small"] * 2


@pytest.fixture
def small_files() -> Iterator[int]:
    """No file may be larger than 16 KiB: what a full disk does, without one."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16_384, before[1]))
    yield 16_384
    resource.setrlimit(resource.RLIMIT_FSIZE, before)
    signal.signal(signal.SIGXFSZ, handler)


class TestTrouble:
    def test_half_of_a_batch_is_taken_back(self, tmp_path: Path, small_files: int) -> None:
        store = opened(tmp_path)
        store.append([numbered(0, 10)], ORIGIN)
        store.append([numbered(10, 20)], ORIGIN)
        assert store.dropped == {"spill_failed": 10}
        assert "can't be written: File too large" in str(store.error)
        assert (tmp_path / "spill" / segment_name(1)).stat().st_size == store.held_bytes < small_files
        store.append([numbered(20, 22)], ORIGIN)
        assert drained(store) == numbered(0, 10) + numbered(20, 22)

    def test_a_segment_that_could_not_be_begun_leaves_nothing(self, tmp_path: Path, small_files: int) -> None:
        store = opened(tmp_path)
        store.append([[b"a"]], Origin(bytes(small_files), b"", ""))
        store.append([numbered(0, 20)], ORIGIN)
        assert store.dropped == {"spill_failed": 21}
        assert (segments(tmp_path), store.held_bytes) == ([], 0)

    def test_a_directory_that_is_gone(self, tmp_path: Path) -> None:
        store = opened(tmp_path)
        (tmp_path / "spill" / "lock").unlink()
        (tmp_path / "spill").rmdir()
        store.append([[b"a"]], ORIGIN)
        assert store.dropped == {"spill_failed": 1}
        store.scan()
        assert "can't be read" in str(store.error)

    def test_a_disk_that_became_read_only(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = opened(tmp_path)
        store.append([[b"a"]], ORIGIN)
        store.append([[b"b"]], ORIGIN)

        def refuse(*_: object, **__: object) -> int:
            raise OSError(errno.EROFS, "Read-only file system")

        for name in ("pwrite", "ftruncate"):
            monkeypatch.setattr(segment_store.os, name, refuse)
        monkeypatch.setattr(Path, "unlink", refuse)
        assert drained(store) == [b"a", b"b"]
        assert "Read-only file system" in str(store.error)
        store.append([[b"c"]], ORIGIN)
        assert store.dropped == {"spill_failed": 1}

    def test_a_torn_end_that_can_not_be_taken_back(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = opened(tmp_path)
        store.append([[b"a"]], ORIGIN)
        real = os.pwrite
        budget = 10

        def write_a_part(descriptor: int, data: bytes, offset: int) -> int:
            nonlocal budget
            if budget <= 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            written = real(descriptor, bytes(data)[:budget], offset)
            budget -= written
            return written

        def fail(*_: object) -> None:
            raise OSError(errno.EIO, "Input/output error")

        with monkeypatch.context() as patched:
            patched.setattr(segment_store.os, "pwrite", write_a_part)
            patched.setattr(segment_store.os, "ftruncate", fail)
            store.append([[b"b"]], ORIGIN)
        store.append([[b"c"]], ORIGIN)
        assert len(segments(tmp_path)) == 2
        store.close()
        later = opened(tmp_path)
        assert later.damaged_batches == 1
        assert drained(later) == [b"a", b"c"]

    def test_too_many_open_files_lose_nothing(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        store = opened(tmp_path)
        store.append([[b"a"]], ORIGIN)

        def refuse(*_: object, **__: object) -> int:
            raise OSError(errno.EMFILE, "Too many open files")

        with monkeypatch.context() as patched:
            patched.setattr(segment_store.os, "open", refuse)
            assert store.lend() is None
        assert drained(store) == [b"a"]

    def test_a_file_that_can_not_be_opened_at_the_start_is_left_alone(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        opened(tmp_path).close()
        (tmp_path / "spill" / segment_name(1)).write_bytes(encode_segment_header(ORIGIN) + encode_batch([b"a"]))
        real = os.open

        def refuse(path: Path, *arguments: int) -> int:
            if path.name == segment_name(1):
                raise OSError(errno.EACCES, "Permission denied")
            return real(path, *arguments)

        with monkeypatch.context() as patched:
            patched.setattr(segment_store.os, "open", refuse)
            store = opened(tmp_path)
        assert "can't be read: Permission denied" in str(store.error)
        assert segments(tmp_path) == [segment_name(1)]
