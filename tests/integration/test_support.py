"""The tools of the tests themselves: what they promise, and that they notice when it goes wrong."""

import asyncio
import contextlib
import os
import socket
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode

import support.ports
from support.golden import BASE_VERSION, assert_golden, slug
from support.haproxy import FoundHAProxy, HAProxy, HAProxyConfigError, found_haproxies, free_port
from support.load import SteadyLoad
from support.otlp_sink import Answer, OtlpSink, SinkLink, SinkSpan
from support.ports import is_free
from support.probe import until
from support.process import Process, ProcessEndedError
from support.trace_text import trace_text
from support.upstream import Upstream

CONFIG = """
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
frontend front
    bind 127.0.0.1:{port}
    default_backend back
backend back
    server up {upstream}
"""


ATTRIBUTES: dict[str, str | bool | int | float | list[str]] = {
    "text": "a",
    "yes": True,
    "whole": 3,
    "half": 0.5,
    "many": ["x", "y"],
}


@pytest.fixture
async def upstream() -> AsyncIterator[Upstream]:
    async with Upstream() as upstream:
        yield upstream


@pytest.fixture(params=found_haproxies(), ids=str)
def found(request: pytest.FixtureRequest) -> FoundHAProxy:
    haproxy: FoundHAProxy = request.param
    return haproxy


async def test_no_two_callers_get_the_same_port() -> None:
    text = "from support.ports import free_port; print(*(free_port() for _ in range(60)))"
    environment = os.environ | {"PYTHONPATH": str(Path(support.ports.__file__).parents[1])}
    # All of them hold what they were given until the last one has its share.
    waiting = [
        Process(f"caller {number}", [sys.executable, "-u", "-c", text + "; import signal; signal.pause()"], environment=environment)
        for number in range(3)
    ]
    async with contextlib.AsyncExitStack() as stack:
        for caller in waiting:
            await stack.enter_async_context(caller)
        lines = [await caller.wait_for_line(" ") for caller in waiting]
    ports = [port for line in lines for port in line.split()]
    assert len(ports) == len(set(ports)) == 180


def test_a_port_that_would_be_shared_is_not_free() -> None:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        assert not is_free(listener.getsockname()[1])


async def test_a_process_that_dies_is_noticed_by_who_waits_for_it() -> None:
    process = Process("snake", [sys.executable, "-c", "print('first'); raise SystemExit('no more')"])
    await process.start()
    with pytest.raises(ProcessEndedError, match="snake ended with status 1: no more"):
        await process.wait_for_line("never said")
    assert await process.stop() == 1


async def test_a_process_that_ignores_sigterm_is_killed() -> None:
    text = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('deaf', flush=True); signal.pause()"
    process = Process("snake", [sys.executable, "-c", text])
    await process.start()
    await process.wait_for_line("deaf")
    assert await process.stop(timeout_seconds=0.1) == -9


async def test_haproxy_runs_and_leaves_nothing(found: FoundHAProxy, tmp_path: Path, upstream: Upstream) -> None:
    port = free_port()
    async with HAProxy(CONFIG.format(port=port, upstream=upstream.address), tmp_path, binary=found.path) as haproxy:
        async with aiohttp.ClientSession() as client, client.get(f"http://127.0.0.1:{port}/x?y=1") as response:
            assert (response.status, await response.text()) == (200, "well\n")
        assert (await haproxy.information())["Version"].startswith(found.version)
        assert (await haproxy.statistics())["back", "up"]["stot"] == "1"
        await haproxy.command("disable server back/up")
        await haproxy.wait_for_server("back", "up", "MAINT")
    assert is_free(port)
    assert [request.target for request in upstream.requests] == ["/x?y=1"]


async def test_a_reload_loses_no_exchange(found: FoundHAProxy, tmp_path: Path, upstream: Upstream) -> None:
    port = free_port()
    config = CONFIG.format(port=port, upstream=upstream.address)
    async with HAProxy(config, tmp_path, binary=found.path, master_worker=True) as haproxy, aiohttp.ClientSession() as client:
        first = (await haproxy.information())["Pid"]
        held = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/hold"))
        await upstream.wait_for_request(lambda request: request.path == "/hold")
        await haproxy.reload(config.replace("default_backend back", "http-request return status 204\n    default_backend back"))
        assert (await haproxy.information())["Pid"] != first
        upstream.release()
        assert (await held).status == 200
        async with client.get(f"http://127.0.0.1:{port}/") as response:
            assert response.status == 204
        with pytest.raises(HAProxyConfigError, match="nonsense"):
            await haproxy.reload(config + "nonsense\n")
        async with client.get(f"http://127.0.0.1:{port}/") as response:
            assert response.status == 204


async def test_haproxy_says_what_it_does_not_like(found: FoundHAProxy, tmp_path: Path) -> None:
    with pytest.raises(HAProxyConfigError, match="unknown keyword 'nonsense' in 'defaults' section"):
        await HAProxy("defaults\n    nonsense\n", tmp_path, binary=found.path).start()


async def test_a_port_that_is_taken_is_noticed_before_it_is_shared(found: FoundHAProxy, tmp_path: Path, upstream: Upstream) -> None:
    config = CONFIG.format(port=upstream.port, upstream="127.0.0.1:1")
    with pytest.raises(HAProxyConfigError, match="somebody listens"):
        await HAProxy(config, tmp_path, binary=found.path).start()


async def test_a_crash_of_haproxy_fails_the_test(found: FoundHAProxy, tmp_path: Path, upstream: Upstream) -> None:
    haproxy = HAProxy(CONFIG.format(port=free_port(), upstream=upstream.address), tmp_path, binary=found.path)
    await haproxy.start()
    assert await haproxy.process.stop() == -15
    with pytest.raises(AssertionError, match="had ended by itself"):
        await haproxy.stop()


def _send_two_spans(sink: OtlpSink, compression: Compression) -> SpanContext:
    exporter = OTLPSpanExporter(f"{sink.endpoint}/v1/traces", compression=compression, timeout=5)
    provider = TracerProvider(resource=Resource({"service.name": "sdk"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("scope", "1.2", schema_url="https://example.org/schema")
    with tracer.start_as_current_span("parent") as parent:
        link = Link(parent.get_span_context(), {"why": "so"})
        child = tracer.start_span("child", kind=SpanKind.CLIENT, attributes=ATTRIBUTES, links=[link], start_time=10)
        child.add_event("cut", {"n": 1}, timestamp=11)
        child.set_status(Status(StatusCode.ERROR, "broken"))
        child.end(2_000_000_010)
    provider.shutdown()
    return parent.get_span_context()


@pytest.mark.parametrize("compression", [Compression.NoCompression, Compression.Gzip])
async def test_the_sink_remembers_what_the_sdk_sent(compression: Compression) -> None:
    async with OtlpSink() as sink:
        parent = await asyncio.to_thread(_send_two_spans, sink, compression)
        got, _ = await sink.wait_for(lambda spans: len(spans) == 2)
    assert (got.trace_id, got.parent_span_id) == (f"{parent.trace_id:032x}", f"{parent.span_id:016x}")
    assert (got.service, got.name, got.kind, got.status_code, got.status_message) == ("sdk", "child", "CLIENT", "ERROR", "broken")
    assert (got.start_unix_nano, got.end_unix_nano, got.seconds) == (10, 2_000_000_010, 2.0)
    assert got.attributes == ATTRIBUTES
    assert [(link.span_id, link.attributes) for link in got.links] == [(got.parent_span_id, {"why": "so"})]
    assert [(event.name, event.time_unix_nano, event.attributes) for event in got.events] == [("cut", 11, {"n": 1})]
    assert (got.scope_name, got.scope_version, got.schema_url) == ("scope", "1.2", "https://example.org/schema")
    assert sink.request_headers[0].get("Content-Encoding") == (None if compression is Compression.NoCompression else "gzip")


async def test_the_sink_answers_by_its_script_and_hangs() -> None:
    async with OtlpSink() as sink, aiohttp.ClientSession() as client:
        sink.answers.extend([Answer(status=503, headers={"Retry-After": "1"}), Answer(status=400, body=b"no")])
        url = f"{sink.endpoint}/v1/traces"
        async with client.post(url, data=b"not even protobuf") as first, client.post(url, data=b"") as second:
            assert (first.status, first.headers["Retry-After"]) == (503, "1")
            assert (second.status, await second.read()) == (400, b"no")
        sink.hang = True
        held = asyncio.create_task(client.post(url, data=b""))
        await sink.wait_for_requests(3)
        assert not held.done()
        sink.hang = False
        assert (await held).status == 200
        with pytest.raises(TimeoutError, match="not the expected spans"):
            await sink.wait_for(bool, timeout_seconds=0.01)


async def _raw(port: int, request: bytes) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request)
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize(
    ("request_bytes", "answer"),
    [
        (b"GET /close HTTP/1.1\r\n\r\n", b""),
        (b"GET /garbage HTTP/1.1\r\n\r\n", b"\x16\x03 this is not HTTP\r\n\r\n"),
        (b"GET /truncate HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\ncut off"),
        (
            b"GET /status/204 HTTP/1.1\r\n\r\nGET /close HTTP/1.1\r\n\r\n",  # pipelined: the second one closes
            b"HTTP/1.1 204 No Content\r\n\r\n",
        ),
        (
            b"GET /stream?chunks=2&ms=1 HTTP/1.1\r\n\r\nGET /close HTTP/1.1\r\n\r\n",
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n6\r\nchunk\n\r\n6\r\nchunk\n\r\n0\r\n\r\n",
        ),
    ],
)
async def test_the_upstream_misbehaves_as_told(upstream: Upstream, request_bytes: bytes, answer: bytes) -> None:
    assert await _raw(upstream.port, request_bytes) == answer


async def test_the_upstream_reads_uploads_and_talks_websocket(upstream: Upstream) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        yield b"x" * 100_000
        yield b"y" * 23

    base = f"http://{upstream.address}"
    async with aiohttp.ClientSession() as client:
        async with client.post(f"{base}/upload", data=pieces()) as chunked:
            assert await chunked.text() == "100023\n"
        async with client.post(f"{base}/upload", data=b"x" * 7, expect100=True, headers={"traceparent": "00-x"}) as whole:
            assert await whole.text() == "7\n"
        async with client.head(f"{base}/") as head:
            assert head.headers["content-length"] == "5"
        async with client.get(f"{base}/slow?ms=1") as slow:
            assert await slow.text() == "slow\n"
    last = await upstream.wait_for_request(lambda request: request.header("traceparent") is not None)
    assert (last.method, last.path, last.header_values("TraceParent")) == ("POST", "/upload", ["00-x"])
    assert {request.connection for request in upstream.requests} == {1}

    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    upgrade = b"upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    writer.write(b"GET /ws HTTP/1.1\r\n" + upgrade)
    head_of_upgrade = await reader.readuntil(b"\r\n\r\n")
    assert b"101 Switching Protocols" in head_of_upgrade
    assert b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" in head_of_upgrade  # RFC 6455's own example
    writer.write(b"echo")
    assert await reader.readexactly(4) == b"echo"
    writer.close()


def sink_span(name: str, span_id: str, parent_span_id: str, **changes: Any) -> SinkSpan:
    told: dict[str, Any] = {
        "kind": "INTERNAL",
        "start_unix_nano": 1,
        "end_unix_nano": 2,
        "attributes": {},
        "status_code": "UNSET",
        "status_message": "",
        "trace_state": "",
        "flags": 0x101,
        "links": (),
        "events": (),
        "resource": {},
        "scope_name": "",
        "scope_version": "",
        "schema_url": "",
    }
    return SinkSpan(trace_id="t", name=name, span_id=span_id, parent_span_id=parent_span_id, **told | changes)


def test_a_trace_as_text() -> None:
    link = SinkLink(trace_id="t", span_id="b", trace_state="", attributes={"why": "so"})
    attributes = {"network.peer.port": 50123, "haproxy.time.queue": 0.002, "http.request.size": 7, "a": [True, "é"]}
    spans = [
        sink_span("child", "c", "a", links=(link,), status_code="ERROR", status_message="broken", flags=0x100),
        sink_span("root", "a", "caller", kind="SERVER", attributes=attributes, trace_state="x=1", flags=0x303),
        sink_span("grandchild", "b", "c"),
        sink_span("other root", "d", ""),
    ]
    text = """\
root [SERVER, UNSET]
  parent: <caller>
  flags: sampled, random trace id, remote parent
  tracestate: x=1
  a = [true, "é"]
  haproxy.time.queue = <seconds>
  http.request.size = 7
  network.peer.port = <port>
    child [INTERNAL, ERROR]
      flags: none
      status message: broken
      link: grandchild {"why": "so"}
        grandchild [INTERNAL, UNSET]
          flags: sampled
other root [INTERNAL, UNSET]
  parent: none
  flags: sampled
"""
    assert trace_text(spans) == text
    assert trace_text(spans, measured_bytes=True) == text.replace("size = 7", "size = <bytes>")
    with pytest.raises(AssertionError, match="twice"):
        trace_text([*spans, spans[0]])


def test_a_golden_file_is_of_all_versions_but_those_that_differ(tmp_path: Path) -> None:
    folder = tmp_path / "golden"
    with pytest.raises(AssertionError, match="REWRITE_GOLDEN=1 writes it"):
        assert_golden(folder, "x", BASE_VERSION, "one", rewrite=False)
    assert_golden(folder, "x", BASE_VERSION, "one", rewrite=True)
    assert_golden(folder, "x", (2, 6), "other", rewrite=True)
    assert_golden(folder, "x", (3, 2), "one", rewrite=True)
    assert sorted(path.name for path in folder.iterdir()) == ["x.2.6.txt", "x.txt"]
    assert_golden(folder, "x", (2, 6), "other", rewrite=False)
    assert_golden(folder, "x", (3, 4), "one", rewrite=False)
    with pytest.raises(AssertionError, match=r"x\.2\.6\.txt"):
        assert_golden(folder, "x", (2, 6), "one", rewrite=False)
    # It differs no more.
    assert_golden(folder, "x", (2, 6), "one", rewrite=True)
    assert [path.name for path in folder.iterdir()] == ["x.txt"]


def test_the_name_of_a_golden_file() -> None:
    assert [slug(name) for name in ("200", "refused, retried", "HTTP/2", "(a) B.")] == ["200", "refused-retried", "http-2", "a-b"]


async def test_a_load_does_not_count_the_time_in_which_its_loop_stood_still() -> None:
    async with Upstream() as upstream:
        port = int(upstream.address.rpartition(":")[2])
        async with SteadyLoad(port, path="/slow?ms=300", clients=1) as load:
            await load.wait_for_answers(1)

            async def asks_again() -> bool:
                return len(upstream.requests) > 1

            await until(asks_again, what="the second request is on its way")
            time.sleep(1.5)  # noqa: ASYNC251 - as a busy machine does it
            await load.wait_for_answers(1)
    stalled = load.answers[1]
    assert stalled.duration_seconds > 1.4
    assert load.waited_seconds(stalled) < stalled.duration_seconds - 1.2
