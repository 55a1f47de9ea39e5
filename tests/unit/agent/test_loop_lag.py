"""How late the event loop is, on one whose clock the test turns."""

import asyncio
from collections.abc import Iterator

import pytest

from haproxy_telemetry_agent.loop_lag import LoopLag


class TurnedLoop(asyncio.SelectorEventLoop):
    """A loop whose time is what the test says."""

    now_seconds = 100.0

    def time(self) -> float:
        return self.now_seconds

    def pass_seconds(self, seconds: float) -> None:
        """All that is due after so long runs, late or not."""
        self.now_seconds += seconds
        self.call_soon(self.stop)
        self.run_forever()


@pytest.fixture
def loop() -> Iterator[TurnedLoop]:
    loop = TurnedLoop()
    yield loop
    loop.close()


def test_it_is_the_time_after_the_moment_that_was_due(loop: TurnedLoop) -> None:
    seen: list[float] = []
    lag = LoopLag(loop, seen.append)
    lag.start()
    loop.pass_seconds(0.25)
    assert seen == []
    loop.pass_seconds(0.25)
    loop.pass_seconds(0.5 + 0.125)
    assert seen == [0, 0.125]
    loop.pass_seconds(2.5)
    assert seen == [0, 0.125, 2.0]


def test_nothing_is_measured_after_the_end_nor_before_the_start(loop: TurnedLoop) -> None:
    seen: list[float] = []
    lag = LoopLag(loop, seen.append)
    lag.stop()
    loop.pass_seconds(1)
    lag.start()
    lag.stop()
    loop.pass_seconds(1)
    assert seen == []
