"""The table of faults: what happens to whom, what it may cost a request, and what may be lost of the spans.

A fault begins, lasts and is over when its function comes back. What it may cost is what the documentation says (docs/operation.md,
docs/export.md), and where that is nothing, nothing.
"""

import asyncio
import contextlib
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from enum import Enum, auto

from soak.collector import Trouble
from soak.stage import Stage
from support.probe import until

__all__ = ["FAULTS", "Fault", "Loss"]

Act = Callable[[Stage, float], Awaitable[None]]
"""Brings a fault about for so many seconds, and ends it."""

_SLICE_SECONDS = 0.02
_PERIOD_SECONDS = 0.1


class Loss(Enum):
    """Which spans may be lost."""

    NONE = auto()
    DROPPED = auto()
    """What the agent drops, because the collector refuses it or there is no room: as many as it counts."""
    RECORDS = auto()
    """Records that HAProxy lost: both spans of an exchange, and the agent's metrics show how many."""
    MEMORY = auto()
    """What the agent had in memory when it was killed: nobody is left to count it, so it is bounded by the time spans wait."""
    RING = auto()
    """What has no room in HAProxy's ring, which keeps the oldest records of the time that the agent was away; HAProxy 2.6 and 2.8
    say how many they dropped. And what `MEMORY` loses."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One row."""

    act: Act
    asks_late: bool = False
    """Whether a request may wait for the agent: `processingTimeout`, once. Otherwise it may not wait at all."""
    loss: Loss = Loss.NONE
    twice: bool = False
    """Whether spans may come again, with the same ids: whoever sent them can't know whether they were taken: the agent, if the
    collector's answer was lost; HAProxy (from 3.0 on) the last record, if the agent was killed."""
    kills: bool = False
    """Whether another worker is there afterwards: whoever looks for what grows must have some time without."""
    needs_disk: bool = False
    """Whether the stage must have a small disk."""
    in_short: bool = True
    """Whether the short form has it, too."""


async def _nothing(_stage: Stage, seconds: float) -> None:
    await asyncio.sleep(seconds)


async def _worker_killed(stage: Stage, seconds: float) -> None:
    killed = stage.worker
    os.kill(killed, signal.SIGKILL)
    await asyncio.sleep(seconds)
    await _is_back(stage, killed)


async def _is_back(stage: Stage, killed: int) -> None:
    async def another_answers() -> bool:
        return stage.worker != killed and await stage.metrics() is not None

    await until(another_answers, what="the supervisor has started another worker", timeout_seconds=30)
    await stage.wait_until_agent_is("UP")


async def _worker_stopped(stage: Stage, seconds: float) -> None:
    worker = stage.worker
    os.kill(worker, signal.SIGSTOP)
    try:
        await asyncio.sleep(seconds)
    finally:
        os.kill(worker, signal.SIGCONT)
    await stage.wait_until_agent_is("UP")


async def _worker_throttled(stage: Stage, seconds: float) -> None:
    """As a container with a CPU limit of 200m is that has more to do: 20 ms of each 100 ms."""
    worker = stage.worker
    loop = asyncio.get_running_loop()
    end_seconds = loop.time() + seconds
    try:
        while loop.time() < end_seconds:
            os.kill(worker, signal.SIGSTOP)
            await asyncio.sleep(_PERIOD_SECONDS - _SLICE_SECONDS)
            os.kill(worker, signal.SIGCONT)
            await asyncio.sleep(_SLICE_SECONDS)
    finally:
        os.kill(worker, signal.SIGCONT)
    await stage.wait_until_agent_is("UP")


async def _ring_overflows(stage: Stage, seconds: float) -> None:
    """The worker is killed, and its supervisor is stopped meanwhile, so that there is no other one."""
    killed = stage.worker
    supervisor = stage.agent.process
    supervisor.send_signal(signal.SIGSTOP)
    try:
        os.kill(killed, signal.SIGKILL)
        await asyncio.sleep(seconds)
    finally:
        supervisor.send_signal(signal.SIGCONT)
    await _is_back(stage, killed)


async def _collector_away(stage: Stage, seconds: float) -> None:
    await stage.collector.stop()
    try:
        await asyncio.sleep(seconds)
    finally:
        await stage.collector.start()


def _collector_away_and_little_room(*, disk_full: bool) -> Act:
    """The queue is so small that spans go to the disk."""

    async def act(stage: Stage, seconds: float) -> None:
        assert stage.disk is not None
        await stage.change_batch(maxQueueSpans=64, maxBatchSpans=32)
        filler = stage.disk / "filler"
        if disk_full:
            with filler.open("wb", buffering=0) as file, contextlib.suppress(OSError):
                while file.write(bytes(4096)):
                    pass
        try:
            await _collector_away(stage, seconds)
        finally:
            filler.unlink(missing_ok=True)
            await stage.change_batch()

    return act


def _collector(trouble: Trouble) -> Act:
    async def act(stage: Stage, seconds: float) -> None:
        stage.collector.trouble = trouble
        try:
            await asyncio.sleep(seconds)
        finally:
            stage.collector.trouble = Trouble.NONE

    return act


def _reloaded(times: int) -> Act:
    async def act(stage: Stage, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        start_seconds = loop.time()
        for number in range(times):
            await stage.haproxy.reload()
            await asyncio.sleep(max(0.0, start_seconds + seconds * (number + 1) / times - loop.time()))
        await stage.wait_until_agent_is("UP")

    return act


FAULTS: Mapping[str, Fault] = {
    "none": Fault(act=_nothing),
    "agent killed": Fault(act=_worker_killed, asks_late=True, loss=Loss.MEMORY, twice=True, kills=True),
    "ring full": Fault(act=_ring_overflows, asks_late=True, loss=Loss.RING, twice=True, kills=True, in_short=False),
    "agent stopped": Fault(act=_worker_stopped, asks_late=True),
    "agent throttled to a fifth": Fault(act=_worker_throttled, asks_late=True),
    "collector away": Fault(act=_collector_away),
    "collector slow": Fault(act=_collector(Trouble.SLOW)),
    "collector unavailable (503)": Fault(act=_collector(Trouble.UNAVAILABLE)),
    "collector refuses (400)": Fault(act=_collector(Trouble.REFUSING), loss=Loss.DROPPED),
    "collector away, spans on disk": Fault(act=_collector_away_and_little_room(disk_full=False), needs_disk=True, in_short=False),
    "collector away, disk full": Fault(
        act=_collector_away_and_little_room(disk_full=True), loss=Loss.DROPPED, needs_disk=True, in_short=False
    ),
    "collector cuts its answers": Fault(act=_collector(Trouble.CUTTING), twice=True),
    "HAProxy reloaded 20 times": Fault(act=_reloaded(20), loss=Loss.RECORDS),
}
