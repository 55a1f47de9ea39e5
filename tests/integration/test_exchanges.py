"""Every end an exchange can have, through every HAProxy: one right SERVER span, and a CLIENT span if a server was chosen.

One row of the table is one exchange: how a client behaves, and what its spans must say.
"""

import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from support.haproxies import FoundHAProxy
from support.otlp_sink import SinkSpan
from support.raw_client import WEBSOCKET_UPGRADE, RawConnection, request_head, single_request
from support.site import SERVER_TIMEOUT_SECONDS, Site, running_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

CALLER = "00f067aa0ba902b7"
CLOCK_TOLERANCE_SECONDS = 0.005
"""HAProxy looks at its clock once a poll; the test at its own."""

Act = Callable[[Site, dict[str, str]], Awaitable[None]]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(found_haproxy: FoundHAProxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    async with running_site(found_haproxy, folder) as running:
        yield running
    assert not [line for line in running.agent.process.lines if "ERROR" in line or "Traceback" in line]


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What one span must say."""

    code: int | None = 200
    error: str | None = None
    """`error.type`; with one the span's status is ERROR, without it UNSET."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One exchange."""

    act: Act
    termination: str | Callable[[Site], str] = "--"
    server: Expected | Callable[[Site], Expected] = field(default_factory=Expected)
    client: Expected | Callable[[Site], Expected] | None = field(default_factory=Expected)
    method: str = "GET"
    path: str = "/"
    protocol: str = "1.1"
    seconds: tuple[float, float] = (0.0, 0.6)
    """The SERVER span takes from so long to so long."""
    attributes: dict[str, object] = field(default_factory=dict)
    """Further attributes of the CLIENT span."""


def get(target: str, *, method: str = "GET") -> Act:
    async def act(site: Site, headers: dict[str, str]) -> None:
        await single_request(site.http_port, request_head(target, method=method, headers=headers))

    return act


async def over_http2(site: Site, headers: dict[str, str]) -> None:
    async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as client:
        answer = await client.get(f"http://127.0.0.1:{site.http2_port}/", headers=headers)
    assert answer.http_version == "HTTP/2"


async def go_away_while_waiting(site: Site, headers: dict[str, str]) -> None:
    async with RawConnection.open(site.http_port) as connection:
        await connection.send(request_head("/slow?ms=300", headers=headers, close=False))
        await site.upstream.wait_for_request(lambda request: headers["traceparent"][3:35] in (request.header("traceparent") or ""))
        connection.close()


async def go_away_during_upload(site: Site, headers: dict[str, str]) -> None:
    async with RawConnection.open(site.http_port) as connection:
        head = request_head("/upload", method="POST", headers={**headers, "content-length": "1000"}, close=False)
        await connection.send(head + b"some of it")
        await site.upstream.wait_for_request(lambda request: headers["traceparent"][3:35] in (request.header("traceparent") or ""))


async def go_away_during_download(site: Site, headers: dict[str, str]) -> None:
    async with RawConnection.open(site.http_port) as connection:
        await connection.send(request_head("/stream?chunks=20&ms=20", headers=headers, close=False))
        await connection.read_until()


async def talk_over_websocket(site: Site, headers: dict[str, str]) -> None:
    upgrade = {
        **headers,
        **WEBSOCKET_UPGRADE,
    }
    async with RawConnection.open(site.http_port) as connection:
        await connection.send(request_head("/ws", headers=upgrade, close=False))
        assert b" 101 " in await connection.read_until()
        for _ in range(3):
            await connection.send(b"ping")
            assert await connection.read_exactly(4) == b"ping"


def by_version(since: tuple[int, int], newer: Expected, older: Expected) -> Callable[[Site], Expected]:
    return lambda site: newer if site.version >= since else older


ROWS: dict[str, Row] = {
    "200": Row(act=get("/")),
    "404 by the server": Row(
        act=get("/status/404"), path="/status/404", server=Expected(code=404), client=Expected(code=404, error="404")
    ),
    "500 by the server": Row(
        act=get("/status/500"),
        path="/status/500",
        server=Expected(code=500, error="500"),
        client=Expected(code=500, error="500"),
    ),
    "HTTP/2": Row(act=over_http2, protocol="2"),
    "redirect": Row(act=get("/redirect"), path="/redirect", termination="LR", server=Expected(code=302), client=None),
    "deny": Row(act=get("/deny"), path="/deny", termination="PR", server=Expected(code=403), client=None),
    "return": Row(act=get("/return"), path="/return", termination="LR", server=Expected(code=204), client=None),
    "no server": Row(act=get("/none"), path="/none", termination="SC", server=Expected(code=503, error="503"), client=None),
    "refused, retried": Row(
        act=get("/refused"),
        path="/refused",
        termination="SC",
        server=Expected(code=503, error="503"),
        client=Expected(code=None, error="haproxy.connect"),
        seconds=(0.0, 5.0),
        attributes={"haproxy.retries": 2, "http.request.resend_count": 2, "haproxy.redispatched": False},
    ),
    "refused, redispatched": Row(
        act=get("/redispatched"),
        path="/redispatched",
        seconds=(0.0, 5.0),
        attributes={"haproxy.redispatched": True, "haproxy.server.name": "app1"},
    ),
    "504": Row(
        act=get("/slow?ms=3000"),
        path="/slow",
        termination="sH",
        server=Expected(code=504, error="504"),
        client=Expected(code=None, error="haproxy.server_timeout"),
        seconds=(SERVER_TIMEOUT_SECONDS, SERVER_TIMEOUT_SECONDS + 0.6),
    ),
    "server closes without an answer": Row(
        act=get("/close"),
        path="/close",
        termination="SH",
        server=Expected(code=502, error="502"),
        client=Expected(code=None, error="haproxy.server_abort"),
    ),
    "server answers garbage": Row(
        act=get("/garbage"),
        path="/garbage",
        termination="PH",
        server=Expected(code=502, error="502"),
        client=Expected(code=None, error="haproxy.denied"),
    ),
    "truncated body": Row(
        act=get("/truncate"),
        path="/truncate",
        termination="SD",
        server=Expected(error="haproxy.server_abort"),
        client=Expected(error="haproxy.server_abort"),
    ),
    "client gone while waiting": Row(
        # HAProxy lets the server finish (no `option abortonclose`), and from 3.4 on does not.
        act=go_away_while_waiting,
        path="/slow",
        termination=lambda site: "CH" if site.version >= (3, 4) else "--",
        server=by_version((3, 4), Expected(code=400), Expected()),
        client=by_version((3, 4), Expected(code=None), Expected()),
        seconds=(0.0, 1.5),
    ),
    "client gone during upload": Row(
        act=go_away_during_upload,
        method="POST",
        path="/upload",
        termination=lambda site: "CH" if site.version >= (2, 8) else "CD",
        server=by_version((2, 8), Expected(code=400), Expected(code=None, error="haproxy.client_abort")),
        client=Expected(code=None),
    ),
    "client gone during download": Row(act=go_away_during_download, path="/stream", termination="CD", seconds=(0.0, 1.5)),
    "slow streaming body": Row(act=get("/stream?chunks=10&ms=30"), path="/stream", seconds=(0.25, 1.5)),
    "websocket": Row(
        act=talk_over_websocket,
        path="/ws",
        termination="CD",
        server=Expected(code=101),
        client=Expected(code=101),
        seconds=(0.0, 1.5),
    ),
    "unknown method": Row(act=get("/", method="BREW"), method="_OTHER"),
}


def new_context() -> tuple[str, dict[str, str]]:
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{CALLER}-01", "tracestate": "foreign=1"}


def of_kind(spans: Iterable[SinkSpan], trace_id: str, kind: str) -> list[SinkSpan]:
    return [span for span in spans if span.trace_id == trace_id and span.kind == kind]


def check(span: SinkSpan, expected: Expected, row: Row) -> None:
    assert span.attributes.get("http.response.status_code") == expected.code
    assert span.attributes.get("error.type") == expected.error
    assert span.status_code == ("UNSET" if expected.error is None else "ERROR")
    assert span.attributes["http.request.method"] == row.method
    assert span.name == ("HTTP" if row.method == "_OTHER" else row.method)
    assert span.trace_state == "foreign=1"


@pytest.mark.parametrize("name", ROWS)
async def test_an_exchange_has_exactly_its_spans(site: Site, name: str) -> None:
    row = ROWS[name]
    trace_id, headers = new_context()
    began_seconds = time.time()
    await row.act(site, headers)
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, trace_id, "SERVER")))
    ended_seconds = time.time()
    (server,) = of_kind(spans, trace_id, "SERVER")
    termination = row.termination(site) if callable(row.termination) else row.termination
    assert server.attributes["haproxy.termination_state"] == termination
    check(server, row.server(site) if callable(row.server) else row.server, row)
    assert server.parent_span_id == CALLER
    assert server.attributes["url.path"] == row.path
    assert server.attributes["network.protocol.version"] == row.protocol
    assert row.seconds[0] <= server.seconds <= row.seconds[1]
    assert began_seconds - CLOCK_TOLERANCE_SECONDS <= server.start_unix_nano / 1e9
    assert server.end_unix_nano / 1e9 <= ended_seconds + CLOCK_TOLERANCE_SECONDS

    clients = of_kind(spans, trace_id, "CLIENT")
    at_server = [request for request in site.upstream.requests if trace_id in (request.header("traceparent") or "")]
    if row.client is None:
        assert clients == at_server == []
        return
    (client,) = clients
    check(client, row.client(site) if callable(row.client) else row.client, row)
    assert client.parent_span_id == server.span_id
    assert server.start_unix_nano <= client.start_unix_nano <= client.end_unix_nano == server.end_unix_nano
    assert client.attributes.items() >= row.attributes.items()
    for request in at_server:
        assert request.header("traceparent") == f"00-{trace_id}-{client.span_id}-01"
        assert request.header_values("tracestate") == ["foreign=1"]


async def test_a_good_exchange_says_all_of_this_and_no_more(site: Site) -> None:
    trace_id, headers = new_context()
    await single_request(site.http_port, request_head("/some/path?a=1&sig=secret", headers=headers))
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, trace_id, "SERVER")))
    (server,), (client,) = of_kind(spans, trace_id, "SERVER"), of_kind(spans, trace_id, "CLIENT")
    measured = {
        name: server.attributes.pop(name)
        for name in ("network.peer.port", "http.request.size", "http.response.size", "haproxy.time.request", "haproxy.time.queue")
    }
    assert all(isinstance(value, int | float) and value >= 0 for value in measured.values())
    assert server.attributes == {
        "client.address": "127.0.0.1",
        "haproxy.backend.name": "app",
        "haproxy.frontend.name": "edge",
        "haproxy.termination_state": "--",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.peer.address": "127.0.0.1",
        "network.protocol.version": "1.1",
        "server.address": "shop.example",
        "server.port": 8443,
        "url.path": "/some/path",
        "url.query": "a=1&sig=REDACTED",
        "url.scheme": "http",
        "user_agent.original": "raw/1.0",
    }
    for name in ("haproxy.time.connect", "haproxy.time.response"):
        assert client.attributes.pop(name) >= 0  # type: ignore[operator]
    assert client.attributes == {
        "haproxy.backend.name": "app",
        "haproxy.server.name": "app1",
        "http.request.method": "GET",
        "http.response.status_code": 200,
        "network.peer.address": "127.0.0.1",
        "network.peer.port": site.upstream.port,
        "server.address": "shop.example",
        "server.port": 8443,
        "url.full": "http://shop.example:8443/some/path?a=1&sig=REDACTED",
    }
    assert server.resource["service.name"] == "edge"
    assert (server.scope_name, server.schema_url) == ("haproxy-telemetry-agent", "https://opentelemetry.io/schemas/1.44.0")


async def test_each_request_of_a_kept_connection_is_an_exchange_of_its_own(site: Site) -> None:
    contexts = [new_context() for _ in range(3)]
    async with RawConnection.open(site.http_port) as connection:
        for _, headers in contexts:
            await connection.send(request_head("/", headers=headers, close=False))
            await connection.read_until(b"\r\n\r\n")
    trace_ids = {trace_id for trace_id, _ in contexts}
    spans = await site.sink.wait_for(lambda spans: len([s for s in spans if s.trace_id in trace_ids]) >= 6)
    servers = [span for span in spans if span.trace_id in trace_ids and span.kind == "SERVER"]
    assert sorted(span.trace_id for span in servers) == sorted(trace_ids)
    in_order = sorted(servers, key=lambda span: span.start_unix_nano)
    assert [span.trace_id for span in in_order] == [trace_id for trace_id, _ in contexts]


async def test_a_request_without_context_starts_a_trace(site: Site) -> None:
    before = len(site.upstream.requests)
    await single_request(site.http_port, request_head("/root"))
    (request,) = site.upstream.requests[before:]
    version, trace_id, span_id, flags = (request.header("traceparent") or "").split("-")
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, trace_id, "SERVER")))
    (server,), (client,) = of_kind(spans, trace_id, "SERVER"), of_kind(spans, trace_id, "CLIENT")
    assert (version, span_id, flags) == ("00", client.span_id, "03")
    assert server.parent_span_id == ""
    assert server.trace_state == client.trace_state == request.header("tracestate") == "ot=th:0"


@pytest.mark.parametrize(
    "traceparent",
    [
        "garbage",
        f"00-{'0' * 32}-{CALLER}-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{'0' * 16}-01",
        f"ff-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01",
        f"00-4BF92F3577B34DA6A3CE929D0E0E4736-{CALLER}-01",
        f"00-4bf92f3577b34da6a3ce929d0e0e4736-{CALLER}-01-more",
    ],
)
async def test_an_invalid_context_is_ignored_and_its_tracestate_with_it(site: Site, traceparent: str) -> None:
    before = len(site.upstream.requests)
    await single_request(site.http_port, request_head("/", headers={"traceparent": traceparent, "tracestate": "lost=1"}))
    (request,) = site.upstream.requests[before:]
    trace_id = (request.header("traceparent") or "").split("-")[1]
    assert trace_id != "4bf92f3577b34da6a3ce929d0e0e4736"
    assert request.header_values("tracestate") == ["ot=th:0"]
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, trace_id, "SERVER")))
    assert of_kind(spans, trace_id, "SERVER")[0].parent_span_id == ""


async def test_several_tracestate_headers_are_one(site: Site) -> None:
    trace_id, headers = new_context()
    head = request_head("/", headers=headers).replace(b"tracestate: foreign=1", b"tracestate: a=1,b=2\r\ntracestate: c=3")
    await single_request(site.http_port, head)
    request = await site.upstream.wait_for_request(lambda request: trace_id in (request.header("traceparent") or ""))
    assert request.header_values("tracestate") == ["a=1,b=2,c=3"]


async def test_an_unsampled_trace_is_passed_on_and_not_exported(site: Site) -> None:
    trace_id, headers = new_context()
    headers["traceparent"] = headers["traceparent"][:-2] + "00"
    recorded = (await site.agent.metrics())['exchanges_recorded_total{start="answered"}']
    await single_request(site.http_port, request_head("/", headers=headers))
    request = await site.upstream.wait_for_request(lambda request: trace_id in (request.header("traceparent") or ""))
    traceparent = request.header("traceparent") or ""
    assert traceparent.startswith(f"00-{trace_id}-")
    assert traceparent.endswith("-00")
    assert traceparent[36:52] != CALLER
    await site.agent.wait_for_metric('exchanges_recorded_total{start="answered"}', recorded + 1)
    # A sampled exchange after it has arrived: had the unsampled one been exported, it would be there.
    later, headers = new_context()
    await single_request(site.http_port, request_head("/", headers=headers))
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, later, "SERVER")))
    assert not [span for span in spans if span.trace_id == trace_id]


async def test_an_unparsable_request_has_a_span(site: Site) -> None:
    before = len(site.sink.spans)
    answer = await single_request(site.http_port, b"\x16\x03\x01 no HTTP at all\r\n\r\n")
    assert b" 400 " in answer
    spans = await site.sink.wait_for(lambda spans: len(spans) > before)
    (server,) = spans[before:]
    assert (server.name, server.kind, server.status_code) == ("HTTP", "SERVER", "UNSET")
    assert server.attributes["http.request.method"] == "_OTHER"
    assert server.attributes["http.response.status_code"] == 400
    assert server.attributes["haproxy.termination_state"] == "PR"
    assert "url.path" not in server.attributes


@pytest.mark.parametrize("sent", [b"", b"GET / HT"])
async def test_a_connection_without_a_request_has_none(site: Site, sent: bytes) -> None:
    metric = 'exchanges_recorded_total{start="no_request"}'
    without = (await site.agent.metrics())[metric]
    before = len(site.sink.spans)
    async with RawConnection.open(site.http_port) as connection:
        await connection.send(sent)
        connection.close()
    await site.agent.wait_for_metric(metric, without + 1)
    trace_id, headers = new_context()
    await single_request(site.http_port, request_head("/", headers=headers))
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, trace_id, "SERVER")))
    assert {span.trace_id for span in spans[before:]} == {trace_id}


async def test_a_request_line_too_long_for_the_log_still_has_its_spans(site: Site) -> None:
    trace_id, headers = new_context()
    await single_request(site.http_port, request_head("/" + "x" * 3000, headers=headers))
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, trace_id, "SERVER")))
    (server,) = of_kind(spans, trace_id, "SERVER")
    assert str(server.attributes["url.path"]).startswith("/xxx")
    assert "network.protocol.version" not in server.attributes


async def test_text_of_clients_comes_through_unharmed(site: Site) -> None:
    trace_id, headers = new_context()
    head = request_head("/a%22b?q=%5D", headers=headers).replace(b"raw/1.0", b'a"b]c\\d (KHTML, \xc3\xa9)')
    await single_request(site.http_port, head)
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, trace_id, "SERVER")))
    (server,) = of_kind(spans, trace_id, "SERVER")
    assert server.attributes["user_agent.original"] == 'a"b]c\\d (KHTML, é)'
    assert server.attributes["url.path"] == "/a%22b"
    assert server.attributes["url.query"] == "q=%5D"


async def test_every_answer_was_followed_by_one_record(site: Site) -> None:
    """Last in this file: nothing was lost, nothing came twice, nothing was skipped, over all the exchanges above."""
    metrics = await site.agent.metrics()
    answered = sum(value for name, value in metrics.items() if name.startswith("exchanges_answered_total"))
    assert answered == metrics['exchanges_recorded_total{start="answered"}'] > len(ROWS)
    assert {name: value for name, value in metrics.items() if name.startswith("records_skipped_total") and value} == {}
    assert {name: value for name, value in metrics.items() if name.startswith("spans_dropped_total") and value} == {}
    assert metrics["spans_exported_total"] == len(site.sink.spans)
    servers = [span.trace_id for span in site.sink.spans if span.kind == "SERVER"]
    assert len(servers) == len(set(servers))
