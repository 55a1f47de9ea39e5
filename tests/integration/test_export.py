"""Export to collectors in every mood, from records that a stand-in for HAProxy's ring sends; and once through a real collector."""

import asyncio
import dataclasses
import json
import os
import secrets
import ssl
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from support.agent import Agent
from support.collector import Collector, collector_path
from support.haproxies import FoundHAProxy
from support.otlp_sink import Answer, OtlpSink
from support.probe import until
from support.raw_client import request_head, single_request
from support.record_sender import send_records
from support.site import running_site
from support.tunnel import tunnel


@pytest.fixture
async def sink() -> AsyncIterator[OtlpSink]:
    async with OtlpSink() as running:
        yield running


def exporter(endpoint: str, **more: object) -> dict[str, object]:
    return {"exporter": {"endpoint": endpoint, "batch": {"delay": "20ms"}, **more}}


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_spans_arrive_with_the_headers_that_were_set(sink: OtlpSink, tmp_path: Path, compression: str) -> None:
    headers = [{"name": "authorization", "value": "Bearer secret"}]
    settings = exporter(sink.endpoint, compression=compression, headers=headers) | {"log": {"level": "debug"}}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
        (trace_id,) = await send_records(agent, 1)
        (span,) = await sink.wait_for(lambda spans: len(spans) == 1)
        assert span.trace_id == trace_id
        assert sink.request_headers[0]["authorization"] == "Bearer secret"
        assert sink.request_headers[0].get("content-encoding") == (None if compression == "none" else "gzip")
        assert sink.request_headers[0]["user-agent"].startswith("haproxy-telemetry-agent/")
    assert not [line for line in agent.process.lines if "secret" in line]


async def test_the_environment_says_what_the_file_does_not(sink: OtlpSink, tmp_path: Path) -> None:
    environment = {
        "OTEL_SERVICE_NAME": "from-environment",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test,team=a%20b",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=percent%20encoded",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1",
        "OTEL_TRACES_SAMPLER": "nonsense",
    }
    settings = exporter(sink.endpoint) | {"resource": {}}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings, environment=environment) as agent:
        await send_records(agent, 1)
        (span,) = await sink.wait_for(lambda spans: len(spans) == 1)
    assert span.resource["service.name"] == "from-environment"
    assert (span.resource["deployment.environment.name"], span.resource["team"]) == ("test", "a b")
    assert sink.request_headers[0]["x-key"] == "percent encoded"
    assert [line for line in agent.process.lines if "sampler 'nonsense'" in line and "ParentBasedAlwaysOn is used" in line]


async def test_a_collector_in_trouble_gets_the_same_spans_again(sink: OtlpSink, tmp_path: Path) -> None:
    sink.answers.extend([Answer(status=503, headers={"Retry-After": "0"}), Answer(status=429, headers={"Retry-After": "0"})])
    async with Agent(tmp_path, endpoint=sink.endpoint) as agent:
        trace_ids = await send_records(agent, 10)
        spans = await sink.wait_for(lambda spans: len(spans) >= 10)
        assert sorted(span.trace_id for span in spans) == sorted(trace_ids)
        await agent.wait_for_metric("spans_exported_total", 10)
        metrics = await agent.metrics()
    assert metrics['export_requests_total{code="503"}'] == metrics['export_requests_total{code="429"}'] == 1
    assert {name: value for name, value in metrics.items() if name.startswith("spans_dropped_total") and value} == {}


async def test_a_collector_that_comes_late_gets_everything(tmp_path: Path) -> None:
    async with OtlpSink() as sink:
        port, endpoint = sink.port, sink.endpoint
    async with Agent(tmp_path, endpoint=endpoint) as agent:
        trace_ids = await send_records(agent, 10)
        await agent.wait_for_metric('export_requests_total{code="unreachable"}', 1)
        async with OtlpSink(port=port) as sink:
            spans = await sink.wait_for(lambda spans: len(spans) >= 10, timeout_seconds=15)
            assert sorted(span.trace_id for span in spans) == sorted(trace_ids)


@pytest.mark.parametrize("status", [400, 401, 404, 301])
async def test_what_a_collector_rejects_is_dropped_counted_and_said(sink: OtlpSink, tmp_path: Path, status: int) -> None:
    sink.answers.append(Answer(status=status, headers={"Location": "http://127.0.0.1:1/elsewhere"}, body=b"no room for you"))
    async with Agent(tmp_path, endpoint=sink.endpoint) as agent:
        await send_records(agent, 1)
        await agent.wait_for_metric('spans_dropped_total{reason="rejected"}', 1)
        assert sink.request_count == 1
    assert [line for line in agent.process.lines if f"{status} no room for you" in line]


async def test_partial_success_is_counted_and_said(sink: OtlpSink, tmp_path: Path) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="two were too old")
    sink.answers.append(Answer(status=200, body=ExportTraceServiceResponse(partial_success=partial).SerializeToString()))
    settings = {"exporter": {"endpoint": sink.endpoint, "batch": {"delay": "500ms"}}}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
        await send_records(agent, 5)
        await agent.wait_for_metric("spans_exported_total", 3)
        assert (await agent.metrics())['spans_dropped_total{reason="rejected"}'] == 2
    assert [line for line in agent.process.lines if "two were too old" in line]


async def test_a_full_queue_drops_and_counts_and_takes_no_more_memory(sink: OtlpSink, tmp_path: Path) -> None:
    sink.hang = True
    settings = {
        "exporter": {"endpoint": sink.endpoint, "batch": {"delay": "20ms", "maxQueueSpans": 50, "maxBatchSpans": 10}},
        "shutdownTimeout": "200ms",
    }
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
        await send_records(agent, 200)
        metrics = await agent.metrics()
        assert metrics["queue_size"] == 50
        in_flight = 200 - 50 - metrics['spans_dropped_total{reason="queue_full"}']
        assert 1 <= in_flight <= 10
        assert await agent.stop() == 0
    sink.hang = False


def write_client_certificate(folder: Path, authority: trustme.CA) -> None:
    client = authority.issue_cert("agent@example.org")
    client.private_key_pem.write_to_path(str(folder / "key.pem"))
    client.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))


def mutual_tls(authority: trustme.CA, folder: Path) -> tuple[ssl.SSLContext, dict[str, str]]:
    """A server's context, and the settings of a client that it believes."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    context.verify_mode = ssl.CERT_REQUIRED
    authority.configure_trust(context)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    write_client_certificate(folder, authority)
    names = {"caFile": "ca.pem", "certificateFile": "cert.pem", "keyFile": "key.pem"}
    return context, {field: str(folder / name) for field, name in names.items()}


async def test_tls_with_a_private_authority(tmp_path: Path) -> None:
    context, tls = mutual_tls(trustme.CA(), tmp_path)
    async with OtlpSink(tls=context) as sink:
        async with Agent(tmp_path, endpoint=sink.endpoint, settings=exporter(sink.endpoint, tls=tls)) as agent:
            await send_records(agent, 1)
            await sink.wait_for(lambda spans: len(spans) == 1)


async def test_a_certificate_that_is_renewed_is_used(tmp_path: Path) -> None:
    authority = trustme.CA()
    context, tls = mutual_tls(authority, tmp_path)
    write_client_certificate(tmp_path, trustme.CA())
    async with OtlpSink(tls=context) as sink:
        async with Agent(tmp_path, endpoint=sink.endpoint, settings=exporter(sink.endpoint, tls=tls)) as agent:
            await send_records(agent, 1)
            await agent.wait_for_metric('export_requests_total{code="unreachable"}', 1)
            assert sink.spans == []
            write_client_certificate(tmp_path, authority)
            await sink.wait_for(lambda spans: len(spans) == 1, timeout_seconds=10)
        assert [line for line in agent.process.lines if "the certificates were read again" in line]


async def test_a_header_is_read_from_its_file_again(sink: OtlpSink, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("Bearer first-s3cret\n")
    headers = [{"name": "Authorization", "valueFile": str(token)}]
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=exporter(sink.endpoint, headers=headers)) as agent:
        await send_records(agent, 1)
        await sink.wait_for(lambda spans: len(spans) == 1)
        token.write_text("Bearer second\n")
        await send_records(agent, 1)
        await sink.wait_for(lambda spans: len(spans) == 2)
    assert [headers["Authorization"] for headers in sink.request_headers] == ["Bearer first-s3cret", "Bearer second"]
    assert not [line for line in agent.process.lines if "s3cret" in line]


async def test_a_unix_socket(tmp_path: Path) -> None:
    async with OtlpSink(unix_path=tmp_path / "collector.sock") as sink:
        async with Agent(tmp_path, endpoint=sink.endpoint) as agent:
            await send_records(agent, 1)
            await sink.wait_for(lambda spans: len(spans) == 1)


async def test_a_proxy_of_the_environment_and_no_secrets_from_elsewhere(sink: OtlpSink, tmp_path: Path) -> None:
    """The sink plays the proxy: it does not mind being asked for somebody else's URL."""
    (tmp_path / ".netrc").write_text("machine collector.invalid login a password b\n")
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    environment["http_proxy"] = sink.endpoint.replace("://", "://user:pass@")
    environment["HOME"] = str(tmp_path)
    settings = exporter("http://collector.invalid:4318", headers=[{"name": "authorization", "value": "Bearer x"}])
    async with Agent(tmp_path, endpoint="", settings=settings, environment=environment) as agent:
        await send_records(agent, 1)
        await sink.wait_for(lambda spans: len(spans) == 1)
    (headers,) = sink.request_headers
    assert (headers["Host"], headers["Authorization"]) == ("collector.invalid:4318", "Bearer x")
    assert headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"


@pytest.mark.parametrize("bypassed", [False, True])
async def test_tls_through_a_proxy_or_past_it(tmp_path: Path, bypassed: bool) -> None:
    context, tls = mutual_tls(trustme.CA(), tmp_path)
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    async with OtlpSink(tls=context) as sink, tunnel(sink.port) as (proxy, asked):
        environment["HTTPS_PROXY"] = proxy
        endpoint = sink.endpoint if bypassed else "https://127.0.0.1:4318"
        if bypassed:
            environment["NO_PROXY"] = "127.0.0.1"
        async with Agent(tmp_path, endpoint="", settings=exporter(endpoint, tls=tls), environment=environment) as agent:
            await send_records(agent, 1)
            await sink.wait_for(lambda spans: len(spans) == 1)
    assert [line.split()[:2] for line in asked] == ([] if bypassed else [["CONNECT", "127.0.0.1:4318"]])


async def test_a_date_to_come_back_at(sink: OtlpSink, tmp_path: Path) -> None:
    sink.answers.append(Answer(status=503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}))
    sink.answers.append(Answer(status=503, headers={"Retry-After": "Wed, 21 Oct 2099 07:28:00 GMT"}))
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=exporter(sink.endpoint) | {"shutdownTimeout": "100ms"}) as agent:
        await send_records(agent, 1)
        await agent.process.wait_for_line("next try in 0.1 s")
        await agent.process.wait_for_line("next try in 30.0 s")


async def test_bytes_are_counted_as_they_leave(sink: OtlpSink, tmp_path: Path) -> None:
    async with OtlpSink() as second:
        settings = exporter(sink.endpoint) | {"exporters": [{"endpoint": second.endpoint, "batch": {"delay": "20ms"}}]}
        async with Agent(tmp_path, endpoint="", settings=settings) as agent:
            await send_records(agent, 20)
            await agent.wait_for_metric("spans_exported_total", 40)
            metrics = await agent.metrics()
    for each, name in ((sink, "exporter"), (second, "exporters[0]")):
        sent = sum(int(headers["Content-Length"]) for headers in each.request_headers)
        assert metrics[f'export_bytes_total{{destination="{name}"}}'] == sent > 0


LIES = "2026-11-24 00:00:00,000 INFO all is well"


@pytest.mark.parametrize(
    "answer",
    [
        f"HTTP/1.1 400 no\r\nContent-Length: 1000\r\n\r\nno\r\n\x1b[2J{LIES}{'x' * 900}".encode(),
        f"HTTP/1.1 200 OK\r\nbroken header\n{LIES}\r\n\r\n".encode(),
        f"NONSENSE\r\n{LIES}\r\n\r\n".encode(),
        b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 10\r\n\r\n0123456789",
    ],
)
async def test_whatever_a_collector_says_is_one_line_of_the_log(tmp_path: Path, answer: bytes) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    endpoint = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server:
        async with Agent(tmp_path, endpoint="", settings=exporter(endpoint) | {"shutdownTimeout": "100ms"}) as agent:
            await send_records(agent, 1)
            line = await agent.process.wait_for_line("WARNING")
    assert all(line.startswith("20") and not line.startswith(LIES) for line in agent.process.lines)
    assert line.isprintable()
    assert len(line) < 500


async def test_the_oldest_make_room_where_that_was_chosen(sink: OtlpSink, tmp_path: Path) -> None:
    sink.hang = True
    batch = {"delay": "20ms", "maxQueueSpans": 5, "maxBatchSpans": 5, "dropPolicy": "Oldest"}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings={"exporter": {"endpoint": sink.endpoint, "batch": batch}}) as agent:
        first = await send_records(agent, 5)
        await sink.wait_for_requests(1)
        latest = await send_records(agent, 20)
        assert (await agent.metrics())['spans_dropped_total{reason="queue_full"}'] == 15
        sink.hang = False
        spans = await sink.wait_for(lambda spans: len(spans) >= 10)
    assert [span.trace_id for span in spans] == [*first, *latest[-5:]]


async def test_a_destination_that_hangs_does_not_hold_up_the_others(sink: OtlpSink, tmp_path: Path) -> None:
    traces = tmp_path / "traces.jsonl"
    async with OtlpSink() as second:
        sink.hang = True
        settings = exporter(sink.endpoint) | {
            "exporters": [
                {"endpoint": second.endpoint, "batch": {"delay": "20ms"}},
                {"type": "file", "file": {"path": str(traces)}, "batch": {"delay": "20ms"}},
                {"type": "console", "batch": {"delay": "20ms"}},
            ],
            "shutdownTimeout": "500ms",
        }
        async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
            trace_ids = await send_records(agent, 3)
            spans = await second.wait_for(lambda spans: len(spans) == 3)
            await agent.wait_for_metric("spans_exported_total", 9)
            metrics = await agent.metrics()
            assert metrics['destination_spans_total{destination="exporter",result="exported"}'] == 0
            assert metrics['destination_spans_total{destination="exporters[1]",result="exported"}'] == 3
            assert await agent.stop() == 0
    sink.hang = False
    assert [span.trace_id for span in spans] == trace_ids
    in_file = [json.loads(line) for line in traces.read_text().splitlines()]
    on_console = [json.loads(line) for line in agent.process.lines if line.startswith("{")]
    for documents in (in_file, on_console):
        found = [span for document in documents for span in document["resourceSpans"][0]["scopeSpans"][0]["spans"]]
        assert [span["traceId"] for span in found] == trace_ids


@pytest.mark.parametrize(("text", "arrives"), [("console", False), ("none", False), ("otlp,console", True)])
async def test_the_environment_chooses_exporters(sink: OtlpSink, tmp_path: Path, text: str, arrives: bool) -> None:
    environment = os.environ | {"OTEL_TRACES_EXPORTER": text}
    async with Agent(tmp_path, endpoint=sink.endpoint, environment=environment) as agent:
        (trace_id,) = await send_records(agent, 1)
        assert await agent.stop() == 0
    assert [span.trace_id for span in sink.spans] == [trace_id] * arrives
    assert any(line.startswith("{") and trace_id in line for line in agent.process.lines) is ("console" in text)


async def test_a_plugin_of_the_sdks_kind(sink: OtlpSink, tmp_path: Path) -> None:
    """The SDK's own OTLP exporter is one, and tells the same as ours."""
    async with OtlpSink() as second:
        environment = os.environ | {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": f"{second.endpoint}/v1/traces"}
        settings = exporter(sink.endpoint) | {
            "exporters": [{"type": "plugin", "plugin": "otlp_proto_http", "batch": {"delay": "20ms"}}]
        }
        async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings, environment=environment) as agent:
            await send_records(agent, 3)
            await agent.wait_for_metric("spans_exported_total", 6)
            assert await agent.stop() == 0
        # The SDK says whether a parent is remote, but not the flags of trace context.
        assert second.spans == [dataclasses.replace(span, flags=span.flags & 0x300) for span in sink.spans]
        assert len(sink.spans) == 3


async def test_a_console_that_nobody_reads_does_not_keep_the_agent(tmp_path: Path) -> None:
    """A pipe takes 64 KiB, then whoever writes to it waits."""
    agent = Agent(
        tmp_path,
        endpoint="",
        settings={"exporter": {"type": "console", "batch": {"maxBatchSpans": 2000}}, "shutdownTimeout": "300ms"},
    )
    agent.write_settings()
    program = Path(sys.executable).with_name("haproxy-telemetry-agent")
    child = await asyncio.create_subprocess_exec(
        program, "run", "--config", agent.settings_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL, limit=1
    )

    async def taken() -> bool:
        return (await agent.metrics())["queue_size"] == 0

    async def ended() -> bool:
        return child.returncode is not None

    try:
        await until(agent._is_ready, what="the agent is ready", timeout_seconds=20)
        await send_records(agent, 2000)
        await until(taken, what="the batch is being written")
        child.terminate()
        await until(ended, what="the agent has ended", timeout_seconds=5)
        assert child.returncode == 0
    finally:
        if child.returncode is None:
            child.kill()
        await child.communicate()


@pytest.mark.skipif(collector_path() is None, reason="the package rotel has no collector for this Python")
async def test_the_chain_with_a_real_collector_in_it(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    path = collector_path()
    assert path is not None
    async with OtlpSink() as sink, Collector(path, destination=sink.endpoint) as collector:
        async with running_site(found_haproxy, tmp_path, endpoint=collector.endpoint) as site:
            trace_id = secrets.token_hex(16)
            headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01", "tracestate": "foreign=1"}
            await single_request(site.http_port, request_head("/x?sig=1", headers=headers))
            spans = await sink.wait_for(lambda spans: len(spans) >= 2, timeout_seconds=10)
            assert site.sink.spans == []
            await site.agent.wait_for_metric("spans_exported_total", 2)
    by_kind = {span.kind: span for span in spans}
    assert {span.trace_id for span in spans} == {trace_id}
    assert by_kind["CLIENT"].parent_span_id == by_kind["SERVER"].span_id
    assert by_kind["SERVER"].attributes["url.query"] == "sig=REDACTED"
    assert by_kind["SERVER"].trace_state == "foreign=1"
    assert by_kind["SERVER"].resource["service.name"] == "edge"
