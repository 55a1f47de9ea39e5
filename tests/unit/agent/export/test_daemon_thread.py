"""Work in a thread that nobody has to wait for."""

import asyncio
import threading

import pytest

from haproxy_telemetry_agent.export.daemon_thread import run_in_daemon_thread


async def test_its_result_comes_back() -> None:
    thread = await run_in_daemon_thread(threading.current_thread)
    assert thread is not threading.current_thread()
    assert thread.daemon


async def test_so_does_its_error() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await run_in_daemon_thread(fail)


async def test_the_loop_goes_on_meanwhile() -> None:
    event = threading.Event()
    waiting = asyncio.create_task(run_in_daemon_thread(lambda: event.wait(10)))
    await asyncio.sleep(0)
    assert not waiting.done()
    event.set()
    assert await waiting


@pytest.mark.parametrize("fails", [False, True])
async def test_who_has_given_up_hears_no_more_of_it(fails: bool) -> None:
    event = threading.Event()
    threads: list[threading.Thread] = []

    def work() -> None:
        threads.append(threading.current_thread())
        event.wait(10)
        if fails:
            raise ValueError("late")

    waiting = asyncio.create_task(run_in_daemon_thread(work))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    event.set()
    await asyncio.to_thread(threads[0].join)
    await asyncio.sleep(0)


def test_a_loop_that_is_closed_meanwhile() -> None:
    event = threading.Event()
    threads: list[threading.Thread] = []

    def work() -> None:
        threads.append(threading.current_thread())
        event.wait(10)

    async def give_up() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(run_in_daemon_thread(work), 0.01)

    asyncio.run(give_up())
    event.set()
    threads[0].join(10)
    assert not threads[0].is_alive()
