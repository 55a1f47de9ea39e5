"""Profile Stream: HAProxy makes the trace context itself, and nobody is ever asked. The record alone makes the spans."""

import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from support.agent import Agent
from support.exchanges import CALLER, new_context
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.otlp_sink import OtlpSink, SinkSpan
from support.ports import free_port
from support.raw_client import request_head, single_request
from support.site import Site, haproxy_config, running_site
from support.upstream import Upstream, UpstreamRequest

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNASKED = 'exchanges_recorded_total{start="unasked"}'
SETTINGS = {"profile": "Stream", "spans": {"requestHeaders": ["x-long"], "forwarded": {"trust": "All"}}}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(found_haproxy: FoundHAProxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with running_site(found_haproxy, tmp_path_factory.mktemp("site"), settings=SETTINGS) as running:
        yield running
    assert not [line for line in running.agent.process.lines if "ERROR" in line or "Traceback" in line]


async def both_spans(sink: OtlpSink, trace_id: str) -> tuple[SinkSpan, SinkSpan]:
    spans = await sink.wait_for(lambda spans: any(span.trace_id == trace_id for span in spans), timeout_seconds=15)
    server, client = (span for span in spans if span.trace_id == trace_id)
    assert (server.kind, client.kind, client.parent_span_id) == ("SERVER", "CLIENT", server.span_id)
    return server, client


def of_trace(upstream: Upstream, trace_id: str) -> UpstreamRequest:
    (request,) = (request for request in upstream.requests if trace_id in (request.header("traceparent") or ""))
    return request


def context_of(request: UpstreamRequest) -> tuple[str, str, str, str]:
    version, trace_id, span_id, flags = (request.header("traceparent") or "").split("-")
    return version, trace_id, span_id, flags


async def test_what_haproxy_is_told_knows_no_spoe(site: Site) -> None:
    assert not site.agent.spoe_path.exists()
    for word in ("spoe", "spop", site.agent.listen["spop"]):
        assert word not in site.haproxy.config


async def test_the_parent_is_continued(site: Site) -> None:
    trace_id, headers = new_context()
    await single_request(site.http_port, request_head("/", headers=headers))
    server, client = await both_spans(site.sink, trace_id)
    assert (server.parent_span_id, server.trace_state, client.trace_state) == (CALLER, "foreign=1", "foreign=1")
    assert server.attributes["server.address"] == "shop.example"
    assert server.attributes["user_agent.original"] == "raw/1.0"
    request = of_trace(site.upstream, trace_id)
    assert request.header("traceparent") == f"00-{trace_id}-{client.span_id}-01"
    assert request.header("tracestate") == "foreign=1"


@pytest.mark.parametrize(
    "lines",
    [
        "",
        "traceparent:\r\n",
        "traceparent: garbage\r\n",
        f"traceparent: 00-{'0' * 32}-{CALLER}-01\r\n",
        f"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01\r\n",
        f"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}\r\n",
        f"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-0x\r\n",
        f"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01-more\r\n",
        f"traceparent: x00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01\r\n",
        f"traceparent: ff-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01\r\n",
        f"traceparent: 00-4BF92F3577B34DA6A3CE929D0E0E4736-{CALLER}-01\r\n",
        f"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01\r\n" * 2,
        f"traceparent: 00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01, 00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01\r\n",
    ],
    ids=lambda lines: lines.strip().replace("\r\n", " ")[:60] or "nothing",
)
async def test_what_is_no_context_starts_a_trace_and_loses_its_tracestate(site: Site, lines: str) -> None:
    before = len(site.upstream.requests)
    head = request_head("/", headers={"tracestate": "lost=1"})
    await single_request(site.http_port, head[:-2] + lines.encode() + b"\r\n")
    (request,) = site.upstream.requests[before:]
    version, trace_id, span_id, flags = context_of(request)
    assert (version, flags) == ("00", "03")
    assert trace_id not in {"4bf92f3577b34da6a3ce929d0e0e4736", "0" * 32}
    assert "lost=1" not in (request.header("tracestate") or "")
    server, client = await both_spans(site.sink, trace_id)
    assert (server.parent_span_id, client.span_id) == ("", span_id)
    assert server.trace_state == client.trace_state == (request.header("tracestate") or "")


@pytest.mark.parametrize("name", ["user-agent", "tracestate", "x-long", "x-forwarded-for"])
async def test_a_header_as_long_as_haproxy_takes_does_not_cost_the_record(site: Site, name: str) -> None:
    trace_id, headers = new_context()
    await single_request(site.http_port, request_head("/", headers=headers | {name: "a=" + "b" * 9_000}))
    server, _ = await both_spans(site.sink, trace_id)
    assert server.attributes["url.path"] == "/"
    if name == "x-long":
        (value,) = server.attributes["http.request.header.x-long"]
        assert len(value) == 512
    assert len(of_trace(site.upstream, trace_id).header_values(name)[-1]) > 9_000


async def test_an_unsampled_trace_is_passed_on_and_not_exported(site: Site) -> None:
    recorded = (await site.agent.metrics())[UNASKED]
    trace_id, headers = new_context()
    headers["traceparent"] = headers["traceparent"][:-2] + "00"
    await single_request(site.http_port, request_head("/", headers=headers))
    _, _, span_id, flags = context_of(of_trace(site.upstream, trace_id))
    assert (span_id == CALLER, flags) == (False, "00")
    await site.agent.wait_for_metric(UNASKED, recorded + 1)
    # A sampled exchange after it has arrived: had the unsampled one been exported, it would be there.
    later, headers = new_context()
    await single_request(site.http_port, request_head("/", headers=headers))
    await both_spans(site.sink, later)
    assert not [span for span in site.sink.spans if span.trace_id == trace_id]


async def test_several_frontends(site: Site) -> None:
    """Each makes contexts of its own, and all write into one ring; a `listen` section is a frontend, too."""
    trace_id, headers = new_context()
    await single_request(site.http_port, request_head("/", headers=headers))
    edge, _ = await both_spans(site.sink, trace_id)
    trace_id, headers = new_context()
    async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as client:
        await client.get(f"http://127.0.0.1:{site.http2_port}/", headers=headers)
    http2, _ = await both_spans(site.sink, trace_id)
    trace_id, headers = new_context()
    await single_request(site.listen_port, request_head("/", headers=headers))
    both, of_listen = await both_spans(site.sink, trace_id)
    assert of_trace(site.upstream, trace_id).header("traceparent") == f"00-{trace_id}-{of_listen.span_id}-01"
    assert [span.attributes["haproxy.frontend.name"] for span in (edge, http2, both)] == ["edge", "edge", "both"]
    assert of_listen.attributes["haproxy.backend.name"] == "both"
    assert {span.parent_span_id for span in (edge, http2, both)} == {CALLER}


async def test_the_agent_goes_away_and_comes_back(site: Site) -> None:
    """HAProxy needs nobody for a context, and the ring keeps what is to be told."""
    assert await site.agent.stop() == 0
    before = len(site.upstream.requests)
    contexts = [new_context() for _ in range(3)]
    for _, headers in contexts:
        assert b" 200 " in await single_request(site.http_port, request_head("/", headers=headers))
    await single_request(site.http_port, request_head("/begun"))
    await site.agent.start()
    for trace_id, _ in contexts:
        server, client = await both_spans(site.sink, trace_id)
        assert (server.parent_span_id, server.trace_state) == (CALLER, "foreign=1")
        assert of_trace(site.upstream, trace_id).header("traceparent") == f"00-{trace_id}-{client.span_id}-01"
    begun = site.upstream.requests[before:][-1]
    _, trace_id, span_id, _ = context_of(begun)
    server, client = await both_spans(site.sink, trace_id)
    assert (server.parent_span_id, client.span_id) == ("", span_id)
    assert (await site.agent.metrics())[UNASKED] == 4


async def test_nobody_was_ever_asked(site: Site) -> None:
    """Last of those that share a site."""
    metrics = await site.agent.metrics()
    assert metrics[UNASKED] > 0
    assert {name for name, value in metrics.items() if name.startswith("messages_total") and value} == set()
    counted = {name: value for name, value in metrics.items() if "spop" in name or "health" in name or "answered_total" in name}
    assert counted
    assert {name: value for name, value in counted.items() if value} == {}
    starts = {name for name, value in metrics.items() if name.startswith("exchanges_recorded_total") and value}
    assert starts == {UNASKED}


async def test_a_record_that_comes_twice_makes_the_same_spans_twice(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    """A backend that knows spans by their ids has each of them once."""
    async with OtlpSink() as sink, Upstream() as upstream, Agent(tmp_path, endpoint=sink.endpoint, settings=SETTINGS) as agent:
        port = free_port()
        config = haproxy_config(agent, upstream, http_port=port, http2_port=free_port())
        (to_agent,) = (line for line in config.splitlines() if "log-proto octet-count" in line)
        config = config.replace(to_agent, f"{to_agent}\n{to_agent.replace('server agent', 'server again')}")
        async with HAProxy(config, tmp_path, binary=found_haproxy.path):
            trace_id, headers = new_context()
            await single_request(port, request_head("/", headers=headers))
            await single_request(port, request_head("/begun"))
            spans = await sink.wait_for(lambda spans: len(spans) >= 8)
        assert len({span.trace_id for span in spans}) == 2
        once = {(span.trace_id, span.span_id): dataclasses.asdict(span) for span in spans}
        assert len(spans) == 2 * len(once) == 8
        for span in spans:
            assert dataclasses.asdict(span) == once[span.trace_id, span.span_id]
        assert [span.parent_span_id for span in spans if span.trace_id == trace_id and span.kind == "SERVER"] == [CALLER] * 2
