"""Profile Full: which of the nine spans an exchange has, whose children they are and what they follow, whatever its end."""

import asyncio
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from support.exchanges import CALLER, ROWS, Act, get, new_context
from support.golden import assert_golden
from support.haproxies import FoundHAProxy
from support.otlp_sink import SinkSpan
from support.raw_client import RawConnection, request_head, single_request
from support.site import Site, running_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOLDEN = Path(__file__).parent / "golden"

PARENTS = {
    "HAProxy session": "",
    "Client session": "HAProxy session",
    "Frontend TCP request": "Client session",
    "Frontend HTTP request": "Client session",
    "Backend TCP request": "Client session",
    "Backend HTTP request": "Client session",
    "Server session": "HAProxy session",
    "TCP response": "Server session",
    "HTTP response": "Server session",
}
"""All nine, in the order of their beginning, and whose child each of them is."""
NINE = list(PARENTS)
EVENTS = {
    "client-session",
    "frontend-tcp-request",
    "request",
    "backend-tcp-request",
    "backend-http-request",
    "server-session",
    "tcp-response",
    "http-response",
}
GONE = "agent gone in the middle"
UNSAFE_SINCE_3_1 = {"server-session", "tcp-response"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(found_haproxy: FoundHAProxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with running_site(found_haproxy, tmp_path_factory.mktemp("site"), settings={"profile": "Full"}) as running:
        yield running
    assert not [line for line in running.agent.process.lines if "ERROR" in line or "Traceback" in line]


Case = Callable[[Site], Awaitable[list[list[SinkSpan]]]]
"""Plays a case; the spans of each of its exchanges, which must be alike."""


async def exchange_spans(site: Site, trace_id: str, *, count: int = 1) -> list[list[SinkSpan]]:
    """The spans of each exchange of a trace, as soon as there are so many exchanges; those of one exchange come together."""

    def sessions(spans: list[SinkSpan]) -> list[SinkSpan]:
        return [span for span in spans if span.trace_id == trace_id and span.kind == "SERVER"]

    spans = await site.sink.wait_for(lambda spans: len(sessions(spans)) >= count, timeout_seconds=15)
    exchanges = []
    for session in sessions(spans):
        ids = {session.span_id}
        members = [session]
        for span in (span for span in spans if span.trace_id == trace_id):
            if span.parent_span_id in ids:
                ids.add(span.span_id)
                members.append(span)
        exchanges.append(members)
    assert sum(map(len, exchanges)) == len([span for span in spans if span.trace_id == trace_id]), "a span hangs in the air"
    return exchanges


def one(act: Act) -> Case:
    async def case(site: Site) -> list[list[SinkSpan]]:
        trace_id, headers = new_context()
        await act(site, headers)
        return await exchange_spans(site, trace_id)

    return case


def row(name: str) -> Case:
    return one(ROWS[name].act)


async def kept_alive(site: Site) -> list[list[SinkSpan]]:
    trace_id, headers = new_context()
    async with RawConnection.open(site.http_port) as connection:
        for _ in range(3):
            await connection.send(request_head("/", headers=headers, close=False))
            await connection.read_until(b"well\n")
    return await exchange_spans(site, trace_id, count=3)


async def concurrent_over_http2(site: Site) -> list[list[SinkSpan]]:
    trace_id, headers = new_context()
    async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as client:
        url = f"http://127.0.0.1:{site.http2_port}/slow?ms=50"
        answers = await asyncio.gather(*(client.get(url, headers=headers) for _ in range(3)))
    assert [answer.status_code for answer in answers] == [200] * 3
    return await exchange_spans(site, trace_id, count=3)


async def unparsable(site: Site) -> list[list[SinkSpan]]:
    await single_request(site.http_port, b"\x16\x03\x01 no HTTP at all\r\n\r\n")
    spans = await site.sink.wait_for(
        lambda spans: any("url.path" not in span.attributes for span in spans if span.kind == "SERVER")
    )
    (session,) = (span for span in spans if span.kind == "SERVER" and "url.path" not in span.attributes)
    return await exchange_spans(site, session.trace_id)


async def through_listen(site: Site, headers: dict[str, str]) -> None:
    answer = await single_request(site.listen_port, request_head("/", headers=headers))
    assert b" 200 " in answer


async def from_cache(site: Site) -> list[list[SinkSpan]]:
    await single_request(site.http_port, request_head("/cached"))
    before = len(site.upstream.requests)
    case = one(get("/cached"))
    hit = await case(site)
    assert "/cached" not in [request.path for request in site.upstream.requests[before:]]
    return hit


CASES: dict[str, Case] = {
    "good request": row("200"),
    "keep-alive, 3 requests": kept_alive,
    "HTTP/2, 3 at once": concurrent_over_http2,
    "redirect": row("redirect"),
    "deny": row("deny"),
    "no server": row("no server"),
    "refused": row("refused, retried"),
    "redispatched": row("refused, redispatched"),
    "504": row("504"),
    "server closes": row("server closes without an answer"),
    "garbage": row("server answers garbage"),
    "truncated body": row("truncated body"),
    "client gone while waiting": row("client gone while waiting"),
    "client gone during upload": row("client gone during upload"),
    "client gone during download": row("client gone during download"),
    "unparsable request": unparsable,
    "WebSocket": row("websocket"),
    "listen section": one(through_listen),
    "cache hit": from_cache,
}


async def agent_gone(site: Site) -> list[list[SinkSpan]]:
    """The agent is gone when the answer comes: nobody is asked about the response, and the record waits in the ring."""
    trace_id, headers = new_context()
    asked = 'messages_total{message="haproxy-telemetry-server-session"}'
    asked_before = (await site.agent.metrics()).get(asked, 0.0)
    async with RawConnection.open(site.http_port) as connection:
        await connection.send(request_head("/hold", headers=headers))
        await site.upstream.wait_for_request(lambda request: trace_id in (request.header("traceparent") or ""))
        if site.version < (3, 1):
            # The server may have the request before the agent has answered this question, and without the answer HAProxy 2.6 holds
            # the response back.
            await site.agent.wait_for_metric(asked, asked_before + 1)
        site.agent.process.send_signal(signal.SIGKILL)
        await site.agent.process.stop()
        await site.haproxy.wait_for_server("haproxy-telemetry-spoa", "agent", "DOWN")
        site.upstream.release()
        assert b" 200 " in await connection.read_all()
    await site.agent.start()
    return await exchange_spans(site, trace_id)


def span_names(exchange: list[SinkSpan]) -> set[str]:
    names = {span.name for span in exchange}
    assert len(names) == len(exchange)
    return names


def link_texts(exchange: list[SinkSpan]) -> list[str]:
    """Every link as its span and whom it follows, in the order of the nine."""
    names = {span.span_id: span.name for span in exchange}
    in_order = sorted(exchange, key=lambda span: NINE.index(span.name))
    return [f"{span.name} follows {names[link.span_id]}" for span in in_order for link in span.links]


def check_tree(exchange: list[SinkSpan]) -> None:
    """What holds for every exchange, whichever spans it has."""
    names = {span.span_id: span.name for span in exchange}
    by_name = {span.name: span for span in exchange}
    session = by_name["HAProxy session"]
    for span in exchange:
        if span is not session:
            assert names[span.parent_span_id] == PARENTS[span.name]
            parent = by_name[PARENTS[span.name]]
            assert parent.start_unix_nano <= span.start_unix_nano <= span.end_unix_nano <= parent.end_unix_nano
        kinds = {"HAProxy session": "SERVER", "Server session": "CLIENT"}
        assert span.kind == kinds.get(span.name, "INTERNAL")
        for link in span.links:
            assert link.trace_id == span.trace_id
            assert link.attributes == {"opentracing.ref_type": "follows_from"}
            # What is followed ends when its follower begins.
            assert by_name[names[link.span_id]].end_unix_nano == span.start_unix_nano
    client_session = by_name["Client session"]
    assert (client_session.start_unix_nano, client_session.end_unix_nano) == (session.start_unix_nano, session.end_unix_nano)
    starts = [by_name[name].start_unix_nano for name in NINE if name in by_name]
    assert starts == sorted(starts)
    if "Server session" in by_name and "Backend HTTP request" in by_name:
        assert by_name["Backend HTTP request"].end_unix_nano == by_name["Server session"].start_unix_nano
    assert {name: by_name[name].end_unix_nano for name in ("Server session", "HTTP response") if name in by_name}.items() <= {
        "Server session": session.end_unix_nano,
        "HTTP response": session.end_unix_nano,
    }.items()


def matrix_text(cases: dict[str, list[SinkSpan]]) -> str:
    """Which spans each case has, and below it which links."""
    initials = ["".join(word[0] for word in name.upper().split()) for name in NINE]
    width = max(map(len, cases))
    lines = [f"{initial:<5}{name}" for initial, name in zip(initials, NINE, strict=True)]
    lines += ["", (" " * width + "".join(f"  {initial:<3}" for initial in initials)).rstrip()]
    links: dict[tuple[str, ...], list[str]] = {}
    for case, exchange in cases.items():
        names = span_names(exchange)
        marks = "".join(f"  {'x' if name in names else '.':<3}" for name in NINE)
        lines.append(f"{case:<{width}}{marks}".rstrip())
        links.setdefault(tuple(link_texts(exchange)), []).append(case)
    for texts, alike in links.items():
        lines += ["", *(f"{case}:" for case in alike), *(f"    {text}" for text in texts or ("no links",))]
    return "\n".join(lines) + "\n"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def played(site: Site) -> dict[str, list[list[SinkSpan]]]:
    """Every case, all at once but the one that takes the agent away."""
    exchanges = await asyncio.gather(*(case(site) for case in CASES.values()))
    return {**dict(zip(CASES, exchanges, strict=True)), GONE: await agent_gone(site)}


async def test_every_exchange_is_a_tree_of_its_own(played: dict[str, list[list[SinkSpan]]]) -> None:
    for case, exchanges in played.items():
        assert len(exchanges) == (3 if "3" in case else 1)
        for exchange in exchanges:
            check_tree(exchange)
            if case != "unparsable request":
                assert [span.parent_span_id for span in exchange if span.name == "HAProxy session"] == [CALLER]
            assert (span_names(exchange), link_texts(exchange)) == (span_names(exchanges[0]), link_texts(exchanges[0]))
    ids = [span.span_id for exchanges in played.values() for exchange in exchanges for span in exchange]
    assert len(ids) == len(set(ids))


async def test_which_spans_and_links_each_case_has(site: Site, played: dict[str, list[list[SinkSpan]]]) -> None:
    assert_golden(GOLDEN, "nine_spans", site.version, matrix_text({case: exchanges[0] for case, exchanges in played.items()}))


async def test_an_exchange_outlives_the_agent_that_stamped_its_start(site: Site, played: dict[str, list[list[SinkSpan]]]) -> None:
    ((*exchange,),) = played[GONE]
    by_name = {span.name: span for span in exchange}
    assert list(by_name) == NINE
    assert by_name["HAProxy session"].attributes["server.address"] == "shop.example"  # only the start knew
    trace_id, server = by_name["Server session"].trace_id, by_name["Server session"]
    (request,) = (request for request in site.upstream.requests if request.path == "/hold")
    assert request.header("traceparent") == f"00-{trace_id}-{server.span_id}-01"
    # HAProxy's timer says when the answer came: after the agent had been missed.
    assert by_name["TCP response"].seconds > max(0.05, by_name["HTTP response"].seconds)
    assert by_name["HTTP response"].attributes == {"http.response.status_code": 200}


async def test_haproxy_asks_at_every_event_that_is_safe(site: Site, played: dict[str, list[list[SinkSpan]]]) -> None:
    """On 3.1 and later a server that closes without an answer would end HAProxy, were it asked at two of them. There are nine spans
    all the same."""
    await site.haproxy.wait_for_server("haproxy-telemetry-spoa", "agent", "UP")
    ((*exchange,),) = await row("200")(site)
    assert [span.name for span in exchange] == NINE
    # The agent that was started in the middle has been asked all this.
    metrics = await site.agent.metrics()
    asked = {name.split('"')[1] for name, value in metrics.items() if name.startswith("messages_total") and value}
    unsafe = UNSAFE_SINCE_3_1 if site.version >= (3, 1) else set()
    assert asked == {f"haproxy-telemetry-{event}" for event in EVENTS - unsafe}
