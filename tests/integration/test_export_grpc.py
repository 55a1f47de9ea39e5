"""OTLP over gRPC to collectors in every mood, and through a real one; records come from a stand-in for HAProxy's ring."""

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import trustme
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from support.agent import Agent
from support.collector import Collector, collector_path
from support.grpc_sink import GrpcAnswer, GrpcSink
from support.otlp_sink import OtlpSink
from support.ports import ADDRESS
from support.record_sender import send_records
from support.tunnel import tunnel

RETRIED = ["CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"]


@pytest.fixture
async def sink() -> AsyncIterator[GrpcSink]:
    async with GrpcSink() as running:
        yield running


def exporter(endpoint: str, **more: object) -> dict[str, object]:
    return {"exporter": {"protocol": "grpc", "endpoint": endpoint, "batch": {"delay": "20ms"}, **more}}


def agent_for(sink: OtlpSink, folder: Path, **more: object) -> Agent:
    return Agent(folder, endpoint=sink.endpoint, settings=exporter(sink.endpoint, **more))


@pytest.mark.parametrize("compression", ["none", "gzip"])
async def test_spans_arrive_with_the_headers_that_were_set(sink: GrpcSink, tmp_path: Path, compression: str) -> None:
    headers = [{"name": "Authorization", "value": "Bearer s3cret"}, {"name": "x-raw-bin", "value": "bytes"}]
    settings = exporter(sink.endpoint, compression=compression, headers=headers) | {"log": {"level": "debug"}}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
        trace_ids = await send_records(agent, 200)
        spans = await sink.wait_for(lambda spans: len(spans) == 200)
        await agent.wait_for_metric("spans_exported_total", 200)
        assert (await agent.metrics())['export_requests_total{code="OK"}'] >= 1
    assert [span.trace_id for span in spans] == trace_ids
    metadata = sink.request_headers[0]
    assert (metadata["authorization"], metadata["x-raw-bin"]) == ("Bearer s3cret", "b'bytes'")
    assert metadata["user-agent"].startswith("haproxy-telemetry-agent/")
    assert not [line for line in agent.process.lines if "s3cret" in line]


async def test_the_environment_alone_is_enough(sink: GrpcSink, tmp_path: Path) -> None:
    environment = os.environ | {
        "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc",
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"{ADDRESS}:{sink.port}",
        "OTEL_EXPORTER_OTLP_INSECURE": "true",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-key=percent%20encoded",
    }
    settings = {"exporter": {"batch": {"delay": "20ms"}}}
    async with Agent(tmp_path, endpoint="", settings=settings, environment=environment) as agent:
        await send_records(agent, 1)
        await sink.wait_for(lambda spans: len(spans) == 1)
    assert sink.request_headers[0]["x-key"] == "percent encoded"


@pytest.mark.parametrize("code", RETRIED)
async def test_a_collector_in_trouble_gets_the_same_spans_again(sink: GrpcSink, tmp_path: Path, code: str) -> None:
    sink.grpc_answers.append(GrpcAnswer(code=grpc.StatusCode[code], retry_after_seconds=0))
    async with agent_for(sink, tmp_path) as agent:
        trace_ids = await send_records(agent, 10)
        spans = await sink.wait_for(lambda spans: len(spans) >= 10)
        await agent.wait_for_metric("spans_exported_total", 10)
        metrics = await agent.metrics()
    assert sorted(span.trace_id for span in spans) == sorted(trace_ids)
    assert metrics[f'export_requests_total{{code="{code}"}}'] == 1


async def test_resource_exhausted_is_tried_again_only_with_a_time_to_come_back(sink: GrpcSink, tmp_path: Path) -> None:
    exhausted = grpc.StatusCode.RESOURCE_EXHAUSTED
    sink.grpc_answers.extend([GrpcAnswer(code=exhausted, retry_after_seconds=0), GrpcAnswer(code=exhausted, message="quota")])
    async with agent_for(sink, tmp_path) as agent:
        await send_records(agent, 1)
        await agent.wait_for_metric('spans_dropped_total{reason="rejected"}', 1)
    assert sink.request_count == 2
    assert [line for line in agent.process.lines if "RESOURCE_EXHAUSTED quota" in line]


@pytest.mark.parametrize("code", ["INVALID_ARGUMENT", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED", "INTERNAL"])
async def test_what_a_collector_rejects_is_dropped_counted_and_said(sink: GrpcSink, tmp_path: Path, code: str) -> None:
    sink.grpc_answers.append(GrpcAnswer(code=grpc.StatusCode[code], message="no room\nfor you"))
    async with agent_for(sink, tmp_path) as agent:
        await send_records(agent, 1)
        await agent.wait_for_metric('spans_dropped_total{reason="rejected"}', 1)
        assert sink.request_count == 1
    assert [line for line in agent.process.lines if f"{code} no room for you" in line]


async def test_partial_success_is_counted_and_said(sink: GrpcSink, tmp_path: Path) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=2, error_message="two were too old")
    sink.grpc_answers.append(GrpcAnswer(body=ExportTraceServiceResponse(partial_success=partial).SerializeToString()))
    async with agent_for(sink, tmp_path, batch={"delay": "500ms"}) as agent:
        await send_records(agent, 5)
        await agent.wait_for_metric("spans_exported_total", 3)
        assert (await agent.metrics())['spans_dropped_total{reason="rejected"}'] == 2
    assert [line for line in agent.process.lines if "two were too old" in line]


async def test_a_collector_that_comes_late_gets_everything(tmp_path: Path) -> None:
    async with GrpcSink() as sink:
        port, endpoint = sink.port, sink.endpoint
    async with Agent(tmp_path, endpoint=endpoint, settings=exporter(endpoint)) as agent:
        trace_ids = await send_records(agent, 10)
        await agent.wait_for_metric('export_requests_total{code="UNAVAILABLE"}', 1)
        async with GrpcSink(port=port) as sink:
            spans = await sink.wait_for(lambda spans: len(spans) >= 10, timeout_seconds=15)
    assert sorted(span.trace_id for span in spans) == sorted(trace_ids)


async def test_one_that_hangs_is_given_up_and_ends_with_the_agent(sink: GrpcSink, tmp_path: Path) -> None:
    sink.hang = True
    settings = exporter(sink.endpoint, timeout="300ms") | {"shutdownTimeout": "500ms"}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
        await send_records(agent, 1)
        await agent.wait_for_metric('export_requests_total{code="DEADLINE_EXCEEDED"}', 1)
        assert await agent.stop() == 0
    sink.hang = False


async def test_a_call_that_takes_long_is_ended_at_shutdown(sink: GrpcSink, tmp_path: Path) -> None:
    sink.hang = True
    settings = exporter(sink.endpoint, timeout="60s") | {"shutdownTimeout": "300ms"}
    async with Agent(tmp_path, endpoint=sink.endpoint, settings=settings) as agent:
        await send_records(agent, 1)
        await sink.wait_for_requests(1)
        async with asyncio.timeout(5):
            assert await agent.stop() == 0
    sink.hang = False


def write_client_certificate(folder: Path, authority: trustme.CA) -> None:
    client = authority.issue_cert("agent@example.org")
    client.private_key_pem.write_to_path(str(folder / "key.pem"))
    client.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))


def server_credentials(authority: trustme.CA, *, mutual: bool) -> grpc.ServerCredentials:
    server = authority.issue_cert(ADDRESS)
    pair = (server.private_key_pem.bytes(), server.cert_chain_pems[0].bytes())
    return grpc.ssl_server_credentials([pair], authority.cert_pem.bytes() if mutual else None, mutual)


@pytest.mark.parametrize("mutual", [False, True])
async def test_tls_with_a_private_authority(tmp_path: Path, mutual: bool) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    write_client_certificate(tmp_path, authority)
    tls = {"caFile": str(tmp_path / "ca.pem")}
    if mutual:
        tls |= {"certificateFile": str(tmp_path / "cert.pem"), "keyFile": str(tmp_path / "key.pem")}
    async with GrpcSink(credentials=server_credentials(authority, mutual=mutual)) as sink:
        async with agent_for(sink, tmp_path, tls=tls) as agent:
            await send_records(agent, 1)
            await sink.wait_for(lambda spans: len(spans) == 1)


async def test_a_collector_of_another_authority_gets_nothing(tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    async with GrpcSink(credentials=server_credentials(trustme.CA(), mutual=False)) as sink:
        async with agent_for(sink, tmp_path, tls={"caFile": str(tmp_path / "ca.pem")}) as agent:
            await send_records(agent, 1)
            await agent.wait_for_metric('export_requests_total{code="UNAVAILABLE"}', 1)
        assert sink.request_count == 0


async def test_a_certificate_that_is_renewed_is_used(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    write_client_certificate(tmp_path, trustme.CA())
    names = {"caFile": "ca.pem", "certificateFile": "cert.pem", "keyFile": "key.pem"}
    tls = {field: str(tmp_path / name) for field, name in names.items()}
    async with GrpcSink(credentials=server_credentials(authority, mutual=True)) as sink:
        async with agent_for(sink, tmp_path, tls=tls) as agent:
            await send_records(agent, 1)
            await agent.wait_for_metric('export_requests_total{code="UNAVAILABLE"}', 1)
            assert sink.request_count == 0
            write_client_certificate(tmp_path, authority)
            await sink.wait_for(lambda spans: len(spans) == 1, timeout_seconds=10)
    assert [line for line in agent.process.lines if "the certificates were read again" in line]


async def test_a_unix_socket(tmp_path: Path) -> None:
    async with GrpcSink(unix_path=tmp_path / "collector.sock") as sink:
        async with agent_for(sink, tmp_path) as agent:
            await send_records(agent, 1)
            await sink.wait_for(lambda spans: len(spans) == 1)


async def test_a_proxy_of_the_environment(sink: GrpcSink, tmp_path: Path) -> None:
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    endpoint = "http://collector.invalid:4317"
    async with tunnel(sink.port) as (proxy, asked):
        environment["http_proxy"] = proxy
        async with Agent(tmp_path, endpoint=endpoint, settings=exporter(endpoint), environment=environment) as agent:
            await send_records(agent, 1)
            await sink.wait_for(lambda spans: len(spans) == 1)
    assert asked[0].startswith("CONNECT collector.invalid:4317 ")


async def test_tls_through_a_proxy(tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    async with GrpcSink(credentials=server_credentials(authority, mutual=False)) as sink, tunnel(sink.port) as (proxy, asked):
        environment["https_proxy"] = proxy
        endpoint = f"https://{ADDRESS}:4317"
        settings = exporter(endpoint, tls={"caFile": str(tmp_path / "ca.pem")})
        async with Agent(tmp_path, endpoint=endpoint, settings=settings, environment=environment) as agent:
            await send_records(agent, 1)
            await sink.wait_for(lambda spans: len(spans) == 1)
    assert asked[0].startswith(f"CONNECT {ADDRESS}:4317 ")


@pytest.mark.skipif(collector_path() is None, reason="the package rotel has no collector for this Python")
async def test_through_a_real_collector(tmp_path: Path) -> None:
    path = collector_path()
    assert path is not None
    async with OtlpSink() as sink, Collector(path, destination=sink.endpoint) as collector:
        async with Agent(tmp_path, endpoint="", settings=exporter(collector.grpc_endpoint)) as agent:
            trace_ids = await send_records(agent, 100)
            spans = await sink.wait_for(lambda spans: len(spans) >= 100, timeout_seconds=10)
            await agent.wait_for_metric("spans_exported_total", 100)
    assert sorted(span.trace_id for span in spans) == sorted(trace_ids)
