"""The access log: one log record for each exchange, with the ids of its SERVER span, whatever becomes of the trace."""

import asyncio
import contextlib
import os
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from textwrap import indent
from typing import Any

import grpc
import pytest
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsPartialSuccess, ExportLogsServiceResponse

from haproxy_telemetry_agent.wiring import Profile
from support.agent import Agent
from support.collector import Collector, collector_path
from support.greeter import GREETING, Greeter
from support.grpc_sink import GrpcAnswer, GrpcSink
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.otlp_sink import Answer, OtlpSink
from support.ports import ADDRESS, free_port
from support.raw_client import RawConnection, request_head, single_request
from support.record_factory import framed, record
from support.record_sender import send_records
from support.site import Site, running_site

CALLER = "00f067aa0ba902b7"
QUICK: dict[str, Any] = {"enabled": True, "batch": {"delay": "20ms"}}
SAME = {"url.path", "url.query", "http.response.status_code", "http.request.header.x-tenant", "error.type", "server.address"}
"""Attributes that are the same for two requests that differ in their traces."""
PRIVATE: dict[str, Any] = {
    "queryMode": "AllowList",
    "allowedQueryParameters": ["page"],
    "scrubPaths": [{"pattern": "^/users/[^/]+", "replacement": "/users/REDACTED"}],
    "requestHeaders": ["X-Tenant"],
}


@pytest.fixture
async def sink() -> AsyncIterator[OtlpSink]:
    async with OtlpSink() as running:
        yield running


def settings_of(endpoint: str, logs: dict[str, Any], **exporter: object) -> dict[str, Any]:
    return {"exporter": {"endpoint": endpoint, "batch": {"delay": "20ms"}, **exporter}, "logs": logs}


async def ask(site: Site, target: str, *, sampled: bool = True, headers: dict[str, str] | None = None) -> str:
    """One request; returns its trace id."""
    trace_id = secrets.token_hex(16)
    traceparent = {"traceparent": f"00-{trace_id}-{CALLER}-0{int(sampled)}"}
    await single_request(site.http_port, request_head(target, headers=traceparent | (headers or {})))
    return trace_id


@pytest.mark.parametrize("profile", ["Standard", "Full", "Stream"])
async def test_every_exchange_has_its_record(found_haproxy: FoundHAProxy, profile: Profile, tmp_path: Path) -> None:
    settings = {
        "profile": profile,
        "logs": QUICK,
        "spans": PRIVATE,
        "sampling": {"type": "ParentBasedAlwaysOn", "exclude": {"paths": ["/healthz"]}},
    }
    async with running_site(found_haproxy, tmp_path, settings=settings) as site:
        targets = ["/users/lovelace/cart?page=1&token=s3cret", "/deny", "/status/404", "/status/500"]
        sampled = [await ask(site, target, headers={"X-Tenant": "a"}) for target in targets]
        unsampled = [await ask(site, target, sampled=False, headers={"X-Tenant": "a"}) for target in targets]
        await ask(site, "/healthz")
        spans = await site.spans_of(9)
        records = await site.sink.wait_for_logs(lambda records: len(records) == 8)
        by_trace = {record.trace_id: record for record in records}
        assert by_trace.keys() == {*sampled, *unsampled}
        assert {span.trace_id for span in spans} == {*sampled}
        for span in [span for span in spans if span.kind == "SERVER"]:
            record = by_trace[span.trace_id]
            assert (record.span_id, record.flags, record.time_unix_nano) == (span.span_id, span.flags & 0xFF, span.end_unix_nano)
            assert record.attributes == span.attributes
            assert record.severity == record.severity_text == ("ERROR" if span.status_code == "ERROR" else "INFO")
            assert (record.resource, record.scope_name, record.schema_url) == (span.resource, span.scope_name, span.schema_url)
            assert record.observed_unix_nano >= record.time_unix_nano - 1_000_000_000
        for one, other in zip(sampled, unsampled, strict=True):
            assert (by_trace[one].flags & 1, by_trace[other].flags & 1) == (1, 0)
            assert len(by_trace[other].span_id) == 16
            assert by_trace[one].attributes.keys() == by_trace[other].attributes.keys()
            for name in SAME & by_trace[one].attributes.keys():
                assert by_trace[one].attributes[name] == by_trace[other].attributes[name]
        bodies = [str(by_trace[trace_id].body).rsplit(" ", 2)[0] for trace_id in (*sampled, *unsampled)]
        assert bodies == ["GET /users/REDACTED/cart 200", "GET /deny 403", "GET /status/404 404", "GET /status/500 500"] * 2
        assert [by_trace[trace_id].severity for trace_id in unsampled] == ["INFO", "INFO", "INFO", "ERROR"]
        assert by_trace[unsampled[0]].attributes["url.query"] == "page=1&token=REDACTED"
        assert not [record for record in records if "s3cret" in str(record) or "lovelace" in str(record)]
        metrics = await site.agent.metrics()
        assert metrics['log_records_made_total{severity="info"}'] == 6
        assert metrics['log_records_made_total{severity="error"}'] == 2
        assert not [line for line in site.agent.process.lines if "Traceback" in line]


async def test_excluded_requests_are_logged_if_asked_and_are_of_no_trace(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    settings = {"logs": QUICK | {"excludedRequests": True}, "sampling": {"exclude": {"paths": ["/healthz"]}}}
    async with running_site(found_haproxy, tmp_path, settings=settings) as site:
        await ask(site, "/healthz")
        (logged,) = await site.sink.wait_for_logs(lambda records: len(records) == 1)
        assert (logged.trace_id, logged.span_id, logged.flags) == ("", "", 0)
        assert str(logged.body).startswith("GET /healthz 200 ")
        assert logged.attributes["haproxy.sampling.reason"] == "excluded"
        assert await site.spans_of(1) == []


async def test_connections_have_theirs(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    port = free_port()
    async with OtlpSink() as sink, Greeter() as greeter:
        settings = settings_of(sink.endpoint, QUICK) | {"sampling": {"type": "TraceIDRatio", "ratio": 0.5}}
        async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
            config = f"""
defaults
    mode tcp
    option tcplog
    timeout connect 1s
    timeout client 3s
    timeout server 3s
frontend mail
    bind {ADDRESS}:{port}
{indent(agent.wiring("tcp-frontend"), "    ")}
    default_backend imap
backend imap
    server one {greeter.address}
{agent.wiring("sections")}"""
            async with HAProxy(config, tmp_path, binary=found_haproxy.path):
                for _ in range(30):
                    async with RawConnection.open(port) as connection:
                        await connection.read_exactly(len(GREETING))
                        connection.close()
                records = await sink.wait_for_logs(lambda records: len(records) == 30)
                await agent.wait_for_metric("spans_exported_total", (await agent.metrics())['spans_made_total{kind="server"}'] * 2)
        servers = {span.trace_id: span for span in sink.spans if span.kind == "SERVER"}
        assert 0 < len(servers) < 30
        assert {record.event_name for record in records} == {"haproxy.connection"}
        for record_ in records:
            assert str(record_.body).startswith("tcp mail ")
            span = servers.get(record_.trace_id)
            assert record_.flags & 1 == (span is not None)
            if span is not None:
                assert (record_.span_id, record_.attributes) == (span.span_id, span.attributes)


async def test_nobody_is_logged_unasked(sink: OtlpSink, tmp_path: Path) -> None:
    async with Agent(tmp_path, endpoint=sink.endpoint) as agent:
        await send_records(agent, 3)
        await agent.wait_for_metric("spans_exported_total", 3)
        assert not [name for name in await agent.metrics() if name.startswith("log_")]
    assert sink.log_request_headers == []


async def test_the_environment_alone_is_enough_and_secrets_of_traces_are_for_traces(tmp_path: Path) -> None:
    async with OtlpSink() as traces, OtlpSink() as logs:
        environment = os.environ | {
            "OTEL_LOGS_EXPORTER": "otlp",
            "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": f"{logs.endpoint}/v1/logs",
            "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION": "none",
            "OTEL_EXPORTER_OTLP_HEADERS": "x-all=both",
            "OTEL_EXPORTER_OTLP_TRACES_HEADERS": "x-traces=s3cret",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{traces.endpoint}/v1/traces",
            "OTEL_BLRP_SCHEDULE_DELAY": "20",
        }
        settings = {"exporter": {"batch": {"delay": "20ms"}}}
        async with Agent(tmp_path, endpoint="", settings=settings, environment=environment) as agent:
            trace_ids = await send_records(agent, 3)
            records = await logs.wait_for_logs(lambda records: len(records) == 3)
            await traces.wait_for(lambda spans: len(spans) == 3)
            assert [record.trace_id for record in records] == trace_ids
        assert "content-encoding" not in logs.log_request_headers[0]
        assert logs.log_request_headers[0]["x-all"] == "both"
        assert "x-traces" not in logs.log_request_headers[0]
        assert traces.request_headers[0]["x-traces"] == "s3cret"
        assert not [line for line in agent.process.lines if "s3cret" in line]


async def test_over_grpc(tmp_path: Path) -> None:
    async with GrpcSink() as sink:
        sink.grpc_log_answers.append(GrpcAnswer(code=grpc.StatusCode.UNAVAILABLE, retry_after_seconds=0))
        settings = settings_of(sink.endpoint, QUICK, protocol="grpc", headers=[{"name": "x-key", "value": "a"}])
        async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
            trace_ids = await send_records(agent, 50)
            records = await sink.wait_for_logs(lambda records: len(records) == 50)
            await agent.wait_for_metric("log_records_exported_total", 50)
            assert sorted(record.trace_id for record in records) == sorted(trace_ids)
            assert sink.log_request_headers[0]["x-key"] == "a"
            assert (await agent.metrics())['log_export_requests_total{code="UNAVAILABLE"}'] == 1
            assert not [line for line in agent.process.lines if "Traceback" in line]


async def test_a_collector_in_trouble_gets_the_same_records_again(sink: OtlpSink, tmp_path: Path) -> None:
    sink.log_answers.append(Answer(status=503, headers={"Retry-After": "0"}))
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings_of(sink.endpoint, QUICK)) as agent:
        trace_ids = await send_records(agent, 10)
        await agent.wait_for_metric("log_records_exported_total", 10)
        metrics = await agent.metrics()
    assert sorted(record.trace_id for record in sink.logs) == sorted(trace_ids)
    assert metrics['log_export_requests_total{code="503"}'] == 1
    assert metrics['export_requests_total{code="200"}'] >= 1


async def test_partial_success_is_counted_and_said(sink: OtlpSink, tmp_path: Path) -> None:
    partial = ExportLogsPartialSuccess(rejected_log_records=2, error_message="two were too old")
    sink.log_answers.append(Answer(status=200, body=ExportLogsServiceResponse(partial_success=partial).SerializeToString()))
    logs = {"enabled": True, "batch": {"delay": "500ms"}}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings_of(sink.endpoint, logs)) as agent:
        await send_records(agent, 5)
        await agent.wait_for_metric("log_records_exported_total", 3)
        assert (await agent.metrics())['log_records_dropped_total{reason="rejected"}'] == 2
    assert [line for line in agent.process.lines if "refused 2 of 5 log records: two were too old" in line]


async def test_logs_that_nobody_takes_cost_no_span(tmp_path: Path) -> None:
    async with OtlpSink() as traces, OtlpSink() as logs:
        logs.hang = True
        of_logs = {
            "enabled": True,
            "endpoint": f"{logs.endpoint}/v1/logs",
            "batch": {"delay": "20ms", "maxQueueRecords": 50, "maxBatchRecords": 10},
        }
        settings = settings_of(traces.endpoint, of_logs) | {"shutdownTimeout": "300ms"}
        async with Agent(tmp_path, endpoint=traces.endpoint, settings=settings) as agent:
            await send_records(agent, 200)
            await agent.wait_for_metric("spans_exported_total", 200)
            metrics = await agent.metrics()
            assert metrics["log_queue_size"] == metrics["log_queue_capacity"] == 50
            assert 1 <= 200 - 50 - metrics['log_records_dropped_total{reason="queue_full"}'] <= 10
            assert await agent.stop() == 0
        logs.hang = False


async def test_what_is_queued_leaves_at_the_end(sink: OtlpSink, tmp_path: Path) -> None:
    logs = {"enabled": True, "batch": {"delay": "60m"}}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings_of(sink.endpoint, logs)) as agent:
        trace_ids = await send_records(agent, 20)
        assert sink.logs == []
        assert await agent.stop() == 0
    assert sorted(record.trace_id for record in sink.logs) == sorted(trace_ids)


async def test_settings_change_under_it_but_it_comes_and_goes_at_a_start(sink: OtlpSink, tmp_path: Path) -> None:
    async with OtlpSink() as other:
        settings = settings_of(sink.endpoint, QUICK)
        async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
            await send_records(agent, 1)
            await sink.wait_for_logs(lambda records: len(records) == 1)
            # It follows the exporter that it takes its endpoint from, and a header of its own comes with it.
            agent.settings["exporter"]["endpoint"] = other.endpoint
            agent.settings["logs"] = QUICK | {"headers": [{"name": "x-new", "value": "1"}]}
            agent.write_settings()
            agent.process.send_signal(signal.SIGHUP)
            await agent.wait_for_metric('config_reloads_total{result="ok"}', 1)
            await send_records(agent, 1)
            await other.wait_for_logs(lambda records: len(records) == 1)
            assert other.log_request_headers[0]["x-new"] == "1"
            agent.settings["logs"] = {"enabled": False}
            agent.write_settings()
            agent.process.send_signal(signal.SIGHUP)
            await agent.process.wait_for_line("settings that wait for a restart of the agent: logs.")
            await send_records(agent, 1)
            await other.wait_for_logs(lambda records: len(records) == 2)
        assert len(sink.logs) == 1


async def test_through_a_real_collector(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    path = collector_path()
    if path is None:
        pytest.skip("rotel is not there for this Python")
    async with OtlpSink() as sink, Collector(path, destination=sink.endpoint) as collector:
        doors = [(collector.endpoint, "http/protobuf"), (collector.grpc_endpoint, "grpc")]
        for number, (endpoint, protocol) in enumerate(doors, 1):
            folder = tmp_path / str(number)
            folder.mkdir()
            settings = settings_of(endpoint, QUICK, protocol=protocol)
            async with running_site(one_haproxy, folder, endpoint=endpoint, settings=settings) as site:
                trace_id = await ask(site, "/", sampled=False)
                await site.agent.wait_for_metric("log_records_exported_total", 1)
                records = await sink.wait_for_logs(lambda records, number=number: len(records) == number)  # type: ignore[misc]
            logged = records[-1]
            assert (logged.trace_id, logged.severity, logged.flags) == (trace_id, "INFO", 0)
            assert str(logged.body).startswith("GET / 200 ")
            assert logged.attributes["haproxy.frontend.name"] == "edge"
            assert logged.resource["service.name"] == "edge"


async def test_the_memory_bound_counts_them(sink: OtlpSink, tmp_path: Path) -> None:
    """A record that is offered while memory is short is dropped like a span."""
    sink.hang = True
    settings = settings_of(sink.endpoint, {"enabled": True}, timeout="60m") | {"limits": {"maxMemoryBytes": 64 << 20}}
    settings["logs"]["batch"] = {"maxQueueRecords": 10_000_000, "maxQueueBytes": 1 << 30}
    settings["exporter"] = {"endpoint": sink.endpoint, "type": "none", "timeout": "60m"}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings | {"shutdownTimeout": "200ms"}) as agent:
        host, _, port = agent.listen["records"].rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        burst = b"".join(framed(record(HPO=f"/{'x' * 7_000}{number}")) for number in range(200))
        with contextlib.closing(writer):
            for _ in range(60):
                writer.write(burst)
                await writer.drain()
            await agent.wait_for_metric('log_records_dropped_total{reason="memory"}', 1, timeout_seconds=30)
    sink.hang = False
