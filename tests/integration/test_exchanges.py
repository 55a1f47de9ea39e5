"""Every end an exchange can have, through every HAProxy, in every profile: its spans say the truth of it, all of it, and no more.

What must hold stands in the table (``support.exchanges``), and is the same for all profiles: Standard and Stream have a SERVER
span, and a CLIENT span if a server was chosen; in Full they are called HAProxy session and Server session, and the time between is
cut into phases. All that the spans say stands in ``golden/<profile>/<row>.txt``.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest
import pytest_asyncio

from haproxy_telemetry_agent.wiring import Profile
from support.exchanges import CALLER, LONG_ROWS, ROWS, Expected, Row, new_context
from support.golden import assert_golden, slug
from support.haproxies import FoundHAProxy
from support.otlp_sink import SinkSpan
from support.raw_client import RawConnection, request_head, single_request
from support.site import Site, running_site
from support.trace_text import trace_text

pytestmark = pytest.mark.asyncio(loop_scope="module")

GOLDEN = Path(__file__).parent / "golden"
PROFILES: tuple[Profile, ...] = ("Standard", "Full", "Stream")
CLOCK_TOLERANCE_SECONDS = 0.005
"""HAProxy looks at its clock once a poll; the test at its own."""

ROOT_TRACESTATE = "ot=th:0"
"""A new trace says at which ratio it was kept, whoever began it."""

# What cannot hold in Stream, where HAProxy's own rules make the context and nobody parses anything while the request waits.
# Everything else in this file holds there as well.
FORWARDED_TRACESTATE: dict[Profile, list[str]] = {
    "Standard": ["a=1,b=2,c=3"],
    "Full": ["a=1,b=2,c=3"],
    # They are the caller's own lines, untouched, which is as good for the server.
    "Stream": ["a=1,b=2", "c=3"],
}
"""Several tracestate lines become one; HAProxy's rules leave those of a trace that they continue alone."""
RECORDED_TRACESTATE: dict[Profile, str] = {
    "Standard": "a=1,b=2,c=3",
    "Full": "a=1,b=2,c=3",
    "Stream": "c=3",
}
"""What the spans have of several lines: HAProxy's rules keep the last one."""
RECORDED: dict[Profile, str] = {
    "Standard": 'exchanges_recorded_total{start="answered"}',
    "Full": 'exchanges_recorded_total{start="answered"}',
    "Stream": 'exchanges_recorded_total{start="unasked"}',
}
"""Where an exchange is counted."""

PHASES: dict[str, dict[str, object]] = {
    "Client session": {"haproxy.frontend.name": "edge"},
    "Frontend TCP request": {"haproxy.frontend.name": "edge"},
    "Frontend HTTP request": {"haproxy.frontend.name": "edge"},
    "Backend TCP request": {"haproxy.backend.name": "app"},
    "Backend HTTP request": {"haproxy.backend.name": "app"},
    "TCP response": {},
    "HTTP response": {"http.response.status_code": 200},
}
"""What profile Full has beside the sessions, and what these spans say."""


@pytest.fixture(scope="module", params=PROFILES)
def profile(request: pytest.FixtureRequest) -> Profile:
    wanted: Profile = request.param
    return wanted


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(found_haproxy: FoundHAProxy, profile: Profile, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    folder: Path = tmp_path_factory.mktemp("site")
    async with running_site(found_haproxy, folder, settings={"profile": profile}) as running:
        yield running
    assert not [line for line in running.agent.process.lines if "ERROR" in line or "Traceback" in line]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def long_exchanges(site: Site) -> AsyncIterator[dict[str, tuple[str, float, asyncio.Task[None]]]]:
    """The long rows, begun before the others so that nobody has to wait for them: trace id, Unix seconds of the start, and task."""
    begun: dict[str, tuple[str, float, asyncio.Task[None]]] = {}
    for name, row in LONG_ROWS.items():
        trace_id, headers = new_context()
        begun[name] = trace_id, time.time(), asyncio.ensure_future(row.act(site, headers))
    yield begun
    for _, _, task in begun.values():
        task.cancel()
    await asyncio.gather(*(task for _, _, task in begun.values()), return_exceptions=True)


def of_kind(spans: Iterable[SinkSpan], trace_id: str, kind: str) -> list[SinkSpan]:
    return [span for span in spans if span.trace_id == trace_id and span.kind == kind]


def check_span(span: SinkSpan, expected: Expected, row: Row, names: tuple[str, ...]) -> None:
    assert span.attributes.get("http.response.status_code") == expected.code
    assert span.attributes.get("error.type") == expected.error
    assert span.status_code == ("UNSET" if expected.error is None else "ERROR")
    assert span.attributes["http.request.method"] == row.method
    assert span.name in names


def is_otherwise(row: Row, server: SinkSpan) -> bool:
    return row.otherwise is not None and server.attributes.get("http.response.status_code") == row.otherwise.code


def check_exchange(site: Site, profile: Profile, row: Row, spans: list[SinkSpan], seconds: tuple[float, float]) -> None:
    """`spans` are the trace's, `seconds` the moments between which the client began and knew of the end."""
    (server,) = (span for span in spans if span.kind == "SERVER")
    trace_id = server.trace_id
    assert server.attributes["haproxy.termination_state"] == row.termination_of(site)
    by_method = "HTTP" if row.method == "_OTHER" else row.method
    expected_server = row.otherwise if row.otherwise and is_otherwise(row, server) else row.server_of(site)
    check_span(server, expected_server, row, ("HAProxy session",) if profile == "Full" else (by_method,))
    assert server.parent_span_id == CALLER
    assert server.attributes["url.path"] == row.path
    assert server.attributes["network.protocol.version"] == row.protocol
    assert row.seconds[0] <= server.seconds <= row.seconds[1]
    assert seconds[0] - CLOCK_TOLERANCE_SECONDS <= server.start_unix_nano / 1e9
    assert server.end_unix_nano / 1e9 <= seconds[1] + CLOCK_TOLERANCE_SECONDS
    assert {span.trace_state for span in spans} == {"foreign=1"}
    for span in spans:
        assert server.start_unix_nano <= span.start_unix_nano <= span.end_unix_nano <= server.end_unix_nano

    clients = [span for span in spans if span.kind == "CLIENT"]
    at_server = [request for request in site.upstream.requests if trace_id in (request.header("traceparent") or "")]
    expected = row.client_of(site)
    if expected is None:
        assert (clients, at_server) == ([], [])
        return
    if profile == "Full" and not row.connected:
        # No server, no session with it: what became of the server that was chosen stands at the request that waited for it.
        assert (clients, at_server) == ([], [])
        (client,) = (span for span in spans if span.name == "Backend HTTP request")
        check_span(client, expected, row, ("Backend HTTP request",))
    else:
        (client,) = clients
        check_span(client, expected, row, ("Server session",) if profile == "Full" else (by_method,))
        assert client.parent_span_id == server.span_id
    assert client.end_unix_nano == server.end_unix_nano
    assert client.attributes.items() >= row.attributes.items()
    for request in at_server:
        assert request.header("traceparent") == f"00-{trace_id}-{client.span_id}-01"
        assert request.header_values("tracestate") == ["foreign=1"]


async def spans_of(site: Site, trace_id: str) -> list[SinkSpan]:
    """All spans of a trace that has one exchange; they come together."""
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, trace_id, "SERVER")))
    return [span for span in spans if span.trace_id == trace_id]


def check_golden(site: Site, profile: Profile, name: str, row: Row, spans: list[SinkSpan]) -> None:
    if any(span.kind == "SERVER" and is_otherwise(row, span) for span in spans) and row.otherwise != row.server_of(site):
        return
    assert_golden(GOLDEN / profile, slug(name), site.version, trace_text(spans, measured_bytes=row.measured_bytes))


@pytest.mark.usefixtures("long_exchanges")
@pytest.mark.parametrize("name", ROWS)
async def test_an_exchange_has_exactly_its_spans(site: Site, profile: Profile, name: str) -> None:
    row = ROWS[name]
    trace_id, headers = new_context()
    began_seconds = time.time()
    await row.act(site, headers)
    spans = await spans_of(site, trace_id)
    check_exchange(site, profile, row, spans, (began_seconds, time.time()))
    check_golden(site, profile, name, row, spans)


@pytest.mark.parametrize("name", LONG_ROWS)
async def test_a_long_stream_is_one_exchange_to_its_very_end(
    site: Site, profile: Profile, name: str, long_exchanges: dict[str, tuple[str, float, asyncio.Task[None]]]
) -> None:
    row = LONG_ROWS[name]
    trace_id, began_seconds, task = long_exchanges[name]
    await task
    spans = await spans_of(site, trace_id)
    check_exchange(site, profile, row, spans, (began_seconds, time.time()))
    check_golden(site, profile, name, row, spans)


async def test_no_golden_file_is_of_a_row_that_is_no_more() -> None:
    names = {slug(name) for name in (*ROWS, *LONG_ROWS)}
    assert len(names) == len(ROWS) + len(LONG_ROWS)
    for folder in PROFILES:
        there = {path.name.split(".")[0] for path in (GOLDEN / folder).iterdir()}
        assert there == names


async def test_a_good_exchange_says_all_of_this_and_no_more(site: Site, profile: Profile) -> None:
    trace_id, headers = new_context()
    await single_request(site.http_port, request_head("/some/path?a=1&sig=secret", headers=headers))
    spans = await spans_of(site, trace_id)
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
    assert {span.name: span.attributes for span in spans if span.kind == "INTERNAL"} == (PHASES if profile == "Full" else {})
    assert len(spans) == (9 if profile == "Full" else 2)
    for span in spans:
        assert span.resource["service.name"] == "edge"
        assert (span.scope_name, span.schema_url) == ("haproxy-telemetry-agent", "https://opentelemetry.io/schemas/1.44.0")
        assert (span.status_code, span.status_message, span.events) == ("UNSET", "", ())


async def test_each_request_of_a_kept_connection_is_an_exchange_of_its_own(site: Site) -> None:
    contexts = [new_context() for _ in range(3)]
    async with RawConnection.open(site.http_port) as connection:
        for _, headers in contexts:
            await connection.send(request_head("/", headers=headers, close=False))
            await connection.read_until(b"\r\n\r\n")
    trace_ids = {trace_id for trace_id, _ in contexts}
    spans = await site.sink.wait_for(lambda spans: len([s for s in spans if s.trace_id in trace_ids and s.kind == "SERVER"]) >= 3)
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
    assert server.trace_state == client.trace_state == ROOT_TRACESTATE
    assert request.header("tracestate") == ROOT_TRACESTATE


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
    assert request.header("tracestate") == ROOT_TRACESTATE
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, trace_id, "SERVER")))
    assert of_kind(spans, trace_id, "SERVER")[0].parent_span_id == ""


async def test_several_tracestate_headers_are_one(site: Site, profile: Profile) -> None:
    trace_id, headers = new_context()
    head = request_head("/", headers=headers).replace(b"tracestate: foreign=1", b"tracestate: a=1,b=2\r\ntracestate: c=3")
    await single_request(site.http_port, head)
    request = await site.upstream.wait_for_request(lambda request: trace_id in (request.header("traceparent") or ""))
    assert request.header_values("tracestate") == FORWARDED_TRACESTATE[profile]
    assert {span.trace_state for span in await spans_of(site, trace_id)} == {RECORDED_TRACESTATE[profile]}


async def test_an_unsampled_trace_is_passed_on_and_not_exported(site: Site, profile: Profile) -> None:
    trace_id, headers = new_context()
    headers["traceparent"] = headers["traceparent"][:-2] + "00"
    recorded = (await site.agent.metrics())[RECORDED[profile]]
    await single_request(site.http_port, request_head("/", headers=headers))
    request = await site.upstream.wait_for_request(lambda request: trace_id in (request.header("traceparent") or ""))
    traceparent = request.header("traceparent") or ""
    assert traceparent.startswith(f"00-{trace_id}-")
    assert traceparent.endswith("-00")
    assert traceparent[36:52] != CALLER
    await site.agent.wait_for_metric(RECORDED[profile], recorded + 1)
    # A sampled exchange after it has arrived: had the unsampled one been exported, it would be there.
    later, headers = new_context()
    await single_request(site.http_port, request_head("/", headers=headers))
    spans = await site.sink.wait_for(lambda spans: bool(of_kind(spans, later, "SERVER")))
    assert not [span for span in spans if span.trace_id == trace_id]


async def test_an_unparsable_request_has_a_span(site: Site, profile: Profile) -> None:
    before = len(site.sink.spans)
    answer = await single_request(site.http_port, b"\x16\x03\x01 no HTTP at all\r\n\r\n")
    assert b" 400 " in answer
    spans = await site.sink.wait_for(lambda spans: len(spans) > before)
    server, *phases = spans[before:]
    assert [(span.name, span.parent_span_id) for span in phases] == (
        [("Client session", server.span_id)] if profile == "Full" else []
    )
    name = "HAProxy session" if profile == "Full" else "HTTP"
    assert (server.name, server.kind, server.status_code) == (name, "SERVER", "UNSET")
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


async def test_every_answer_was_followed_by_one_record(site: Site, profile: Profile) -> None:
    """Last in this file: nothing was lost, nothing came twice, nothing was skipped, over all the exchanges above."""
    metrics = await site.agent.metrics()
    answered = sum(value for name, value in metrics.items() if name.startswith("exchanges_answered_total"))
    assert answered == (0 if profile == "Stream" else metrics[RECORDED[profile]])
    assert metrics[RECORDED[profile]] > len(ROWS)
    assert {name: value for name, value in metrics.items() if name.startswith("records_skipped_total") and value} == {}
    assert {name: value for name, value in metrics.items() if name.startswith("spans_dropped_total") and value} == {}
    assert metrics["spans_exported_total"] == len(site.sink.spans)
    servers = [span.trace_id for span in site.sink.spans if span.kind == "SERVER"]
    assert len(servers) == len(set(servers))
    assert len({span.span_id for span in site.sink.spans}) == len(site.sink.spans)
