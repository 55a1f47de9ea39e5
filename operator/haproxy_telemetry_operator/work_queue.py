"""The queue of namespaces that are to be looked at: each at most once at a time, soon after something happened, and later and later
while it fails.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable

from .cluster import ApiError
from .own_traces import OwnTraces
from .telemetry import OperatorTelemetry

__all__ = ["WorkQueue"]

_logger = logging.getLogger(__name__)
_SETTLE_SECONDS = 0.2
"""Events come in swarms: a rollout is dozens."""
_FIRST_DELAY_SECONDS = 1.0
_MAX_DELAY_SECONDS = 60.0


class WorkQueue:
    """Runs looks, a bounded number at once.

    Args:
        reconcile: looks at a namespace, and says after how many seconds to look at it again (0: not until something happens).
        telemetry: counts.
        traces: the operator's own.
        workers: how many at once.
    """

    def __init__(
        self,
        reconcile: Callable[[str], Awaitable[float]],
        telemetry: OperatorTelemetry,
        traces: OwnTraces,
        *,
        workers: int = 8,
    ) -> None:
        self._reconcile = reconcile
        self._traces = traces
        self._telemetry = telemetry
        self._workers = workers
        self._due: dict[str, float] = {}
        """Namespace -> when, by the event loop's clock."""
        self._running: set[str] = set()
        self._failures: dict[str, int] = {}
        self._wake = asyncio.Event()

    def __len__(self) -> int:
        return len(self._due)

    def add(self, namespace: str, after_seconds: float = _SETTLE_SECONDS) -> None:
        """Looks at it then, or earlier if that was due already."""
        due = asyncio.get_running_loop().time() + after_seconds
        if due < self._due.get(namespace, float("inf")):
            self._due[namespace] = due
            self._wake.set()

    async def run(self) -> None:
        """Until cancelled."""
        slots = asyncio.Semaphore(self._workers)
        async with asyncio.TaskGroup() as tasks:
            while True:
                namespace, wait_seconds = self._next()
                if namespace is None:
                    self._wake.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self._wake.wait(), wait_seconds)
                    continue
                await slots.acquire()
                del self._due[namespace]
                self._running.add(namespace)
                tasks.create_task(self._one(namespace, slots))

    def _next(self) -> tuple[str | None, float | None]:
        """The namespace that is due, or how long there is none."""
        ready = {name: due for name, due in self._due.items() if name not in self._running}
        if not ready:
            return None, None
        first = min(ready, key=lambda name: ready[name])
        wait = ready[first] - asyncio.get_running_loop().time()
        return (first, None) if wait <= 0 else (None, wait)

    async def _one(self, namespace: str, slots: asyncio.Semaphore) -> None:
        begin = time.perf_counter()
        result = "ok"
        try:
            with self._traces.reconcile(namespace):
                again = await self._reconcile(namespace)
            self._failures.pop(namespace, None)
            if again > 0:
                self.add(namespace, again)
        except asyncio.CancelledError:
            raise
        except Exception as error:
            failures = self._failures[namespace] = self._failures.get(namespace, 0) + 1
            delay = min(_FIRST_DELAY_SECONDS * 2 ** min(failures - 1, 10), _MAX_DELAY_SECONDS)
            result = "api_error" if isinstance(error, ApiError) else "error"
            _logger.warning("%s: %s; again in %.0f s", namespace, error, delay, exc_info=not isinstance(error, ApiError))
            self.add(namespace, delay)
        finally:
            self._telemetry.reconciled(result, time.perf_counter() - begin)
            self._running.discard(namespace)
            slots.release()
            self._wake.set()
