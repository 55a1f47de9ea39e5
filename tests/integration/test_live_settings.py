"""Settings that change under a running agent, as editors, operators and Kubernetes change them."""

import asyncio
import contextlib
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import yaml

from support.agent import Agent, Settings
from support.haproxies import FoundHAProxy
from support.load import SteadyLoad
from support.otlp_sink import OtlpSink
from support.raw_client import request_head, single_request
from support.record_factory import framed, record
from support.site import running_site

TAKEN, REFUSED = 'config_reloads_total{result="ok"}', 'config_reloads_total{result="refused"}'


async def ask(port: int) -> str:
    """One request; returns its trace id."""
    trace_id = secrets.token_hex(16)
    answer = await single_request(port, request_head("/", headers={"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}))
    assert b" 200 " in answer
    return trace_id


async def send_record(agent: Agent) -> str:
    """Has one exchange end; returns its trace id."""
    trace_id = secrets.token_hex(16)
    host, _, port = agent.listen["records"].rpartition(":")
    before = (await agent.metrics())['exchanges_recorded_total{start="unanswered"}']
    _, writer = await asyncio.open_connection(host, int(port))
    with contextlib.closing(writer):
        writer.write(framed(record(traceparent=f"00-{trace_id}-00f067aa0ba902b7-01")))
        await agent.wait_for_metric('exchanges_recorded_total{start="unanswered"}', before + 1)
    return trace_id


@pytest.fixture
async def sink() -> AsyncIterator[OtlpSink]:
    async with OtlpSink() as running:
        yield running


async def test_sampling_changes_between_two_requests(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    async with running_site(found_haproxy, tmp_path) as site:
        agent = site.agent
        sampled = await ask(site.http_port)
        async with SteadyLoad(site.http_port) as load:
            agent.settings["sampling"] = {"type": "AlwaysOff"}
            agent.write_settings()
            await agent.process.wait_for_line("settings read again; changed: sampling.type", timeout_seconds=10)
            await load.wait_for_answers(20)
        assert {answer.status for answer in load.answers} == {200}
        off = await ask(site.http_port)
        agent.settings["sampling"] = {"type": "AlwaysOn"}
        agent.write_settings()
        agent.process.send_signal(signal.SIGHUP)
        await agent.wait_for_metric(TAKEN, 2)
        on_again = await ask(site.http_port)
        await site.sink.wait_for(lambda spans: len([span for span in spans if span.trace_id == on_again]) == 2)
        traces = {span.trace_id for span in site.sink.spans}
        assert (sampled in traces, off in traces) == (True, False)
        metrics = await agent.metrics()
        assert metrics["config_last_reload_successful"] == 1
        assert metrics['connections_total{kind="records",result="ok"}'] == 1


async def test_a_bad_file_is_refused_and_the_old_settings_go_on(sink: OtlpSink, tmp_path: Path) -> None:
    async with Agent(tmp_path, endpoint=sink.endpoint) as agent:
        started_seconds = (await agent.metrics())["config_reload_timestamp_seconds"]
        agent.settings_path.write_text("exporter: {timeout: soon}")
        line = await agent.process.wait_for_line("settings refused: exporter.timeout: 'soon': expected", timeout_seconds=10)
        assert line.endswith("; the old ones go on")
        metrics = await agent.metrics()
        assert (metrics["config_last_reload_successful"], metrics[REFUSED]) == (0, 1)
        assert metrics["config_reload_timestamp_seconds"] == started_seconds
        trace_id = await send_record(agent)
        await sink.wait_for(lambda spans: [span.trace_id for span in spans] == [trace_id])
        agent.write_settings()
        await agent.wait_for_metric(TAKEN, 1)
        metrics = await agent.metrics()
        assert metrics["config_last_reload_successful"] == 1
        assert metrics["config_reload_timestamp_seconds"] > started_seconds


async def test_a_configmaps_volume_swaps_its_link(sink: OtlpSink, tmp_path: Path) -> None:
    agent = Agent(tmp_path, endpoint=sink.endpoint)

    def version(name: str, settings: Settings) -> None:
        (tmp_path / name).mkdir()
        (tmp_path / name / agent.settings_path.name).write_text(yaml.safe_dump(settings))

    version("..2026_1", agent.settings)
    (tmp_path / "..data").symlink_to("..2026_1")
    agent.settings_path.symlink_to(f"..data/{agent.settings_path.name}")
    async with agent:
        version("..2026_2", agent.settings | {"resource": {"serviceName": "renamed"}})
        (tmp_path / "..data_tmp").symlink_to("..2026_2")
        (tmp_path / "..data_tmp").replace(tmp_path / "..data")
        await agent.wait_for_metric(TAKEN, 1)
        await send_record(agent)
        (span,) = await sink.wait_for(lambda spans: len(spans) == 1)
        assert span.resource["service.name"] == "renamed"


async def test_the_queue_goes_to_the_collector_that_new_settings_name(sink: OtlpSink, tmp_path: Path) -> None:
    async with Agent(tmp_path, endpoint="http://127.0.0.1:1") as agent:
        trace_ids = [await send_record(agent) for _ in range(3)]
        await agent.wait_for_metric('export_requests_total{code="unreachable"}', 1)
        agent.settings["exporter"] |= {"endpoint": sink.endpoint, "headers": [{"name": "x-key", "value": "secret"}]}
        agent.write_settings()
        agent.process.send_signal(signal.SIGHUP)
        spans = await sink.wait_for(lambda spans: len(spans) == 3, timeout_seconds=15)
        assert [span.trace_id for span in spans] == trace_ids
        assert sink.request_headers[0]["x-key"] == "secret"
        assert not [line for line in agent.process.lines if "secret" in line]
        metrics = await agent.metrics()
        assert {name: value for name, value in metrics.items() if name.startswith("spans_dropped_total") and value} == {}


async def test_what_needs_a_restart_and_what_haproxy_must_be_told_is_said(sink: OtlpSink, tmp_path: Path) -> None:
    async with Agent(tmp_path, endpoint=sink.endpoint) as agent:
        agent.settings |= {"limits": {"maxConnections": 5}, "spans": {"requestHeaders": ["X-Tenant"]}, "log": {"format": "json"}}
        agent.write_settings()
        agent.process.send_signal(signal.SIGHUP)
        await agent.process.wait_for_line("settings read again; changed: log.format, spans.requestHeaders")
        await agent.process.wait_for_line("settings that wait for a restart of the agent: limits.maxConnections")
        line = await agent.process.wait_for_line("HAProxy must be told")
        assert line.startswith('{"timestamp": ')


async def test_a_certificate_that_cannot_be_read_leaves_all_as_it_was(sink: OtlpSink, tmp_path: Path) -> None:
    async with Agent(tmp_path, endpoint=sink.endpoint) as agent:
        agent.settings["sampling"] = {"type": "AlwaysOff"}
        agent.settings["exporter"] |= {"tls": {"caFile": str(tmp_path / "none.pem")}}
        agent.write_settings()
        await agent.wait_for_metric(REFUSED, 1)
        trace_id = await send_record(agent)
        await sink.wait_for(lambda spans: [span.trace_id for span in spans] == [trace_id])
