"""Export to an OpenTelemetry Collector, a real one, by both protocols: in the clear, over TLS and over mTLS.

What it does with certificates is Go's, and so not what the sinks of `test_export.py` and `test_export_grpc.py` do.
"""

from pathlib import Path
from typing import Any

import pytest
import trustme

from support.agent import Agent
from support.otelcol import Otelcol, otelcol_path
from support.otlp_sink import OtlpSink
from support.record_sender import send_records

pytestmark = pytest.mark.skipif(otelcol_path() is None, reason="no OpenTelemetry Collector: `make otelcol` builds one")

each_protocol = pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
FAILED = {"grpc": "UNAVAILABLE", "http/protobuf": "unreachable"}


def otelcol(folder: Path, sink: OtlpSink, tls: dict[str, str] | None = None) -> Otelcol:
    path = otelcol_path()
    assert path is not None
    return Otelcol(path, folder, destination=sink.endpoint, tls=tls)


def write_certificate(folder: Path, name: str, authority: trustme.CA, *identities: str) -> dict[str, str]:
    """A certificate and its key, and the paths of both."""
    certificate = authority.issue_cert(*identities)
    paths = {"certificateFile": folder / f"{name}.pem", "keyFile": folder / f"{name}.key"}
    certificate.private_key_pem.write_to_path(str(paths["keyFile"]))
    certificate.cert_chain_pems[0].write_to_path(str(paths["certificateFile"]))
    return {field: str(path) for field, path in paths.items()}


def trusted(folder: Path, authority: trustme.CA, name: str = "ca") -> str:
    path = folder / f"{name}.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def server_tls(folder: Path, authority: trustme.CA, *, clients: trustme.CA | None = None) -> dict[str, str]:
    """The collector's side; with `clients` it wants a certificate of theirs."""
    files = write_certificate(folder, "server", authority, "127.0.0.1")
    tls = {"cert_file": files["certificateFile"], "key_file": files["keyFile"]}
    return tls if clients is None else tls | {"client_ca_file": trusted(folder, clients, "clients")}


def agent_for(collector: Otelcol, protocol: str, folder: Path, *, tls: dict[str, str] | None = None, **more: Any) -> Agent:
    exporter = {
        "protocol": protocol,
        "endpoint": collector.endpoints[protocol],
        "tls": tls or {},
        "batch": {"delay": "20ms"},
        **more,
    }
    return Agent(folder, endpoint="", settings={"exporter": exporter, "shutdownTimeout": "300ms"})


@each_protocol
@pytest.mark.parametrize("security", ["plain", "tls", "mtls"])
@pytest.mark.parametrize("compression", ["gzip", "none"])
async def test_everything_arrives(tmp_path: Path, protocol: str, security: str, compression: str) -> None:
    authority = trustme.CA()
    theirs = None if security == "plain" else server_tls(tmp_path, authority, clients=authority if security == "mtls" else None)
    ours = {} if security == "plain" else {"caFile": trusted(tmp_path, authority)}
    if security == "mtls":
        ours |= write_certificate(tmp_path, "client", authority, "agent@example.org")
    async with OtlpSink() as sink, otelcol(tmp_path, sink, theirs) as collector:
        async with agent_for(collector, protocol, tmp_path, tls=ours, compression=compression) as agent:
            trace_ids = await send_records(agent, 100)
            spans = await sink.wait_for(lambda spans: len(spans) >= 100, timeout_seconds=10)
            await agent.wait_for_metric("spans_exported_total", 100)
    assert sorted(span.trace_id for span in spans) == sorted(trace_ids)
    assert {span.service for span in spans} == {"edge"}


async def refused(agent: Agent, protocol: str) -> str:
    """What is said of the first try, which must fail: one line of the log."""
    await send_records(agent, 1)
    await agent.wait_for_metric(f'export_requests_total{{code="{FAILED[protocol]}"}}', 1)
    line = await agent.process.wait_for_line("the collector did not take 1 spans")
    assert [other for other in agent.process.lines if " INFO " not in other] == [line]
    return line


@each_protocol
async def test_a_collector_of_another_authority_gets_nothing_and_that_is_said(tmp_path: Path, protocol: str) -> None:
    ours = {"caFile": trusted(tmp_path, trustme.CA())}
    async with OtlpSink() as sink, otelcol(tmp_path, sink, server_tls(tmp_path, trustme.CA())) as collector:
        async with agent_for(collector, protocol, tmp_path, tls=ours) as agent:
            line = await refused(agent, protocol)
    assert "certificate verify failed" in line.lower().replace("_", " ")
    assert sink.spans == []


@each_protocol
async def test_a_collector_that_is_in_the_clear_is_not_believed(tmp_path: Path, protocol: str) -> None:
    ours = {"caFile": trusted(tmp_path, trustme.CA())}
    async with OtlpSink() as sink, otelcol(tmp_path, sink) as collector:
        collector.endpoints[protocol] = collector.endpoints[protocol].replace("http:", "https:")
        async with agent_for(collector, protocol, tmp_path, tls=ours) as agent:
            line = await refused(agent, protocol)
    assert "ssl" in line.lower()


@each_protocol
async def test_a_certificate_that_is_renewed_while_the_agent_runs_is_used(tmp_path: Path, protocol: str) -> None:
    """The collector believes the second one alone; its client is told so by the handshake, and tries again."""
    authority, others = trustme.CA(), trustme.CA()
    ours = {"caFile": trusted(tmp_path, authority), **write_certificate(tmp_path, "client", others, "agent@example.org")}
    async with OtlpSink() as sink, otelcol(tmp_path, sink, server_tls(tmp_path, authority, clients=authority)) as collector:
        async with agent_for(collector, protocol, tmp_path, tls=ours) as agent:
            line = await refused(agent, protocol)
            assert ("unknown ca" if protocol == "http/protobuf" else "does it believe our certificate?") in line
            assert sink.spans == []
            write_certificate(tmp_path, "client", authority, "agent@example.org")
            await sink.wait_for(lambda spans: len(spans) == 1, timeout_seconds=15)
        assert [line for line in agent.process.lines if "the certificates were read again" in line]


@each_protocol
async def test_an_authority_that_is_replaced_while_the_agent_runs_is_believed(tmp_path: Path, protocol: str) -> None:
    authority = trustme.CA()
    ours = {"caFile": trusted(tmp_path, trustme.CA())}
    async with OtlpSink() as sink, otelcol(tmp_path, sink, server_tls(tmp_path, authority)) as collector:
        async with agent_for(collector, protocol, tmp_path, tls=ours) as agent:
            await refused(agent, protocol)
            trusted(tmp_path, authority)
            await sink.wait_for(lambda spans: len(spans) == 1, timeout_seconds=15)


@each_protocol
async def test_a_collector_that_asks_who_we_are_and_is_not_told(tmp_path: Path, protocol: str) -> None:
    authority = trustme.CA()
    ours = {"caFile": trusted(tmp_path, authority)}
    async with OtlpSink() as sink, otelcol(tmp_path, sink, server_tls(tmp_path, authority, clients=authority)) as collector:
        async with agent_for(collector, protocol, tmp_path, tls=ours) as agent:
            line = await refused(agent, protocol)
    assert ("certificate required" if protocol == "http/protobuf" else "does it believe our certificate?") in line
    assert sink.spans == []


@each_protocol
async def test_what_waited_on_disk_arrives_after_a_restart_of_both(tmp_path: Path, protocol: str) -> None:
    async with OtlpSink() as sink:
        collector = otelcol(tmp_path, sink)
        batch = {"delay": "20ms", "maxQueueSpans": 20, "maxBatchSpans": 10}
        spilling = {"spill": {"directory": str(tmp_path / "spill")}, "batch": batch}
        async with agent_for(collector, protocol, tmp_path, **spilling) as agent:
            trace_ids = await send_records(agent, 500)
            assert await agent.stop() == 0
        async with collector, agent_for(collector, protocol, tmp_path, **spilling) as agent:
            spans = await sink.wait_for(lambda spans: len(spans) >= 500, timeout_seconds=20)
            await agent.wait_for_metric('recovered_spans_total{destination="exporter"}', 500)
    assert sorted(span.trace_id for span in spans) == sorted(trace_ids)
