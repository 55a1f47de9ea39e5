"""An SPOE file in spoa-opentracing's mini-language, through every HAProxy: no record, none of our own configuration.

The file is ours and says what the original's example says, and every kind of argument besides: eight events, nine spans.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from support.agent import Agent
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.otlp_sink import OtlpSink, SinkSpan
from support.ports import ADDRESS, free_port
from support.raw_client import WEBSOCKET_UPGRADE, RawConnection, request_head, single_request
from support.upstream import Upstream, UpstreamRequest

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLER_TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER = "00f067aa0ba902b7"

AGENT = """
[{engine}]
spoe-agent {engine}
    messages {messages}
    option var-prefix {engine}
    option set-on-error error
    timeout hello 2s
    timeout idle 30s
    timeout processing 2s
    use-backend agents
"""

NINE_SPANS = """
spoe-message opened
    args id=unique-id
    args span=str("HAProxy session") baggage=str("haproxy_id") unique-id
    args span=str("Client session") child-of=str("HAProxy session")
    args   tag=str("client") src str(":") src_port tag=str("port") dst_port
    event on-client-session
spoe-message frontend-tcp
    args id=unique-id
    args span=str("Frontend TCP request") child-of=str("Client session") log=str("event") str("first bytes") log=str("from") src
    event on-frontend-tcp-request
spoe-message frontend-http
    args id=unique-id {context}
    args span=str("Frontend HTTP request") follows-from=str("Frontend TCP request")
    args   tag=str("http.method") method tag=str("http.url") url tag=str("http.version") str("HTTP/") req.ver
    args   tag=str("secure") ssl_fc tag=str("referer") req.hdr(referer)
    args   baggage=str("method") method
    args finish=str("Frontend TCP request")
    event on-frontend-http-request
spoe-message backend-tcp
    args id=unique-id
    args span=str("Backend TCP request") follows-from=str("Frontend HTTP request")
    args finish=str("Frontend HTTP request")
    event on-backend-tcp-request
spoe-message backend-http
    args id=unique-id
    args span=str("Backend HTTP request") follows-from=str("Backend TCP request")
    args finish=str("Backend TCP request")
    event on-backend-http-request
spoe-message server-session
    args id=unique-id
    args span=str("Server session") child-of=str("HAProxy session") tag=str("server") srv_name
    args finish=str("Backend HTTP request")
    event on-server-session
spoe-message tcp-response
    args id=unique-id
    args span=str("TCP response") child-of=str("Server session")
    event on-tcp-response
spoe-message http-response
    args id=unique-id
    args span=str("HTTP response") follows-from=str("TCP response") tag=str("http.status_code") status
    args finish=str("TCP response")
    event on-http-response
spoe-message http-response-error
    args id=unique-id
    args span=str("HTTP response") tag=str("error") bool(true)
    acl good status 100:399
    event on-http-response if !good
spoe-message server-session-end
    args id=unique-id
    args span=str("HTTP response") finish=str("") str("Server session")
    event on-http-response
spoe-message client-session-end
    args id=unique-id finish=str("*")
    event on-http-response
"""
MESSAGES = (
    "opened frontend-tcp frontend-http backend-tcp backend-http server-session tcp-response http-response"
    " http-response-error server-session-end client-session-end"
)
CONTEXT = "traceparent=req.hdr(traceparent) tracestate=req.hdr(tracestate)"

SESSION_ONLY = """
spoe-message session-opened
    args id=unique-id span=str("Session")
    event on-client-session
spoe-message session-finished
    args id=unique-id finish=str("Session")
    event on-http-response
"""

ROOT = "HAProxy session"
PARENTS = {
    ROOT: "",
    "Client session": ROOT,
    "Frontend TCP request": "Client session",
    "Frontend HTTP request": "Client session",
    "Backend TCP request": "Client session",
    "Backend HTTP request": "Client session",
    "Server session": ROOT,
    "TCP response": "Server session",
    "HTTP response": "Server session",
}
PREDECESSORS = {
    "Frontend HTTP request": "Frontend TCP request",
    "Backend TCP request": "Frontend HTTP request",
    "Backend HTTP request": "Backend TCP request",
    "HTTP response": "TCP response",
}
IN_FRONTEND = {"Frontend TCP request"}
IN_BACKEND = IN_FRONTEND | {"Frontend HTTP request", "Backend TCP request"}


def spoe_file(engine: str, messages: str, text: str) -> str:
    return AGENT.format(engine=engine, messages=messages) + text


def haproxy_config(agent: Agent, upstream: Upstream, ports: dict[str, int]) -> str:
    frontends = "".join(
        f"""
frontend {engine}
    bind {ADDRESS}:{port}
    {f"bind {ADDRESS}:{ports['h2']} proto h2" if engine == "plain" else ""}
    unique-id-format %[uuid()]
    unique-id-header x-exchange
    filter spoe engine {engine} config {engine}.cfg
    http-request set-header traceparent %[var(txn.{engine}.traceparent)] if {{ var(txn.{engine}.traceparent) -m found }}
    http-request set-header tracestate %[var(txn.{engine}.tracestate)] if {{ var(txn.{engine}.tracestate) -m found }}
    http-request set-header x-request-scope %[var(req.{engine}.traceparent)] if {{ var(req.{engine}.traceparent) -m found }}
    http-response set-header x-error %[var(txn.{engine}.error)] if {{ var(txn.{engine}.error) -m found }}
    http-request deny if {{ path /deny }}
    use_backend none if {{ path /none }}
    default_backend app"""
        for engine, port in ports.items()
        if engine != "h2"
    )
    return f"""
defaults
    mode http
    log 127.0.0.1:{free_port()} local0
    option httplog
    timeout connect 500ms
    timeout client 5s
    timeout server 5s
    timeout tunnel 30s
{frontends}
backend app
    http-request set-header x-backend-context %[var(txn.plain.traceparent)] if {{ var(txn.plain.traceparent) -m found }}
    server app1 {upstream.address}
backend none
    server gone {ADDRESS}:{free_port()} disabled
backend agents
    mode tcp
    option spop-check
    timeout connect 1s
    timeout check 5s
    timeout server 30s
    server agent {agent.listen["spop"]} check inter 500ms fastinter 100ms fall 3 rise 1
"""


@dataclass(frozen=True, slots=True)
class MiniSite:
    """What runs."""

    sink: OtlpSink
    upstream: Upstream
    agent: Agent
    haproxy: HAProxy
    ports: dict[str, int]

    async def request(self, target: str, *, engine: str = "plain", headers: dict[str, str] | None = None) -> UpstreamRequest:
        """One good request, as the upstream saw it."""
        before = len(self.upstream.requests)
        answer = await single_request(self.ports[engine], request_head(target, headers=headers))
        assert b"x-error" not in answer
        (request,) = self.upstream.requests[before:]
        return request

    async def spans_of(self, trace_id: str, count: int) -> dict[str, SinkSpan]:
        """The spans of a trace by name, when there are so many."""
        spans = await self.sink.wait_for(lambda spans: len([s for s in spans if s.trace_id == trace_id]) >= count, 10)
        in_trace = [span for span in spans if span.trace_id == trace_id]
        assert len(in_trace) == count
        return {span.name: span for span in in_trace}

    async def new_root(self, before: list[SinkSpan]) -> SinkSpan:
        """The root span that has come since."""
        known = {span.span_id for span in before}
        spans = await self.sink.wait_for(lambda spans: any(s.name == ROOT and s.span_id not in known for s in spans), 10)
        (root,) = [span for span in spans if span.name == ROOT and span.span_id not in known]
        return root


@contextlib.asynccontextmanager
async def running_mini_site(found: FoundHAProxy, folder: Path) -> AsyncIterator[MiniSite]:
    """Starts all four, ends all four."""
    ports = {name: free_port() for name in ("plain", "h2", "continuing", "session")}
    limits = {"requestTimeout": "1s", "serverTimeout": "5s", "upgradedTimeout": "60m"}
    files = {
        "plain.cfg": spoe_file("plain", MESSAGES, NINE_SPANS.format(context="")),
        "continuing.cfg": spoe_file("continuing", MESSAGES, NINE_SPANS.format(context=CONTEXT)),
        "session.cfg": spoe_file("session", "session-opened session-finished", SESSION_ONLY),
    }
    async with (
        OtlpSink() as sink,
        Upstream() as upstream,
        Agent(folder, endpoint=sink.endpoint, settings={"minilanguage": limits}) as agent,
        HAProxy(haproxy_config(agent, upstream, ports), folder, binary=found.path, files=files) as haproxy,
    ):
        yield MiniSite(sink, upstream, agent, haproxy, ports)
    assert not [line for line in agent.process.lines if "ERROR" in line or "WARNING" in line or "Traceback" in line]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(found_haproxy: FoundHAProxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[MiniSite]:
    async with running_mini_site(found_haproxy, tmp_path_factory.mktemp("minilang")) as running:
        yield running
        assert (await running.agent.metrics())["minilang_exchanges_open"] == 0


def check_tree(spans: dict[str, SinkSpan], root_parent: str = "") -> None:
    """Parents, links, kinds and times of nine spans or fewer."""
    for name, span in spans.items():
        assert span.parent_span_id == (spans[PARENTS[name]].span_id if PARENTS[name] else root_parent)
        assert span.kind == ("SERVER" if name == ROOT else "INTERNAL")
        assert span.start_unix_nano <= span.end_unix_nano
        assert [(link.trace_id, link.span_id) for link in span.links] == (
            [(span.trace_id, spans[PREDECESSORS[name]].span_id)] if name in PREDECESSORS else []
        )


async def test_eight_events_make_nine_spans(site: MiniSite) -> None:
    request = await site.request("/good?a=1", headers={"referer": "http://elsewhere.example/"})
    _, trace_id, span_id, flags = (request.header("traceparent") or "").split("-")
    spans = await site.spans_of(trace_id, 9)
    assert spans.keys() == PARENTS.keys()
    check_tree(spans)
    assert (span_id, flags) == (spans["Frontend HTTP request"].span_id, "03")
    assert request.header("x-request-scope") == request.header("traceparent")
    assert (request.header("x-backend-context") or "").split("-")[2] == spans["Backend HTTP request"].span_id
    assert {span.trace_state for span in spans.values()} == {request.header("tracestate")} == {"ot=th:0"}

    exchange = {"baggage.haproxy_id": request.header("x-exchange")}
    assert spans[ROOT].attributes == exchange
    client = spans["Client session"].attributes
    assert str(client.pop("client")).startswith("127.0.0.1:")
    assert client == {**exchange, "port": site.ports["plain"]}
    later = {**exchange, "baggage.method": "GET"}
    assert spans["Frontend HTTP request"].attributes == {
        **later,
        "http.method": "GET",
        "http.url": "/good?a=1",
        "http.version": "HTTP/1.1",
        "secure": False,
        "referer": "http://elsewhere.example/",
    }
    assert spans["Backend HTTP request"].attributes == later
    assert spans["Server session"].attributes == {**exchange, "server": "app1"}
    assert spans["HTTP response"].attributes == {**exchange, "http.status_code": 200}
    (event,) = spans["Frontend TCP request"].events
    assert (event.name, event.attributes) == ("first bytes", {"from": "127.0.0.1"})
    assert event.time_unix_nano == spans["Frontend TCP request"].start_unix_nano
    assert {span.status_code for span in spans.values()} == {"UNSET"}
    # One event is one moment.
    assert spans["Frontend TCP request"].end_unix_nano == spans["Frontend HTTP request"].start_unix_nano
    assert len({spans[name].end_unix_nano for name in (ROOT, "Client session", "Server session", "HTTP response")}) == 1


async def test_an_error_is_the_status_of_its_span(site: MiniSite) -> None:
    request = await site.request("/status/500")
    spans = await site.spans_of((request.header("traceparent") or "")[3:35], 9)
    assert {name for name, span in spans.items() if span.status_code == "ERROR"} == {"HTTP response"}


async def test_each_request_of_a_kept_connection_is_an_exchange_of_its_own(site: MiniSite) -> None:
    before = len(site.upstream.requests)
    async with RawConnection.open(site.ports["plain"]) as connection:
        for _ in range(3):
            await connection.send(request_head("/", close=False))
            await connection.read_until()
    requests = site.upstream.requests[before:]
    trace_ids = {(request.header("traceparent") or "")[3:35] for request in requests}
    assert len(trace_ids) == 3
    for trace_id in trace_ids:
        check_tree(await site.spans_of(trace_id, 9))


async def test_concurrent_requests_of_one_connection_do_not_mix(site: MiniSite) -> None:
    before = len(site.upstream.requests)
    async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as client:
        urls = [f"http://127.0.0.1:{site.ports['h2']}/slow?ms=50&n={number}" for number in range(8)]
        answers = await asyncio.gather(*map(client.get, urls))
    assert {answer.http_version for answer in answers} == {"HTTP/2"}
    requests = site.upstream.requests[before:]
    assert len(requests) == 8
    for request in requests:
        spans = await site.spans_of((request.header("traceparent") or "")[3:35], 9)
        check_tree(spans)
        # HAProxy's `url` is absolute in HTTP/2.
        assert str(spans["Frontend HTTP request"].attributes["http.url"]).endswith(request.target)
        assert {span.attributes["baggage.haproxy_id"] for span in spans.values()} == {request.header("x-exchange")}


@pytest.mark.parametrize(
    ("path", "status", "finished", "unfinished"),
    [
        ("/deny", b"403", IN_FRONTEND, {ROOT, "Client session", "Frontend HTTP request"}),
        ("/none", b"503", IN_BACKEND, {ROOT, "Client session", "Backend HTTP request"}),
    ],
)
async def test_what_nothing_finishes_is_closed_when_its_time_is_over(
    site: MiniSite, path: str, status: bytes, finished: set[str], unfinished: set[str]
) -> None:
    before = list(site.sink.spans)
    expired = (await site.agent.metrics())['minilang_exchanges_expired_total{reason="time"}']
    assert (await single_request(site.ports["plain"], request_head(path)))[9:12] == status
    root = await site.new_root(before)
    spans = await site.spans_of(root.trace_id, len(finished | unfinished))
    assert spans.keys() == finished | unfinished
    check_tree(spans)
    assert {name for name, span in spans.items() if span.status_code == "ERROR"} == unfinished
    assert {name for name, span in spans.items() if span.attributes.get("haproxy.spoe.unfinished") == "time"} == unfinished
    # They end when the last event was, not when the agent gave them up.
    assert len({spans[name].end_unix_nano for name in unfinished}) == 1
    assert spans[ROOT].seconds < 1
    assert (await site.agent.metrics())['minilang_exchanges_expired_total{reason="time"}'] == expired + 1


async def test_a_websockets_spans_end_at_its_upgrade(site: MiniSite) -> None:
    before = list(site.sink.spans)
    async with RawConnection.open(site.ports["plain"]) as connection:
        await connection.send(request_head("/ws", headers=WEBSOCKET_UPGRADE, close=False))
        assert b" 101 " in await connection.read_until()
        root = await site.new_root(before)
        spans = await site.spans_of(root.trace_id, 9)
    check_tree(spans)
    assert spans["HTTP response"].attributes["http.status_code"] == 101


async def test_the_callers_trace_goes_on(site: MiniSite) -> None:
    """The context comes with the third event, when three spans are open: all of them move into the caller's trace."""
    headers = {"traceparent": f"00-{CALLER_TRACE}-{CALLER}-01", "tracestate": "foreign=1"}
    request = await site.request("/", engine="continuing", headers=headers)
    spans = await site.spans_of(CALLER_TRACE, 9)
    check_tree(spans, root_parent=CALLER)
    assert request.header("traceparent") == f"00-{CALLER_TRACE}-{spans['Frontend HTTP request'].span_id}-01"
    assert request.header_values("tracestate") == ["foreign=1"]


async def test_what_was_told_of_a_tracestate_is_taken_back(site: MiniSite) -> None:
    """At the first event there was one (``ot=th``); the caller who is heard of later has none."""
    trace_id = CALLER_TRACE[::-1]
    request = await site.request("/", engine="continuing", headers={"traceparent": f"00-{trace_id}-{CALLER}-01"})
    assert request.header_values("tracestate") == []
    check_tree(await site.spans_of(trace_id, 9), root_parent=CALLER)


async def test_an_unsampled_trace_is_passed_on_and_makes_no_spans(site: MiniSite) -> None:
    trace_id = "0" + CALLER_TRACE[1:]
    headers = {"traceparent": f"00-{trace_id}-{CALLER}-00"}
    request = await site.request("/", engine="continuing", headers=headers)
    assert (request.header("traceparent") or "")[:36] == f"00-{trace_id}-"
    assert (request.header("traceparent") or "")[-3:] == "-00"
    # A trace that is recorded, and has ended after it, has come.
    later = await site.request("/")
    await site.spans_of((later.header("traceparent") or "")[3:35], 9)
    assert not [span for span in site.sink.spans if span.trace_id == trace_id]


async def test_variables_can_be_set_when_a_session_begins(site: MiniSite) -> None:
    request = await site.request("/", engine="session")
    traceparent = request.header("traceparent") or ""
    spans = await site.spans_of(traceparent[3:35], 1)
    assert traceparent[36:52] == spans["Session"].span_id
    assert request.header("x-request-scope") == traceparent


async def test_messages_are_counted_under_one_name(site: MiniSite) -> None:
    metrics = await site.agent.metrics()
    assert metrics['messages_total{message="minilang"}'] > 11
    assert metrics['messages_total{message="other"}'] == 0
    assert metrics['minilang_spans_made_total{kind="server"}'] > 0
    assert metrics["queue_size"] >= 0


async def test_a_stop_of_the_agent_closes_what_is_open(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    async with running_mini_site(found_haproxy, tmp_path) as site, RawConnection.open(site.ports["plain"]) as connection:
        await connection.send(request_head("/hold"))
        trace_id = ((await site.upstream.wait_for_request()).header("traceparent") or "")[3:35]
        # All events but the last: the server may see the request before the agent hears of its session.
        await site.agent.wait_for_metric('messages_total{message="minilang"}', 7)
        assert (await site.agent.metrics())["minilang_exchanges_open"] == 1
        assert await site.agent.stop() == 0
        spans = await site.spans_of(trace_id, 8)
        check_tree(spans)
        assert {span.name for span in spans.values() if span.attributes.get("haproxy.spoe.unfinished") == "shutdown"} == {
            ROOT,
            "Client session",
            "Server session",
            "TCP response",
        }
        # HAProxy asks a last time at the response; 2.6 would hold it back for an agent that it believes in.
        await site.haproxy.wait_for_server("agents", "agent", "DOWN")
        site.upstream.release()
        assert b" 200 " in await connection.read_until()
