"""The queue of namespaces, by the hour in no time."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable

import pytest

from haproxy_telemetry_operator.cluster import ApiError
from haproxy_telemetry_operator.inventory import Inventory
from haproxy_telemetry_operator.own_traces import OwnTraces
from haproxy_telemetry_operator.telemetry import OperatorTelemetry
from haproxy_telemetry_operator.work_queue import WorkQueue

pytestmark = pytest.mark.looptime


class Looks:
    """A reconciler that takes the time it is told to, and notes when it was called."""

    def __init__(self) -> None:
        self.at: list[tuple[str, float]] = []
        self.again = 0.0
        self.seconds = 0.0
        self.error: Exception | None = None
        self.running: set[str] = set()
        self.most = 0

    async def __call__(self, namespace: str) -> float:
        assert namespace not in self.running, "two looks at a namespace at a time"
        self.at.append((namespace, round(asyncio.get_running_loop().time(), 2)))
        self.running.add(namespace)
        self.most = max(self.most, len(self.running))
        try:
            await asyncio.sleep(self.seconds)
            if self.error is not None:
                raise self.error
        finally:
            self.running.discard(namespace)
        return self.again

    def times(self, namespace: str = "shop") -> list[float]:
        return [time for name, time in self.at if name == namespace]


class Case:
    """A queue that runs."""

    def __init__(self) -> None:
        self.looks = Looks()
        self.telemetry = OperatorTelemetry(Inventory(), expires=lambda: None, watch_age_seconds=lambda: 0.0, api_calls=lambda: 0)
        self.queue = WorkQueue(self.looks, self.telemetry, OwnTraces({}), workers=3)

    def counted(self, result: str) -> float | None:
        return self.telemetry.registry.get_sample_value("haproxy_telemetry_operator_reconciles_total", {"result": result})


@pytest.fixture
async def case() -> AsyncIterator[Case]:
    case = Case()
    task = asyncio.create_task(case.queue.run())
    yield case
    assert not task.done()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_swarm_of_events_is_one_look(case: Case) -> None:
    for _ in range(100):
        case.queue.add("shop")
        await asyncio.sleep(0.001)
    assert len(case.queue) == 1
    await asyncio.sleep(10)
    assert case.looks.times() == [0.2]
    assert len(case.queue) == 0
    assert case.counted("ok") == 1


async def test_the_earlier_time_counts(case: Case) -> None:
    case.queue.add("shop", 100)
    case.queue.add("shop", 5)
    case.queue.add("shop", 50)
    await asyncio.sleep(200)
    assert case.looks.times() == [5]


async def test_it_is_looked_at_again_when_the_look_says_so(case: Case) -> None:
    case.looks.again = 60
    case.queue.add("shop", 0)
    await asyncio.sleep(150)
    assert case.looks.times() == [0, 60, 120]


async def test_one_look_at_a_namespace_at_a_time_and_what_happens_meanwhile_is_not_lost(case: Case) -> None:
    case.looks.seconds = 10
    case.queue.add("shop", 0)
    await asyncio.sleep(3)
    case.queue.add("shop")
    case.queue.add("other", 0)
    await asyncio.sleep(100)
    assert case.looks.times() == [0, 10]
    assert case.looks.times("other") == [3]


async def test_a_bounded_number_of_looks_at_once(case: Case) -> None:
    case.looks.seconds = 10
    for number in range(10):
        case.queue.add(f"n{number}", 0)
    await asyncio.sleep(100)
    assert len(case.looks.at) == 10
    assert case.looks.most == 3


@pytest.mark.parametrize(
    ("make", "result"),
    [(lambda: ApiError(500, "boom"), "api_error"), (lambda: KeyError("a bug"), "error"), (OSError, "error")],
)
async def test_what_fails_is_tried_later_and_later_and_never_ends_the_queue(
    case: Case, make: Callable[[], Exception], result: str
) -> None:
    case.looks.error = make()
    case.queue.add("shop", 0)
    await asyncio.sleep(200)
    times = case.looks.times()
    assert [round(after - before) for before, after in itertools.pairwise(times)] == [1, 2, 4, 8, 16, 32, 60, 60]
    assert case.counted(result) == len(times)
    case.looks.error = None
    await asyncio.sleep(60)
    case.looks.error = make()
    before = len(case.looks.times())
    case.queue.add("shop", 0)
    await asyncio.sleep(1.5)
    assert len(case.looks.times()) == before + 2, "a success begins the waiting anew"


async def test_another_namespace_does_not_wait_for_one_that_fails(case: Case) -> None:
    case.looks.error = ApiError(0, "away")
    case.queue.add("shop", 0)
    await asyncio.sleep(40)
    case.looks.error = None
    case.queue.add("other", 0)
    await asyncio.sleep(1)
    assert case.looks.times("other") == [40]
