"""Spans that would be lost are kept on disk instead, and come back, oldest first, when the collector takes spans again.

All that touches a file happens in a thread, one thing at a time; nobody waits for it. A disk that is slow, or hangs, costs what
does not fit in a short backlog, and nothing else. The oldest batch is read ahead: whoever sends finds it, or goes on without.
"""

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Protocol, TypeVar

from .daemon_thread import run_in_daemon_thread
from .segment import Origin, SpilledSpans
from .segment_store import SegmentStore

__all__ = ["Spill", "SpillObserver"]

T = TypeVar("T")

_MAX_BACKLOG_BYTES = 4 << 20
"""Of spans that wait to be written; a batch more at most."""
_READ_AGAIN_SECONDS = 5.0
_CLOSE_SECONDS = 0.2
"""For giving the directory back; the end of the process does so too."""


class SpillObserver(Protocol):
    """Who counts."""

    def dropped(self, spans: int, reason: str) -> None:
        """``spans`` are lost."""

    def spilled(self, spans: int) -> None:
        """``spans`` were written."""

    def recovered(self, spans: int) -> None:
        """``spans`` that had been written were taken by the collector."""

    def spill_holds(self, spans: int, size_bytes: int) -> None:
        """What is on disk now."""

    def spill_damaged(self, batches: int) -> None:
        """So many batches were found that can't be read."""


class Spill:
    """What one destination keeps on disk.

    Args:
        store: the files; its directory is locked.
        origin: who makes the spans that will be put here.
        observer: is told of what comes, goes and is lost.
        name: which of several destinations; the log says it.
    """

    def __init__(self, store: SegmentStore, *, origin: Origin, observer: SpillObserver, name: str = "exporter") -> None:
        self._origin = origin
        self._store = store
        self._observer = observer
        self._logger = logging.getLogger(__name__ if name == "exporter" else f"{__name__}.{name}")
        self._backlog: list[list[bytes]] = []
        self._backlog_bytes = 0
        self._head: SpilledSpans | None = None
        self._is_taken = False
        self._has_lost_file = False
        """The segment of the batch that was read ahead had to make room."""
        self._settling = False
        self._closing = False
        self._wake = asyncio.Event()
        self._told: Counter[str] = Counter()
        self._woken: Callable[[], None] | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self, woken: Callable[[], None]) -> None:
        """Begin on the running loop; ``woken`` is called whenever there is a batch to be sent."""
        self._woken = woken
        self._task = asyncio.get_running_loop().create_task(self._run(), name="spill")

    @property
    def has_room(self) -> bool:
        """Whether ``put`` may be called; otherwise the disk can't keep up."""
        return self._backlog_bytes < _MAX_BACKLOG_BYTES

    @property
    def has_batch(self) -> bool:
        """Whether there is a batch to be taken."""
        return self._head is not None and not self._is_taken

    def replace(self, origin: Origin, *, drop_oldest: bool) -> None:
        """Who makes spans from now on, and which are lost at the bound."""
        self._origin = origin
        self._store.drop_oldest = drop_oldest

    def put(self, spans: list[bytes]) -> None:
        """Have spans written; never waits."""
        self._backlog.append(spans)
        self._backlog_bytes += sum(map(len, spans))
        self._wake.set()

    def take(self) -> SpilledSpans | None:
        """The oldest batch, to be sent; then ``settle`` it, or ``put_back``. None: there is none now."""
        self._is_taken = self._head is not None
        return self._head

    def settle(self, *, delivered: bool) -> None:
        """What was taken has been delivered, or is lost and counted: it is never sent again."""
        if delivered and self._head is not None:
            self._observer.recovered(len(self._head))
        self._drop_head()
        self._settling = True
        self._wake.set()

    def put_back(self) -> None:
        """What was taken is to be sent later."""
        self._is_taken = False
        self._look_after_head()

    async def close(self, timeout_seconds: float) -> None:
        """Write what was put here, for at most ``timeout_seconds``; what is not known to be written then is counted as lost."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            _done, pending = await asyncio.wait({self._task}, timeout=timeout_seconds)
            for task in pending:
                task.cancel()
            await asyncio.wait({self._task})
            # A thread that hangs still has the files.
            if not pending:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_CLOSE_SECONDS):
                        await run_in_daemon_thread(self._store.close)
        else:
            self._store.close()
        left = sum(map(len, self._backlog))
        self._backlog.clear()
        if left:
            self._observer.dropped(left, "shutdown")

    async def _run(self) -> None:
        await self._do(self._store.scan)
        if self._store.held_spans:
            self._logger.info("%d spans were found that wait to be sent", self._store.held_spans)
        while True:
            if self._settling:
                self._settling = False
                await self._do(self._store.settle)
            if self._backlog:
                await self._write_backlog()
            elif self._closing:
                return
            is_missing = self._head is None and self._store.held_spans > 0 and not self._settling
            if is_missing and not self._closing:
                await self._read_ahead()
            if not (self._backlog or self._settling or self._closing):
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_READ_AGAIN_SECONDS if is_missing and self._head is None else None):
                        await self._wake.wait()
            self._wake.clear()

    async def _write_backlog(self) -> None:
        """All of it at once, however small its batches are; only then it is away."""
        batches = [*self._backlog]
        is_done, _ = await self._do(partial(self._store.append, batches, self._origin))
        del self._backlog[: len(batches)]
        self._backlog_bytes -= sum(len(span) for batch in batches for span in batch)
        if not is_done:
            self._observer.dropped(sum(map(len, batches)), "spill_failed")

    async def _read_ahead(self) -> None:
        _, batch = await self._do(self._store.lend)
        if batch is not None and self._woken is not None:
            self._head = batch
            self._woken()

    async def _do(self, work: Callable[[], T]) -> tuple[bool, T | None]:
        """Whether it was done, and what came of it; what is wrong with a store costs one batch, never the task."""
        is_done, result = False, None
        try:
            result = await run_in_daemon_thread(work)
            is_done = True
        except Exception:
            self._logger.exception("the spill failed")
        self._account()
        return is_done, result

    def _account(self) -> None:
        """Tell what the store has counted since."""
        store = self._store
        counts = Counter({**store.dropped, "written": store.written_spans, "damaged": store.damaged_batches})
        new, self._told = counts - self._told, counts
        if new["written"]:
            self._observer.spilled(new["written"])
        if new["damaged"]:
            self._observer.spill_damaged(new["damaged"])
        for reason in store.dropped:
            if new[reason]:
                self._observer.dropped(new[reason], reason)
                self._logger.warning("%d spans dropped (%s): %s", new[reason], reason, store.error or "spill.maxBytes is reached")
        if store.error is not None:
            if not any(new[reason] for reason in store.dropped):
                self._logger.warning("%s", store.error)
            store.error = None
        self._observer.spill_holds(store.held_spans, store.held_bytes)
        if self._head is not None and not store.lent:
            self._has_lost_file = True
            self._look_after_head()

    def _look_after_head(self) -> None:
        if self._head is not None and self._has_lost_file and not self._is_taken:
            self._observer.dropped(len(self._head), "spill_full")
            self._drop_head()
            self._wake.set()

    def _drop_head(self) -> None:
        self._head, self._is_taken, self._has_lost_file = None, False, False
