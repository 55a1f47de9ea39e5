"""The export worker: takes batches off the queue, hands them to a transport, tries again, and never loses count.

A batch leaves when it is full or when its first span has waited for ``delay_seconds``. While one batch is being tried again the
queue fills behind it; what finds no room is dropped and counted. Nothing here is ever waited for by HAProxy.

With a spill, what would be dropped because the collector does not take it goes to disk, a batch at a time and the oldest first.
Later what is on disk and what is queued take turns, so neither waits for the other to end.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Protocol

from .overtaking import Overtaking
from .queue import SpanQueue
from .retry import Backoff, Verdict
from .spill import Spill

__all__ = ["BatchPolicy", "ExportObserver", "Exporter", "Result", "Transport"]

_MAX_SPILLED_SPANS = 2_048
"""At once: taking more off the queue would hold up the event loop."""
_CLOSE_SECONDS = 0.2
"""For giving connections back, if there is no other time left."""
_SPILL_SECONDS = 1.0
"""Of the time at the end, at most half of it: for writing what the collector has not taken."""


@dataclass(frozen=True, slots=True)
class BatchPolicy:
    """When and how much (``OTEL_BSP_*``)."""

    max_spans: int
    delay_seconds: float
    retry_seconds: float
    """How long one batch is tried again before it is dropped."""


@dataclass(frozen=True, slots=True)
class Result:
    """How one request to the collector went."""

    verdict: Verdict
    code: str
    """HTTP status code, name of a gRPC status, or a word for an error that had none; the label of our metric."""
    message: str = ""
    retry_after_seconds: float | None = None
    rejected_spans: int = 0
    """Spans the collector refused although it took the request (partial success)."""
    sent_bytes: int = 0
    """What left for it: compressed, where the transport knows."""


class Transport(Protocol):
    """Delivers batches."""

    async def send(self, spans: list[bytes]) -> Result:
        """Deliver one batch; errors are results, never raised."""
        ...

    async def close(self) -> None:
        """Give connections back."""
        ...


class ExportObserver(Protocol):
    """Who counts."""

    def exported(self, spans: int) -> None:
        """The collector took ``spans``."""

    def dropped(self, spans: int, reason: str) -> None:
        """``spans`` are lost."""

    def requested(self, result: Result, duration_seconds: float) -> None:
        """One request was answered, or failed."""


class Exporter:
    """Owns the queue and the worker task.

    Args:
        transport: where batches go.
        queue: the bounded queue.
        policy: when a batch leaves.
        backoff: how long to wait between tries.
        observer: is told of every delivery and loss.
        name: which of several destinations; the log says it.
        items: what is exported, in the log's words.
        spill: where spans go that would be dropped; None: they are dropped.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        queue: SpanQueue,
        policy: BatchPolicy,
        backoff: Backoff,
        observer: ExportObserver,
        name: str = "exporter",
        items: str = "spans",
        spill: Spill | None = None,
    ) -> None:
        self._transport = transport
        self.spill = self._spill = spill
        self.name = name
        self._items = items
        self.queue = self._queue = queue
        # What is said too often is held back by logger: one destination's troubles must not hide another's.
        self._logger = logging.getLogger(__name__ if name == "exporter" else f"{__name__}.{name}")
        self._policy = policy
        self._backoff = backoff
        self._observer = observer
        self._first = asyncio.Event()
        self._full = asyncio.Event()
        self._closing = asyncio.Event()
        self._replaced = asyncio.Event()
        self._sending = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()
        self._closed = False
        self._shedding = False
        self._deadline_seconds = 0.0
        self._is_delay_running = False
        self._was_spilled_last = False
        self._overtaking = Overtaking()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the worker on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="exporter")
        if self._spill is not None:
            self._spill.start(self._first.set)

    def replace(self, transport: Transport, policy: BatchPolicy) -> None:
        """Deliver to another transport from now on, a batch that is tried again included; the old one is closed when it is idle."""
        retired, self._transport, self._policy = self._transport, transport, policy
        self._replaced.set()
        if len(self._queue) >= policy.max_spans:
            self._full.set()
        task = asyncio.get_running_loop().create_task(self._retire(retired))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)

    def offer(self, span: bytes) -> None:
        """Queue one encoded span; never waits."""
        if self._closed:
            self._observer.dropped(1, "shutdown")
            return
        if self._shedding:
            self._observer.dropped(1, "memory")
            return
        if self._spill is not None and not self._queue.has_room(len(span)):
            self._spill_oldest(self._spill)
        lost = self._queue.offer(span)
        if lost:
            self._observer.dropped(lost, "queue_full")
        size = len(self._queue)
        if size and not self._is_delay_running:
            self._start_delay()
            self._first.set()
        if size >= self._policy.max_spans:
            self._full.set()

    def _spill_oldest(self, spill: Spill) -> None:
        if spill.has_room and len(self._queue):
            spill.put(self._queue.take(min(self._policy.max_spans, _MAX_SPILLED_SPANS)))
            self._logger.warning("the queue is full: spans go to the spill")

    def shed(self) -> None:
        """Drop the older half of the queue, and all that is offered until ``resume``: there is no memory for it."""
        self._shedding = True
        dropped = len(self._queue.take((len(self._queue) + 1) // 2))
        if dropped:
            self._observer.dropped(dropped, "memory")

    def resume(self) -> None:
        """Take spans again."""
        self._shedding = False

    async def close(self, timeout_seconds: float) -> None:
        """Send what is queued, for at most ``timeout_seconds``; what is left then is spilled, or dropped and counted."""
        loop = asyncio.get_running_loop()
        deadline_seconds = loop.time() + timeout_seconds
        self._closing.set()
        self._first.set()
        self._full.set()
        if self._spill is not None:
            self._replaced.set()  # a batch that waits for its next try has it now
            timeout_seconds -= min(_SPILL_SECONDS, timeout_seconds / 2)
        if self._task is not None:
            _done, pending = await asyncio.wait({self._task}, timeout=timeout_seconds)
            for task in pending:
                task.cancel()
            await asyncio.wait({self._task})
        while len(self._queue):
            self._lose(self._queue.take(_MAX_SPILLED_SPANS), "shutdown")
        self._closed = True
        if self._spill is not None:
            await self._spill.close(max(deadline_seconds - loop.time(), 0))
        # A transport that does not end is left alone.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(deadline_seconds - loop.time(), _CLOSE_SECONDS)):
                await asyncio.gather(self._transport.close(), *self._retiring)

    async def _retire(self, transport: Transport) -> None:
        async with self._sending:
            await transport.close()

    async def _run(self) -> None:
        while True:
            await self._first.wait()
            if self._spill is not None and self._is_turn_of(self._spill):
                self._was_spilled_last = True
                await self._deliver_spilled(self._spill)
                self._rearm()
                continue
            self._was_spilled_last = False
            if self._is_delay_running:
                await self._fill_batch()
            batch = self._queue.take(self._policy.max_spans)
            self._rearm()
            if batch:
                is_answered = await self._deliver(batch)
                if not is_answered and self._spill is not None and self._closing.is_set():
                    return  # another try would only take time: nothing is lost without it
            elif self._closing.is_set():
                return

    def _is_turn_of(self, spill: Spill) -> bool:
        """Whether the next batch is the spill's: the last one was not, or no other is due."""
        if self._closing.is_set() or not spill.has_batch:
            return False
        is_due = len(self._queue) and asyncio.get_running_loop().time() >= self._deadline_seconds
        return not (self._was_spilled_last and (is_due or self._full.is_set()))

    async def _fill_batch(self) -> None:
        if not self._full.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._deadline_seconds):
                    await self._full.wait()

    def _rearm(self) -> None:
        if self._closing.is_set():
            return
        if not len(self._queue):
            self._is_delay_running = False
            if self._spill is None or not self._spill.has_batch:
                self._first.clear()
        elif not self._was_spilled_last:
            self._start_delay()
        if len(self._queue) < self._policy.max_spans:
            self._full.clear()

    def _start_delay(self) -> None:
        self._is_delay_running = True
        self._deadline_seconds = asyncio.get_running_loop().time() + self._policy.delay_seconds

    async def _send(self, batch: list[bytes]) -> Result:
        """Whatever is wrong with a transport costs one batch, never the worker."""
        try:
            async with self._sending:
                self._replaced.clear()
                return await self._transport.send(batch)
        except Exception as error:
            self._logger.exception("the transport failed")
            return Result(Verdict.REJECTED, "error", repr(error))

    async def _deliver(self, batch: list[bytes]) -> bool:
        """Until the batch is delivered or lost; whether the collector has said anything about it but to come again."""
        loop = asyncio.get_running_loop()
        deadline_seconds = loop.time() + self._policy.retry_seconds
        settled = False
        try:
            while True:
                result = await self._request(batch)
                self._overtaking.other_answered(loop.time(), is_final=result.verdict is not Verdict.RETRY)
                if result.verdict is not Verdict.RETRY:
                    settled = True
                    self._settle(batch, result)
                    return True
                wait_seconds = self._backoff.next_seconds(result.retry_after_seconds)
                if self._spill is not None and self._closing.is_set():
                    return False
                if loop.time() + wait_seconds > deadline_seconds:
                    settled = True
                    self._lose(batch, "retry_exhausted", result)
                    return False
                await self._wait_for_next_try(batch, result, wait_seconds)
        finally:
            if not settled:
                self._lose(batch, "shutdown")

    async def _deliver_spilled(self, spill: Spill) -> None:
        """One try: what is not taken stays where it is."""
        batch = spill.take()
        if batch is None:
            return
        settled = False
        try:
            result = await self._request(batch)
            if result.verdict is not Verdict.RETRY:
                settled = True
                self._overtaking.begin()
                self._settle(batch, result)
                spill.settle(delivered=result.verdict is Verdict.DELIVERED)
                return
            if self._overtaking.failed(asyncio.get_running_loop().time(), self._policy.retry_seconds):
                settled = True
                self._overtaking.begin()
                self._drop(batch, "retry_exhausted", result)
                spill.settle(delivered=False)
                return
        finally:
            if not settled:
                spill.put_back()
        await self._wait_for_next_try(batch, result, self._backoff.next_seconds(result.retry_after_seconds))

    async def _request(self, batch: list[bytes]) -> Result:
        loop = asyncio.get_running_loop()
        start_seconds = loop.time()
        result = await self._send(batch)
        self._observer.requested(result, loop.time() - start_seconds)
        return result

    async def _wait_for_next_try(self, batch: list[bytes], result: Result, wait_seconds: float) -> None:
        self._logger.warning(
            "the collector did not take %d %s (%s %s); next try in %.1f s",
            len(batch),
            self._items,
            result.code,
            result.message,
            wait_seconds,
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait_seconds):
                await self._replaced.wait()

    def _settle(self, batch: list[bytes], result: Result) -> None:
        if result.verdict is Verdict.REJECTED:
            self._drop(batch, "rejected", result)
            return
        self._backoff.reset()
        rejected = min(result.rejected_spans, len(batch))
        self._observer.exported(len(batch) - rejected)
        if rejected:
            self._observer.dropped(rejected, "rejected")
        if rejected or result.message:
            self._logger.warning("the collector refused %d of %d %s: %s", rejected, len(batch), self._items, result.message)

    def _lose(self, batch: list[bytes], reason: str, result: Result | None = None) -> None:
        """Into the spill if there is one, and it can keep up: at the end it may take as long as there is time."""
        if self._spill is not None and (self._spill.has_room or self._closing.is_set()):
            self._spill.put(batch)
            self._logger.warning("%d %s go to the spill (%s)", len(batch), self._items, reason)
        elif result is not None:
            self._drop(batch, reason, result)
        else:
            self._observer.dropped(len(batch), reason)

    def _drop(self, batch: list[bytes], reason: str, result: Result) -> None:
        self._observer.dropped(len(batch), reason)
        self._logger.warning(
            "%d %s dropped (%s): collector answered %s %s", len(batch), self._items, reason, result.code, result.message
        )
