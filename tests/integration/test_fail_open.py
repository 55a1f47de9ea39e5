"""Whatever becomes of the agent, no request fails, and none waits for it longer than `timeout processing`, once.

The timeout is made long here (300 ms), so that waiting for the agent can be told from a busy machine.
"""

import secrets
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from support.agent import Agent
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.load import Answered, SteadyLoad
from support.otlp_sink import OtlpSink
from support.ports import free_port
from support.raw_client import request_head, single_request
from support.site import haproxy_config
from support.upstream import Upstream

PROCESSING_TIMEOUT_SECONDS = 0.3
MACHINE_SECONDS = 0.25
"""What a busy machine may add to a request that nobody delays."""


class Doors:
    """One HAProxy whose agent can be there, or not."""

    def __init__(self, agent: Agent, upstream: Upstream, haproxy: HAProxy, port: int) -> None:
        self.agent = agent
        self.upstream = upstream
        self.haproxy = haproxy
        self.port = port

    async def wait_until_agent_is(self, status: str) -> None:
        await self.haproxy.wait_for_server("haproxy-telemetry-spoa", "agent", status)


@pytest.fixture
async def doors(found_haproxy: FoundHAProxy, tmp_path: Path) -> AsyncIterator[Doors]:
    async with OtlpSink() as sink, Upstream() as upstream:
        settings = {"processingTimeout": f"{round(PROCESSING_TIMEOUT_SECONDS * 1000)}ms"}
        agent = Agent(tmp_path, endpoint=sink.endpoint)
        agent.settings.update(settings)
        port = free_port()
        agent.spoe_path.write_text(agent.wiring("spoe"))
        config = haproxy_config(agent, upstream, http_port=port, http2_port=free_port(), patient=False)
        async with HAProxy(config, tmp_path, binary=found_haproxy.path) as haproxy:
            try:
                yield Doors(agent, upstream, haproxy, port)
            finally:
                if agent.started:
                    await agent.process.stop()


def failed(answers: list[Answered]) -> list[Answered]:
    return [answer for answer in answers if answer.status != 200]


def slowest_seconds(load: SteadyLoad, since_seconds: float = 0.0) -> float:
    """Of the requests that began since then."""
    return max(load.waited_seconds(answer) for answer in load.answers if answer.start_seconds > since_seconds)


async def test_without_an_agent_the_callers_trace_reaches_the_server(doors: Doors) -> None:
    await doors.wait_until_agent_is("DOWN")
    trace_id = secrets.token_hex(16)
    caller = f"00-{trace_id}-00f067aa0ba902b7-01"
    answer = await single_request(doors.port, request_head("/", headers={"traceparent": caller, "tracestate": "foreign=1"}))
    assert b" 200 " in answer
    (request,) = doors.upstream.requests
    traceparent = request.header("traceparent") or ""
    assert traceparent.startswith(f"00-{trace_id}-")
    assert traceparent.endswith("-01")
    assert request.header_values("tracestate") == ["foreign=1"]


async def test_without_an_agent_a_request_waits_for_nothing(doors: Doors) -> None:
    await doors.wait_until_agent_is("DOWN")
    async with SteadyLoad(doors.port) as load:
        await load.wait_for_answers(100)
    assert not failed(load.answers)
    assert slowest_seconds(load) < PROCESSING_TIMEOUT_SECONDS


async def test_an_agent_killed_under_load_costs_at_most_one_timeout(doors: Doors) -> None:
    await doors.agent.start()
    await doors.wait_until_agent_is("UP")
    async with SteadyLoad(doors.port) as load:
        await load.wait_for_answers(50)
        doors.agent.process.send_signal(signal.SIGKILL)
        await doors.wait_until_agent_is("DOWN")
        down_seconds = time.monotonic()
        await load.wait_for_answers(100)
    assert not failed(load.answers)
    assert slowest_seconds(load) < PROCESSING_TIMEOUT_SECONDS + MACHINE_SECONDS
    assert slowest_seconds(load, down_seconds) < PROCESSING_TIMEOUT_SECONDS


async def test_a_hung_agent_is_left_out_until_it_is_back(doors: Doors) -> None:
    await doors.agent.start()
    await doors.wait_until_agent_is("UP")
    async with SteadyLoad(doors.port) as load:
        await load.wait_for_answers(50)
        doors.agent.process.send_signal(signal.SIGSTOP)
        try:
            await doors.wait_until_agent_is("DOWN")
            down_seconds = time.monotonic()
            await load.wait_for_answers(100)
            left_out = slowest_seconds(load, down_seconds)
        finally:
            doors.agent.process.send_signal(signal.SIGCONT)
        await doors.wait_until_agent_is("UP")
        answered = (await doors.agent.metrics())['exchanges_recorded_total{start="answered"}']
        await doors.agent.wait_for_metric('exchanges_recorded_total{start="answered"}', answered + 20)
    assert not failed(load.answers)
    assert slowest_seconds(load) < PROCESSING_TIMEOUT_SECONDS + MACHINE_SECONDS
    assert left_out < PROCESSING_TIMEOUT_SECONDS


async def test_a_collector_that_hangs_is_no_business_of_the_request(doors: Doors) -> None:
    doors.agent.settings["exporter"]["timeout"] = "60s"
    doors.agent.settings["shutdownTimeout"] = "300ms"
    async with OtlpSink() as hanging:
        hanging.hang = True
        doors.agent.settings["exporter"]["endpoint"] = hanging.endpoint
        await doors.agent.start()
        await doors.wait_until_agent_is("UP")
        async with SteadyLoad(doors.port) as load:
            await hanging.wait_for_requests(1)
            await load.wait_for_answers(200)
        hanging.hang = False
    assert not failed(load.answers)
    assert slowest_seconds(load) < PROCESSING_TIMEOUT_SECONDS
    metrics = await doors.agent.metrics()
    assert sum(value for name, value in metrics.items() if name.startswith("exchanges_answered_total")) >= 200
