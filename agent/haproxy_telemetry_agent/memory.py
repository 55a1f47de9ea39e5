"""The memory bound: an agent that would be killed for its memory takes its sidecar along, so it sheds spans before.

What it holds is bounded item by item (queue, connections, open exchanges of the mini-language); this bounds the sum, as the kernel
sees it. Above the limit the older half of the queue is dropped and no span is queued any more, until the process is well below it,
or below it with nothing left to drop: what is in use then is in use for something else.
"""

import logging
import os
from collections.abc import Callable
from pathlib import Path

__all__ = ["MemoryGuard", "read_rss_bytes", "return_free_memory"]

_logger = logging.getLogger(__name__)

_RESUME_SHARE = 0.9
_STATM = Path("/proc/self/statm")
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class MemoryGuard:
    """Looks, and sheds.

    Args:
        max_bytes: what the process may take.
        read: its resident memory in bytes; None if nobody knows.
        waiting: how many spans could be dropped.
        shed: drops half of what waits, and takes no more.
        resume: takes spans again.
        release: gives free memory back to the system.
    """

    __slots__ = ("_max_bytes", "_read", "_release", "_resume", "_shed", "_waiting", "shedding")

    def __init__(
        self,
        *,
        max_bytes: int,
        read: Callable[[], int | None],
        waiting: Callable[[], int],
        shed: Callable[[], None],
        resume: Callable[[], None],
        release: Callable[[], None],
    ) -> None:
        self._max_bytes = max_bytes
        self._read = read
        self._waiting = waiting
        self._shed = shed
        self._resume = resume
        self._release = release
        self.shedding = False
        """Whether it is above the limit, or has been and is not yet well below."""

    def check(self) -> None:
        """Look, and act; to be called several times a second."""
        used_bytes = self._read()
        if used_bytes is None:
            return
        if used_bytes > self._max_bytes:
            if not self.shedding:
                _logger.warning("%d MiB of memory are in use (limits.maxMemoryBytes): spans are dropped", used_bytes >> 20)
            self.shedding = True
            self._shed()
            self._release()
        elif self.shedding and (used_bytes < self._max_bytes * _RESUME_SHARE or not self._waiting()):
            self.shedding = False
            self._resume()
            _logger.info("%d MiB of memory are in use: spans are taken again", used_bytes >> 20)


def read_rss_bytes() -> int | None:
    """Resident memory of this process; None where there is no ``/proc``."""
    try:
        return int(_STATM.read_text().split()[1]) * _PAGE_BYTES
    except (OSError, ValueError, IndexError):
        return None


def return_free_memory() -> None:
    """Have glibc give back what is free between what is in use; other C libraries do so by themselves, or can't."""
    # Imported here: an agent that never comes near its limit does not need it.
    import ctypes  # noqa: PLC0415

    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
