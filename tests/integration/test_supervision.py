"""`run --supervise`, as PID 1 of a sidecar is started: whatever becomes of the agent, the process stays, and no request fails."""

import os
import re
import signal
from pathlib import Path

import yaml

from support.agent import PROGRAM, Agent
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.load import SteadyLoad
from support.otlp_sink import OtlpSink
from support.ports import free_port
from support.probe import until
from support.process import Process
from support.site import haproxy_config
from support.upstream import Upstream

COLLECTOR_AWAY = "http://127.0.0.1:1"


def workers(process: Process) -> list[int]:
    """Process ids of all workers so far, the present one last."""
    return [int(found[1]) for line in process.lines if (found := re.search(r"supervisor: worker (\d+) started", line))]


async def test_a_killed_worker_is_back_in_place_and_no_request_fails(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    async with OtlpSink() as sink, Upstream() as upstream, Agent(tmp_path, endpoint=sink.endpoint, supervised=True) as agent:
        agent.spoe_path.write_text(agent.wiring("spoe"))
        port = free_port()
        config = haproxy_config(agent, upstream, http_port=port, http2_port=free_port())
        async with HAProxy(config, tmp_path, binary=one_haproxy.path) as haproxy:
            await haproxy.wait_for_server("haproxy-telemetry-spoa", "agent", "UP")
            async with SteadyLoad(port) as load:
                for restarts in (1, 2):
                    await load.wait_for_answers(50)
                    os.kill(workers(agent.process)[-1], signal.SIGKILL)
                    await agent.process.wait_for_line(f"ended with signal 9; restart {restarts} in ", timeout_seconds=10)

                    async def is_back(restarts: int = restarts) -> bool:
                        return await answers(agent) and (await agent.metrics())["worker_restarts_total"] == restarts

                    await until(is_back, what="the worker is back", timeout_seconds=20)
                await agent.wait_for_metric('exchanges_recorded_total{start="answered"}', 20)
        assert [answer for answer in load.answers if answer.status != 200] == []
        assert agent.process.status is None
        assert len(set(workers(agent.process))) == 3
        assert await agent.stop() == 0


async def answers(agent: Agent) -> bool:
    try:
        return await agent._is_ready()
    except OSError:
        return False


async def test_wrong_settings_keep_it_waiting_for_better_ones(tmp_path: Path) -> None:
    agent = Agent(tmp_path, endpoint=COLLECTOR_AWAY)
    agent.settings_path.write_text("exporter: {timeout: soon}")
    async with Process("supervisor", [PROGRAM, "run", "--supervise", "--config", agent.settings_path]) as process:
        complaint = "exporter.timeout: 'soon': expected a whole number with us, ms, s or m, such as 10s"
        for restarts in (1, 2):
            await process.wait_for_line(complaint, timeout_seconds=10)
            await process.wait_for_line(f"ended with exit code 2; restart {restarts} in ", timeout_seconds=10)
        agent.settings_path.write_text(yaml.safe_dump(agent.settings))

        async def is_ready() -> bool:
            return await answers(agent)

        await until(is_ready, what="the agent is ready", timeout_seconds=20)
        assert not [line for line in process.lines if "Traceback" in line]
        assert await process.stop(timeout_seconds=20) == 0


async def test_sigterm_drains_the_worker(tmp_path: Path) -> None:
    listen = {name: f"unix:{tmp_path}/{name}.sock" for name in ("spop", "records")}
    async with Agent(tmp_path, endpoint=COLLECTOR_AWAY, listen=listen, supervised=True) as agent:
        (worker,) = workers(agent.process)
        assert await agent.stop() == 0
        assert [line for line in agent.process.lines if line.endswith("service: stopped")]
        assert not Path(f"/proc/{worker}").exists()
    assert list(tmp_path.glob("*.sock")) == []


async def test_sighup_reaches_the_worker(tmp_path: Path) -> None:
    async with Agent(tmp_path, endpoint=COLLECTOR_AWAY, supervised=True) as agent:
        agent.process.send_signal(signal.SIGHUP)
        await agent.process.wait_for_line("settings read again; changed: nothing")
        assert len(workers(agent.process)) == 1


async def test_it_stays_small(tmp_path: Path) -> None:
    async with Agent(tmp_path, endpoint=COLLECTOR_AWAY, supervised=True) as agent:
        lines = Path(f"/proc/{agent.process.pid}/status").read_text().splitlines()
        (rss,) = (int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        assert rss < 16 * 1024  # KiB; its libraries, which the worker shares, included


WORKERS = 3


async def test_workers_share_the_work_and_a_killed_one_costs_no_request(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    """Each thread of HAProxy has SPOP connections of its own, which the kernel deals out; the ring has one, so one worker has all
    records: most of them with a token that another one has made.
    """
    async with (
        OtlpSink() as sink,
        Upstream() as upstream,
        Agent(tmp_path, endpoint=sink.endpoint, supervised=True, workers=WORKERS) as agent,
    ):
        agent.spoe_path.write_text(agent.wiring("spoe"))
        port = free_port()
        config = haproxy_config(agent, upstream, http_port=port, http2_port=free_port(), threads=4)

        async def counted(name: str) -> list[float]:
            return [(await agent.metrics(worker))[name] for worker in range(WORKERS)]

        async def all_listen() -> bool:
            try:
                return len(await counted('open_connections{kind="spop"}')) == WORKERS
            except OSError:
                return False

        await until(all_listen, what="all workers listen", timeout_seconds=20)
        async with HAProxy(config, tmp_path, binary=found_haproxy.path) as haproxy:
            await haproxy.wait_for_server("haproxy-telemetry-spoa", "agent", "UP")

            async with SteadyLoad(port, clients=8) as load:

                async def several_answer() -> bool:
                    answering = [count > 0 for count in await counted('messages_total{message="haproxy-telemetry-request"}')]
                    return sum(answering) > 1

                await until(several_answer, what="more than one worker answers", timeout_seconds=30)
                await load.wait_for_answers(50)

            async def all_exported() -> bool:
                recorded = [
                    sum(await counted(f'exchanges_recorded_total{{start="{start}"}}')) for start in ("answered", "unanswered")
                ]
                made = [sum(await counted(f'spans_made_total{{kind="{kind}"}}')) for kind in ("server", "client")]
                ids = {span.span_id for span in sink.spans}
                return sum(recorded) >= len(load.answers) and sum(made) == len(sink.spans) == len(ids) >= 2 * len(load.answers)

            await until(all_exported, what="all exchanges are recorded and exported, once", timeout_seconds=20)
            assert [answer for answer in load.answers if answer.status != 200] == []

            async with SteadyLoad(port) as load:
                for worker in workers(agent.process)[:2]:
                    os.kill(worker, signal.SIGKILL)
                    await load.wait_for_answers(50)
                await until(all_listen, what="all workers are back", timeout_seconds=20)
            assert [answer for answer in load.answers if answer.status != 200] == []
        assert len(set(workers(agent.process))) == WORKERS + 2
        assert await agent.stop() == 0
        assert not [line for line in agent.process.lines if "Traceback" in line]


async def test_addresses_that_workers_cannot_share(tmp_path: Path) -> None:
    agent = Agent(tmp_path, endpoint=COLLECTOR_AWAY, listen={"spop": f"unix:{tmp_path}/spop.sock"})
    agent.write_settings()
    async with Process("supervisor", [PROGRAM, "run", "--supervise", "--workers=2", "--config", agent.settings_path]) as process:
        await process.wait_for_line("a unix socket can't be shared by 2 workers: use host:port", timeout_seconds=10)
        await process.wait_for_line("ended with exit code 2", timeout_seconds=10)
        # The next one may be there already, and is no better.
        assert await process.stop(timeout_seconds=20) in {0, 1}
        assert not [line for line in process.lines if "Traceback" in line]
