"""The supervisor with workers of a few lines: it outlives them all, and ends when it is told to."""

import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent import supervisor
from haproxy_telemetry_agent.supervisor import RESTARTS_VARIABLE, WORKER_VARIABLE, delay_seconds
from support.probe import until
from support.process import Process

Supervised = Callable[..., Process]


@pytest.fixture
async def supervised() -> AsyncIterator[Supervised]:
    """Makes supervisors of a shell script; they are ended with the test."""
    made: list[Process] = []

    def make(script: str, *, kill_after_seconds: float = 10, program: str = "/bin/sh", workers: int = 1) -> Process:
        options = [str(kill_after_seconds), str(workers)]
        arguments = [sys.executable, "-I", "-S", supervisor.__file__, *options, program, "-c", script]
        made.append(Process("supervisor", arguments))
        return made[-1]

    yield make
    for process in made:
        await process.stop()


def worker(**reactions: str) -> str:
    """A Python program that does something at signals."""
    lines = ["import signal, sys"]
    for name, reaction in reactions.items():
        lines += [f"def on_{name}(*_):", f"    {reaction}", f"signal.signal(signal.{name}, on_{name})"]
    return "\n".join([*lines, "print('ready', flush=True)", "while True: signal.pause()"])


async def all_ready(process: Process, workers: int) -> None:
    async def are_ready() -> bool:
        # Two may write into one line.
        return "".join(process.lines).count("ready") == workers

    await process.while_alive(until(are_ready, what="all workers are ready"), what="their start")


def test_delays_grow_from_a_moment_to_a_bound() -> None:
    assert [delay_seconds(ends) for ends in range(1, 9)] == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0]


@given(ends=st.integers(1, 10**9))
def test_no_number_of_ends_is_too_many(ends: int) -> None:
    assert 0.2 <= delay_seconds(ends) <= delay_seconds(ends + 1) <= 15.0


async def test_a_worker_that_ends_is_restarted_and_told_how_often(supervised: Supervised) -> None:
    process = supervised(f'echo "restarts ${RESTARTS_VARIABLE}"; exit 2')
    await process.start()
    for restarts in range(3):
        await process.wait_for_line(f"restarts {restarts}")
        await process.wait_for_line(f"ended with exit code 2; restart {restarts + 1} in {delay_seconds(restarts + 1):g} s")
    assert process.status is None
    assert await process.stop() == 0  # no worker runs: nothing was lost


async def test_a_worker_that_is_killed_is_restarted(supervised: Supervised) -> None:
    process = supervised('echo "pid $$"; exec sleep 60')
    await process.start()
    first = await process.wait_for_line("pid ")
    os.kill(int(first.split()[1]), signal.SIGKILL)
    await process.wait_for_line("ended with signal 9; restart 1 in 0.2 s")
    await process.wait_for_line("pid ", since=len(process.lines))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("exit_code", [0, 3])
async def test_it_ends_as_its_worker_drains(supervised: Supervised, number: signal.Signals, exit_code: int) -> None:
    process = supervised(worker(SIGTERM=f"print('draining', flush=True); sys.exit({exit_code})"), program=sys.executable)
    await process.start()
    await process.wait_for_line("ready")
    process.send_signal(number)
    await process.wait_for_line("draining")
    assert await process.stop() == (0 if exit_code == 0 else 1)


async def test_a_worker_that_does_not_end_is_killed(supervised: Supervised) -> None:
    process = supervised("trap '' TERM; echo ready; exec sleep 60", kill_after_seconds=0.2)
    await process.start()
    await process.wait_for_line("ready")
    process.send_signal(signal.SIGTERM)
    await process.wait_for_line("has not ended within 0.2 s and is killed")
    assert await process.stop() == 1


async def test_sighup_is_handed_on(supervised: Supervised) -> None:
    process = supervised(worker(SIGHUP="print('hangup', flush=True)", SIGTERM="sys.exit(0)"), program=sys.executable)
    await process.start()
    await process.wait_for_line("ready")
    process.send_signal(signal.SIGHUP)
    await process.wait_for_line("hangup")
    assert await process.stop() == 0


async def test_sighup_ends_the_wait_for_the_next_worker(supervised: Supervised) -> None:
    process = supervised("exit 2")
    await process.start()
    await process.wait_for_line("restart 5 in 3.2 s", timeout_seconds=15)
    process.send_signal(signal.SIGHUP)
    await process.wait_for_line("restart 6 in 6.4 s", timeout_seconds=2.5)


async def test_a_worker_that_cannot_be_started_is_tried_again(supervised: Supervised, tmp_path: Path) -> None:
    process = supervised("echo here", program=f"{tmp_path}/sh")
    await process.start()
    await process.wait_for_line("the worker can't be started: No such file or directory; restart 1 in 0.2 s")
    (tmp_path / "sh").symlink_to("/bin/sh")
    await process.wait_for_line("here")


async def test_several_workers_are_told_apart_and_restarted_each_by_itself(supervised: Supervised) -> None:
    process = supervised(f'echo "worker ${WORKER_VARIABLE} restarts ${RESTARTS_VARIABLE} pid $$"; exec sleep 60', workers=3)
    await process.start()
    for number in (0, 2):
        await process.wait_for_line(f"worker {number}/3 restarts 0 ")
    line = await process.wait_for_line("worker 1/3 restarts 0 ")
    os.kill(int(line.split()[-1]), signal.SIGKILL)
    await process.wait_for_line("worker 1/3 restarts 1 ")
    assert len([line for line in process.lines if " restarts " in line]) == 4
    assert await process.stop() == 0


@pytest.mark.parametrize(("failing", "exit_code"), [("none", 0), ("0/2", 1), ("1/2", 1)])
async def test_it_ends_when_all_workers_have_and_well_if_all_did(supervised: Supervised, failing: str, exit_code: int) -> None:
    reaction = f"import os; sys.exit(3 if os.environ['{WORKER_VARIABLE}'] == '{failing}' else 0)"
    process = supervised(worker(SIGTERM=reaction), program=sys.executable, workers=2)
    await process.start()
    await all_ready(process, 2)
    assert await process.stop() == exit_code


async def test_a_worker_that_does_not_end_does_not_keep_the_others(supervised: Supervised) -> None:
    script = f"[ ${WORKER_VARIABLE} = 0/2 ] && trap '' TERM; echo ready; exec sleep 60"
    process = supervised(script, kill_after_seconds=0.3, workers=2)
    await process.start()
    await all_ready(process, 2)
    assert await process.stop() == 1
    assert len([line for line in process.lines if "is killed" in line]) == 1


async def test_it_imports_next_to_nothing(supervised: Supervised) -> None:
    process = supervised("echo ready; exec sleep 60")
    await process.start()
    await process.wait_for_line("ready")
    status = Path(f"/proc/{process.pid}/status").read_text()
    (anonymous,) = (line.split()[1] for line in status.splitlines() if line.startswith("RssAnon:"))
    assert int(anonymous) < 8 * 1024  # KiB
