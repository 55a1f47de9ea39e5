"""The agent's start and end, as systemd, probes and HAProxy see them."""

import asyncio
import contextlib
import os
import secrets
import signal
import socket
import time
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from support.agent import Agent
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.otlp_sink import OtlpSink
from support.ports import free_port
from support.probe import until
from support.raw_client import RawConnection, request_head
from support.record_factory import framed, record
from support.site import haproxy_config
from support.upstream import Upstream

COLLECTOR_AWAY = "http://127.0.0.1:1"


@pytest.fixture
async def sink() -> AsyncIterator[OtlpSink]:
    async with OtlpSink() as running:
        yield running


def record_of(trace_id: str) -> bytes:
    return framed(record(traceparent=f"00-{trace_id}-00f067aa0ba902b7-01"))


@contextlib.asynccontextmanager
async def ring(agent: Agent) -> AsyncIterator[asyncio.StreamWriter]:
    """A connection as HAProxy's ring keeps it."""
    host, _, port = agent.listen["records"].rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    try:
        await agent.wait_for_metric('open_connections{kind="records"}', 1)
        yield writer
    finally:
        writer.close()


class TestSystemd:
    async def test_each_state_is_told(self, tmp_path: Path) -> None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            manager.bind(str(tmp_path / "notify"))
            manager.setblocking(False)
            loop = asyncio.get_running_loop()

            async def told() -> str:
                async with asyncio.timeout(10):
                    return (await loop.sock_recv(manager, 200)).decode()

            environment = {**os.environ, "NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "1000000"}
            async with Agent(tmp_path, endpoint=COLLECTOR_AWAY, environment=environment) as agent:
                assert await told() == "READY=1"
                assert await told() == "WATCHDOG=1"  # its loop turns
                agent.process.send_signal(signal.SIGHUP)
                states = []
                while not states or states[-1] != "READY=1":
                    states.append(await told())
                (reloading,) = (state for state in states if state.startswith("RELOADING=1\nMONOTONIC_USEC="))
                assert 0 <= time.monotonic() - int(reloading.rpartition("=")[2]) / 1e6 < 10
                assert await agent.stop() == 0
                while (state := await told()) == "WATCHDOG=1":
                    pass
                assert state == "STOPPING=1"


class TestProbes:
    async def test_ready_and_alive_without_a_collector(self, tmp_path: Path) -> None:
        async with Agent(tmp_path, endpoint=COLLECTOR_AWAY) as agent:
            async with ring(agent) as writer:
                writer.write(record_of(secrets.token_hex(16)))
                await agent.wait_for_metric('export_requests_total{code="unreachable"}', 1)
            assert await statuses(agent) == {"/readyz": 200, "/healthz": 200}

    async def test_an_agent_that_ends_is_alive_and_not_ready(self, tmp_path: Path) -> None:
        settings = {"drainTimeout": "10s", "shutdownTimeout": "20s"}
        async with Agent(tmp_path, endpoint=COLLECTOR_AWAY, settings=settings) as agent:
            async with ring(agent):
                agent.process.send_signal(signal.SIGTERM)

                async def is_not_ready() -> bool:
                    return await statuses(agent) == {"/readyz": 503, "/healthz": 200}

                await until(is_not_ready, what="the agent is not ready any more")
            assert await agent.stop() == 0


async def statuses(agent: Agent) -> dict[str, int]:
    async with aiohttp.ClientSession(f"http://{agent.listen['http']}") as session:
        found = {}
        for path in ("/readyz", "/healthz"):
            async with session.get(path) as response:
                found[path] = response.status
        return found


class TestDrain:
    async def test_the_record_of_a_download_that_ends_meanwhile_is_taken(
        self, found_haproxy: FoundHAProxy, sink: OtlpSink, tmp_path: Path
    ) -> None:
        settings = {"drainTimeout": "10s", "shutdownTimeout": "20s"}
        trace_id = secrets.token_hex(16)
        async with Upstream() as upstream, Agent(tmp_path, endpoint=sink.endpoint) as agent:
            agent.settings |= settings
            agent.write_settings()
            agent.spoe_path.write_text(agent.wiring("spoe"))
            await agent.wait_for_metric('config_reloads_total{result="ok"}', 1)
            port = free_port()
            config = haproxy_config(agent, upstream, http_port=port, http2_port=free_port())
            async with HAProxy(config, tmp_path, binary=found_haproxy.path) as haproxy:
                await haproxy.wait_for_server("haproxy-telemetry-spoa", "agent", "UP")
                async with RawConnection.open(port) as connection:
                    await connection.send(request_head("/hold", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}))
                    await upstream.wait_for_request(lambda request: request.path == "/hold")
                    await agent.wait_for_metric('connections_total{kind="records",result="ok"}', 1)
                    agent.process.send_signal(signal.SIGTERM)
                    await agent.wait_for_metric('disconnects_total{code="normal"}', 1)
                    upstream.release()
                    assert b" 200 " in await connection.read_all()
                await agent.wait_for_metric('exchanges_recorded_total{start="answered"}', 1)
            # HAProxy's end is the end of waiting for it.
            start_seconds = time.monotonic()
            assert await agent.stop() == 0
            assert time.monotonic() - start_seconds < 5
        assert sorted(span.kind for span in sink.spans if span.trace_id == trace_id) == ["CLIENT", "SERVER"]

    async def test_a_haproxy_that_stays_is_waited_for_no_longer_than_the_limit(self, sink: OtlpSink, tmp_path: Path) -> None:
        async with Agent(tmp_path, endpoint=sink.endpoint, settings={"drainTimeout": "300ms"}) as agent:
            async with ring(agent) as writer:
                start_seconds = time.monotonic()
                agent.process.send_signal(signal.SIGTERM)
                trace_id = secrets.token_hex(16)
                writer.write(record_of(trace_id))
                assert await agent.stop() == 0
                assert 0.3 <= time.monotonic() - start_seconds < 4
        assert [span.trace_id for span in sink.spans] == [trace_id]

    async def test_nothing_holds_it_back_for_longer_than_the_limit(self, sink: OtlpSink, tmp_path: Path) -> None:
        """A collector that hangs, a ring that stays, and somebody who keeps a connection to the endpoint open."""
        sink.hang = True
        settings = {"drainTimeout": "10s", "shutdownTimeout": "1s"}
        async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
            host, _, port = agent.listen["http"].rpartition(":")
            _, scraper = await asyncio.open_connection(host, int(port))
            with contextlib.closing(scraper):
                scraper.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\nGET /metrics HTTP/1.1\r\n")
                async with ring(agent) as writer:
                    writer.write(record_of(secrets.token_hex(16)))
                    await sink.wait_for_requests(1)
                    start_seconds = time.monotonic()
                    assert await agent.stop() == 0
                    assert time.monotonic() - start_seconds < 3
        sink.hang = False
