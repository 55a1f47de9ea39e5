"""A spill, with its real files and threads: nobody waits for the disk, and every span is on it, sent, or counted as lost."""

import asyncio
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from haproxy_telemetry_agent.export.segment import Origin, SpilledSpans
from haproxy_telemetry_agent.export.segment_store import SegmentStore
from haproxy_telemetry_agent.export.spill import Spill
from support.probe import until

ORIGIN = Origin(b"resource", b"scope", "https://schema")
OTHER = Origin(b"other", b"scope", "https://schema")


class Counts:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.dropped_counts: Counter[str] = Counter()
        self.spilled_spans = self.recovered_spans = self.damaged_batches = self.held_spans = self.held_bytes = 0

    def dropped(self, spans: int, reason: str) -> None:
        self.dropped_counts[reason] += spans

    def spilled(self, spans: int) -> None:
        self.spilled_spans += spans

    def recovered(self, spans: int) -> None:
        self.recovered_spans += spans

    def spill_damaged(self, batches: int) -> None:
        self.damaged_batches += batches

    def spill_holds(self, spans: int, size_bytes: int) -> None:
        self.held_spans, self.held_bytes = spans, size_bytes


class HangingStore(SegmentStore):
    """One whose disk hangs while the gate is closed."""

    def __init__(self, directory: Path, *, max_bytes: int, drop_oldest: bool = False) -> None:
        super().__init__(directory, max_bytes=max_bytes, drop_oldest=drop_oldest)
        self.gate = threading.Event()
        self.gate.set()

    def append(self, batches: Iterable[Sequence[bytes]], origin: Origin) -> None:
        assert self.gate.wait(10)
        super().append(batches, origin)


class Setup:
    def __init__(self, folder: Path, *, max_bytes: int = 1 << 20, drop_oldest: bool = False) -> None:
        self.store = HangingStore(folder / "spill", max_bytes=max_bytes, drop_oldest=drop_oldest)
        self.store.lock()
        self.counts = Counts()
        self.woken = asyncio.Event()
        self.spill = Spill(self.store, origin=ORIGIN, observer=self.counts)

    def start(self) -> "Setup":
        self.spill.start(self.woken.set)
        return self

    async def until(self, condition: Callable[[], bool]) -> None:
        async def holds() -> bool:
            return condition()

        await until(holds, what="the spill has come so far")

    async def take(self) -> SpilledSpans:
        await self.until(lambda: self.spill.has_batch)
        batch = self.spill.take()
        assert batch is not None
        return batch


@pytest.fixture
async def setup(tmp_path: Path) -> Setup:
    return Setup(tmp_path).start()


async def test_what_is_put_there_comes_back_and_is_counted(setup: Setup) -> None:
    setup.spill.put([b"a", b"b"])
    await asyncio.wait_for(setup.woken.wait(), 5)
    assert await setup.take() == [b"a", b"b"]
    assert not setup.spill.has_batch
    setup.spill.put([b"c"])
    setup.spill.settle(delivered=True)
    batch = await setup.take()
    assert (batch, batch.origin) == ([b"c"], ORIGIN)
    setup.spill.put_back()
    assert await setup.take() == [b"c"]
    setup.spill.settle(delivered=False)
    await setup.until(lambda: setup.counts.held_spans == 0)
    assert setup.spill.take() is None
    await setup.spill.close(5)
    assert (setup.counts.spilled_spans, setup.counts.recovered_spans) == (3, 2)
    assert setup.counts.dropped_counts == {}


async def test_the_next_agent_has_what_is_left(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    first = Setup(tmp_path).start()
    first.spill.put([b"a"])
    await first.take()
    first.spill.put([b"b"])
    await first.spill.close(5)
    second = Setup(tmp_path)
    second.spill.replace(OTHER, drop_oldest=True)
    second.start()
    second.spill.put([b"c"])
    origins = []
    for expected in (b"a", b"b", b"c"):
        batch = await second.take()
        assert batch == [expected]
        origins.append(batch.origin)
        second.spill.settle(delivered=True)
    assert origins == [ORIGIN, ORIGIN, OTHER]
    await second.spill.close(5)
    assert "2 spans were found that wait to be sent" in caplog.text


async def test_a_disk_that_hangs_costs_its_backlog_and_the_end_does_not_wait(setup: Setup) -> None:
    setup.store.gate.clear()
    batches = 0
    while setup.spill.has_room:
        setup.spill.put([bytes(1000), bytes(1 << 20)])
        batches += 1
        await asyncio.sleep(0)
    assert batches == 4, "of a MiB each"
    async with asyncio.timeout(2):
        await setup.spill.close(0.1)
    assert setup.counts.dropped_counts == {"shutdown": 8}
    setup.store.gate.set()


async def test_a_disk_that_comes_back_writes_its_backlog(setup: Setup) -> None:
    setup.store.gate.clear()
    setup.spill.put([b"a"])
    setup.spill.put([b"b"])
    closing = asyncio.create_task(setup.spill.close(5))
    await asyncio.sleep(0.01)
    setup.store.gate.set()
    await closing
    assert (setup.counts.spilled_spans, setup.counts.held_spans) == (2, 2)
    assert setup.counts.dropped_counts == {}


async def test_one_that_was_never_started_ends_as_well(tmp_path: Path) -> None:
    setup = Setup(tmp_path)
    setup.spill.put([b"a"])
    await setup.spill.close(1)
    assert setup.counts.dropped_counts == {"shutdown": 1}
    Setup(tmp_path)  # the directory is free again


async def test_losses_are_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup(tmp_path).start()
    setup.spill.put([bytes(1 << 18)])
    await setup.until(lambda: setup.counts.dropped_counts["spill_full"] == 1)
    (tmp_path / "spill" / "lock").unlink()
    (tmp_path / "spill").rmdir()
    setup.spill.put([b"a"])
    await setup.until(lambda: setup.counts.dropped_counts["spill_failed"] == 1)
    await setup.spill.close(5)
    assert "1 spans dropped (spill_full): spill.maxBytes is reached" in caplog.text
    assert "1 spans dropped (spill_failed): " in caplog.text
    assert "can't be written: No such file or directory" in caplog.text


async def test_damage_is_counted_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "spill"
    folder.mkdir()
    (folder / "spans-000000000001.segment").write_bytes(b"")
    (folder / "spans-000000000002.segment").write_bytes(b"nothing of ours")
    setup = Setup(tmp_path).start()
    await setup.until(lambda: setup.counts.damaged_batches == 1)
    await setup.spill.close(5)
    assert "spans-000000000002.segment: is no segment of this agent; it is set aside" in caplog.text


class TestTheOldestMakeRoom:
    async def fill(self, setup: Setup) -> None:
        for _ in range(12):
            setup.spill.put([bytes(1000)] * 100)
            await setup.until(lambda: setup.spill.has_room)
        await setup.until(lambda: setup.counts.spilled_spans == 1200)

    async def test_while_a_batch_waits_to_be_sent(self, tmp_path: Path) -> None:
        setup = Setup(tmp_path, drop_oldest=True).start()
        await self.fill(setup)
        assert setup.counts.dropped_counts["spill_full"] == 1200 - setup.counts.held_spans > 0
        await setup.spill.close(5)

    @pytest.mark.parametrize("delivered", [True, False])
    async def test_while_a_batch_is_sent(self, tmp_path: Path, delivered: bool) -> None:
        setup = Setup(tmp_path, drop_oldest=True).start()
        setup.spill.put([b"sent"] * 7)
        await setup.take()
        await self.fill_until_gone(setup)
        lost = setup.counts.dropped_counts["spill_full"]
        if delivered:
            setup.spill.settle(delivered=True)
        else:
            setup.spill.put_back()
        assert setup.counts.dropped_counts["spill_full"] == lost + (0 if delivered else 7)
        await setup.until(lambda: setup.spill.has_batch)
        await setup.spill.close(5)
        counts = setup.counts
        assert counts.spilled_spans == counts.held_spans + counts.recovered_spans + counts.dropped_counts["spill_full"]

    async def fill_until_gone(self, setup: Setup) -> None:
        while setup.store.lent:
            setup.spill.put([bytes(1000)] * 100)
            await setup.until(lambda: setup.spill.has_room)
        await setup.until(lambda: setup.spill._has_lost_file)


async def test_a_store_that_fails_unexpectedly_costs_a_batch(
    setup: Setup, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    with monkeypatch.context() as patched:
        patched.setattr(setup.store, "append", fail)
        setup.spill.put([b"a", b"b"])
        await setup.until(lambda: setup.counts.dropped_counts["spill_failed"] == 2)
    setup.spill.put([b"c"])
    assert await setup.take() == [b"c"]
    await setup.spill.close(5)
    assert "the spill failed" in caplog.text


async def test_what_could_not_be_read_is_read_later(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("haproxy_telemetry_agent.export.spill._READ_AGAIN_SECONDS", 0.01)
    tries = 0
    real = setup.store.lend

    def lend() -> SpilledSpans | None:
        nonlocal tries
        tries += 1
        return None if tries < 3 else real()

    monkeypatch.setattr(setup.store, "lend", lend)
    setup.spill.put([b"a"])
    assert await setup.take() == [b"a"]
    await setup.spill.close(5)
