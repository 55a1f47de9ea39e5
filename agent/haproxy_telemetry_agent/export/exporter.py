"""The export worker: takes batches off the queue, hands them to a transport, tries again, and never loses count.

A batch leaves when it is full or when its first span has waited for ``delay_seconds``. While one batch is being tried again the
queue fills behind it; what finds no room is dropped and counted. Nothing here is ever waited for by HAProxy.
"""

import asyncio
import contextlib
import logging
from dataclasses import dataclass
from typing import Protocol

from .queue import SpanQueue
from .retry import Backoff, Verdict

__all__ = ["BatchPolicy", "ExportObserver", "Exporter", "Result", "Transport"]


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
    ) -> None:
        self._transport = transport
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
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the worker on the running loop."""
        self._task = asyncio.get_running_loop().create_task(self._run(), name="exporter")

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
        lost = self._queue.offer(span)
        if lost:
            self._observer.dropped(lost, "queue_full")
        size = len(self._queue)
        if size and not self._first.is_set():
            self._start_delay()
            self._first.set()
        if size >= self._policy.max_spans:
            self._full.set()

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
        """Send what is queued, for at most ``timeout_seconds``; what is left then is dropped and counted."""
        self._closing.set()
        self._first.set()
        self._full.set()
        if self._task is not None:
            _done, pending = await asyncio.wait({self._task}, timeout=timeout_seconds)
            for task in pending:
                task.cancel()
            await asyncio.wait({self._task})
        if len(self._queue):
            self._observer.dropped(len(self._queue.take(len(self._queue))), "shutdown")
        self._closed = True
        await asyncio.gather(self._transport.close(), *self._retiring)

    async def _retire(self, transport: Transport) -> None:
        async with self._sending:
            await transport.close()

    async def _run(self) -> None:
        while True:
            await self._first.wait()
            await self._fill_batch()
            batch = self._queue.take(self._policy.max_spans)
            self._rearm()
            if batch:
                await self._deliver(batch)
            elif self._closing.is_set():
                return

    async def _fill_batch(self) -> None:
        if not self._full.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(self._deadline_seconds):
                    await self._full.wait()

    def _rearm(self) -> None:
        if self._closing.is_set():
            return
        if len(self._queue):
            self._start_delay()
        else:
            self._first.clear()
        if len(self._queue) < self._policy.max_spans:
            self._full.clear()

    def _start_delay(self) -> None:
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

    async def _deliver(self, batch: list[bytes]) -> None:
        loop = asyncio.get_running_loop()
        deadline_seconds = loop.time() + self._policy.retry_seconds
        settled = False
        try:
            while True:
                start_seconds = loop.time()
                result = await self._send(batch)
                self._observer.requested(result, loop.time() - start_seconds)
                if result.verdict is Verdict.DELIVERED:
                    settled = True
                    self._report_delivery(batch, result)
                    return
                if result.verdict is Verdict.REJECTED:
                    self._drop(batch, "rejected", result)
                    settled = True
                    return
                wait_seconds = self._backoff.next_seconds(result.retry_after_seconds)
                if loop.time() + wait_seconds > deadline_seconds:
                    self._drop(batch, "retry_exhausted", result)
                    settled = True
                    return
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
        finally:
            if not settled:
                self._observer.dropped(len(batch), "shutdown")

    def _report_delivery(self, batch: list[bytes], result: Result) -> None:
        self._backoff.reset()
        rejected = min(result.rejected_spans, len(batch))
        self._observer.exported(len(batch) - rejected)
        if rejected:
            self._observer.dropped(rejected, "rejected")
        if rejected or result.message:
            self._logger.warning("the collector refused %d of %d %s: %s", rejected, len(batch), self._items, result.message)

    def _drop(self, batch: list[bytes], reason: str, result: Result) -> None:
        self._observer.dropped(len(batch), reason)
        self._logger.warning(
            "%d %s dropped (%s): collector answered %s %s", len(batch), self._items, reason, result.code, result.message
        )
