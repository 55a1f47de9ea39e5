"""From a record to its spans: whole for the ordinary exchange, by what is special for all others.

The parameters are those that real HAProxies (2.8 to 3.4) wrote for such exchanges.
"""

from collections.abc import Callable
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder, AttributeOptions
from haproxy_telemetry_agent.tracing.context import IdGenerator, SpanId, TraceId, server_span_id
from haproxy_telemetry_agent.tracing.exchange import Exchange, ExchangeTracer
from haproxy_telemetry_agent.tracing.limits import SpanLimits
from haproxy_telemetry_agent.tracing.sampling.keep import Keeper
from haproxy_telemetry_agent.tracing.sampling.sampler import AlwaysOff, AlwaysOn, ParentBased, Ratio, Sampler
from haproxy_telemetry_agent.tracing.span import Attribute, Span, SpanKind, SpanStatus
from haproxy_telemetry_agent.tracing.state import VERSION, State, encode_state

Record = Callable[..., dict[str, str]]
Parameters = dict[str, str]

MILLISECOND = 1_000_000
START_MICRO = 1_795_355_434_000_250
START = START_MICRO * 1000
END = START + 12_345_000
"""12.345 ms later."""

TRACE_ID = TraceId(bytes.fromhex("0af7651916cd43dd8448eb211c80319c"))
CLIENT_ID = SpanId(bytes.fromhex("847aa2ddc6c50541"))
SERVER_ID = server_span_id(CLIENT_ID)
PARENT_ID = SpanId(bytes.fromhex("b7ad6b7169203331"))
HOST, USER_AGENT = "shop.example.com:8443", "curl/8.0"

ANSWERED = encode_state(State(VERSION, START_MICRO, None, PARENT_ID, HOST, USER_AGENT))
"""What the agent had answered at the start."""
NO_SERVER: Parameters = {"s": "<NOSRV>", "si": "-", "sp": "-", "Tw": "-1", "Tc": "-1", "Tr": "-1"}
BAD_REQUEST: Parameters = {
    "traceparent": "-",
    "ST": "400",
    "HM": "<BADREQ>",
    "HV": "<BADREQ>",
    "b": "fe",
    "TR": "-1",
    "U": "0",
    "B": "0",
    "HPO": "<BADREQ>",
    "HQ": "<BADREQ>",
    **NO_SERVER,
}


@pytest.fixture
def trace(ids: IdGenerator, record: Record) -> Callable[..., Exchange]:
    """The exchange of a record with these parameters; it ended at END."""

    def build(sampler: Sampler | None = None, **parameters: str) -> Exchange:
        tracer = ExchangeTracer(sampler=sampler or ParentBased(AlwaysOn()), ids=ids)
        return tracer.trace(END, record(**parameters))

    return build


def attributes_of(span: Span) -> dict[str, Attribute]:
    attributes = dict(span.attributes)
    assert len(attributes) == len(span.attributes), "OTLP wants each key once"
    return attributes


def test_an_ordinary_exchange(trace: Callable[..., Exchange]) -> None:
    timers = {"routed": str(START_MICRO + 1500), "TR": "1", "Tw": "2", "Tc": "3", "Tr": "4", "Ta": "12"}
    exchange = trace(state=ANSWERED, tracestate="rojo=1", HQ="?a=1&sig=secret", ID="C0A8:1", bq="5", sq="6", **timers)
    assert exchange.had_request
    assert exchange.ending.answered
    server, client = exchange.spans
    server_attributes, client_attributes = attributes_of(server), attributes_of(client)
    server.attributes = client.attributes = []
    assert server == Span(
        trace_id=TRACE_ID,
        span_id=SERVER_ID,
        parent_span_id=PARENT_ID,
        flags=1,
        parent_is_remote=True,
        tracestate="rojo=1",
        name="GET",
        kind=SpanKind.SERVER,
        start_unix_nano=START,
        end_unix_nano=END,
    )
    assert client == Span(
        trace_id=TRACE_ID,
        span_id=CLIENT_ID,
        parent_span_id=SERVER_ID,
        flags=1,
        parent_is_remote=False,
        tracestate="rojo=1",
        name="GET",
        kind=SpanKind.CLIENT,
        start_unix_nano=START + 2_500_000,
        end_unix_nano=END,
    )
    assert server_attributes == {
        "http.request.method": "GET",
        "url.scheme": "http",
        "url.path": "/x/200",
        "url.query": "a=1&sig=REDACTED",
        "http.response.status_code": 200,
        "network.protocol.version": "1.1",
        "server.address": "shop.example.com",
        "server.port": 8443,
        "client.address": "192.0.2.10",
        "network.peer.address": "192.0.2.10",
        "network.peer.port": 54_614,
        "user_agent.original": USER_AGENT,
        "http.request.size": 170,
        "http.response.size": 51,
        "haproxy.frontend.name": "fe",
        "haproxy.backend.name": "be",
        "haproxy.termination_state": "--",
        "haproxy.time.request": 0.001,
        "haproxy.time.queue": 0.002,
        "haproxy.unique_id": "C0A8:1",
    }
    assert client_attributes == {
        "http.request.method": "GET",
        "server.address": "shop.example.com",
        "server.port": 8443,
        "url.full": "http://shop.example.com:8443/x/200?a=1&sig=REDACTED",
        "http.response.status_code": 200,
        "network.peer.address": "192.0.2.20",
        "network.peer.port": 8080,
        "haproxy.backend.name": "be",
        "haproxy.server.name": "one",
        "haproxy.time.connect": 0.003,
        "haproxy.time.response": 0.004,
        "haproxy.queue.backend": 5,
        "haproxy.queue.server": 6,
    }


class Case(NamedTuple):
    """An exchange, and what is special about each of its spans; None: an attribute that must not be there."""

    what: str
    parameters: Parameters
    server: dict[str, Attribute | None]
    client: dict[str, Attribute | None] | None
    """None: no CLIENT span."""


NO_ERROR = {"error.type": None}

CASES = [
    Case(
        "deny",
        {"ST": "403", "ts": "PR", "b": "fe", **NO_SERVER},
        {
            "http.response.status_code": 403,
            "haproxy.termination_state": "PR",
            "haproxy.backend.name": None,
            "haproxy.time.queue": None,
            **NO_ERROR,
        },
        None,
    ),
    Case(
        "redirect by HAProxy",
        {"ST": "302", "ts": "LR", "b": "fe", **NO_SERVER},
        {"http.response.status_code": 302, **NO_ERROR},
        None,
    ),
    Case(
        "no server",
        {"ST": "503", "ts": "SC", **NO_SERVER},
        {"http.response.status_code": 503, "error.type": "503", "haproxy.backend.name": "be"},
        None,
    ),
    Case(
        "connection refused, another server tried, refused too",
        {"ST": "503", "ts": "SC", "s": "two", "Tc": "-1", "Tr": "-1", "rc": "+3"},
        {"error.type": "503"},
        {
            "http.response.status_code": None,
            "error.type": "haproxy.connect",
            "http.request.resend_count": 3,
            "haproxy.retries": 3,
            "haproxy.redispatched": True,
            "haproxy.server.name": "two",
            "haproxy.time.connect": None,
            "haproxy.time.response": None,
        },
    ),
    Case(
        "retried, then fine",
        {"rc": "1"},
        NO_ERROR,
        {"http.request.resend_count": 1, "haproxy.retries": 1, "haproxy.redispatched": False, **NO_ERROR},
    ),
    Case(
        "not retried",
        {},
        {},
        {"http.request.resend_count": None, "haproxy.retries": None, "haproxy.redispatched": None},
    ),
    Case(
        "server does not answer in time",
        {"ST": "504", "ts": "sH", "Tr": "-1"},
        {"http.response.status_code": 504, "error.type": "504"},
        {"http.response.status_code": None, "error.type": "haproxy.server_timeout"},
    ),
    Case(
        "server closes without an answer",
        {"ST": "502", "ts": "SH", "Tr": "-1"},
        {"http.response.status_code": 502, "error.type": "502"},
        {"http.response.status_code": None, "error.type": "haproxy.server_abort"},
    ),
    Case(
        "server's answer is refused",
        {"ST": "502", "ts": "PH", "Tr": "1"},
        {"http.response.status_code": 502, "error.type": "502"},
        {"http.response.status_code": None, "error.type": "haproxy.denied"},
    ),
    Case(
        "body truncated by the server",
        {"ts": "SD"},
        {"http.response.status_code": 200, "error.type": "haproxy.server_abort"},
        {"http.response.status_code": 200, "error.type": "haproxy.server_abort"},
    ),
    Case(
        "server error",
        {"ST": "500"},
        {"http.response.status_code": 500, "error.type": "500"},
        {"http.response.status_code": 500, "error.type": "500"},
    ),
    Case(
        "not found",
        {"ST": "404"},
        {"http.response.status_code": 404, **NO_ERROR},
        {"http.response.status_code": 404, "error.type": "404"},
    ),
    Case(
        "client aborts a download",
        {"ts": "CD"},
        {"http.response.status_code": 200, "haproxy.termination_state": "CD", **NO_ERROR},
        {"http.response.status_code": 200, **NO_ERROR},
    ),
    Case(
        "client aborts while it waits",
        {"ST": "-1", "ts": "CH", "Tr": "-1"},
        {"http.response.status_code": None, "error.type": "haproxy.client_abort"},
        {"http.response.status_code": None, **NO_ERROR},
    ),
    Case(
        "websocket",
        {"ST": "101"},
        {"http.response.status_code": 101, **NO_ERROR},
        {"http.response.status_code": 101, **NO_ERROR},
    ),
    Case(
        "TLS on both sides",
        {"sslv": "TLSv1.3", "ssl_bc": "1", "host": "example.com", "HV": "HTTP/2.0"},
        {"url.scheme": "https", "server.port": 443, "network.protocol.version": "2"},
        {"url.full": "https://example.com/x/200", "server.port": 443},
    ),
    Case(
        "TLS to the frontend only",
        {"sslv": "TLSv1.2", "host": "example.com"},
        {"url.scheme": "https", "server.port": 443},
        {"url.full": "http://example.com/x/200", "server.port": 80},
    ),
    Case(
        "faster than a millisecond",
        {"TR": "0", "Tw": "0", "Tc": "0", "Tr": "0"},
        {"haproxy.time.request": 0.0, "haproxy.time.queue": 0.0},
        {"haproxy.time.connect": 0.0, "haproxy.time.response": 0.0, "http.response.status_code": 200},
    ),
    Case("HTTP/3", {"HV": "HTTP/3.0"}, {"network.protocol.version": "3"}, {}),
    Case("HTTP/1.0", {"HV": "HTTP/1.0"}, {"network.protocol.version": "1.0"}, {}),
    Case("a request line too long for HAProxy to tell", {"HV": "HTTP/0.9"}, {"network.protocol.version": None}, {}),
    Case(
        "no Host header",
        {},
        {"server.address": None, "server.port": None},
        {"server.address": "192.0.2.20", "server.port": 8080, "url.full": "http://192.0.2.20:8080/x/200"},
    ),
    Case(
        "IPv6 on both sides",
        {"ci": "2001:db8::1", "si": "2001:db8::2"},
        {"client.address": "2001:db8::1", "network.peer.address": "2001:db8::1"},
        {"server.address": "2001:db8::2", "network.peer.address": "2001:db8::2", "url.full": "http://[2001:db8::2]:8080/x/200"},
    ),
    Case(
        "IPv6 in the Host header",
        {"host": "[2001:db8::7]:81"},
        {"server.address": "2001:db8::7", "server.port": 81},
        {"server.address": "2001:db8::7", "server.port": 81, "url.full": "http://[2001:db8::7]:81/x/200"},
    ),
    Case(
        "server behind a unix socket",
        {"si": "unix", "sp": "0", "host": "example.com"},
        {},
        {"network.peer.port": None, "server.address": "example.com", "server.port": 80},
    ),
    Case("query without anything", {"HQ": "?", "host": "a"}, {"url.query": None}, {"url.full": "http://a/x/200"}),
    Case("OPTIONS *", {"HM": "OPTIONS", "HPO": "", "host": "a"}, {"url.path": ""}, {"url.full": "http://a"}),
]


def check(span: Span, expected: dict[str, Attribute | None]) -> None:
    attributes = attributes_of(span)
    assert {key: attributes.get(key) for key in expected} == expected
    assert (span.status is SpanStatus.ERROR) == ("error.type" in attributes)
    assert span.status is not SpanStatus.OK
    assert span.status_message == ""


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.what)
def test_exchange(trace: Callable[..., Exchange], case: Case) -> None:
    exchange = trace(**case.parameters)
    assert exchange.had_request
    assert [span.kind for span in exchange.spans] == [SpanKind.SERVER, SpanKind.CLIENT][: 1 if case.client is None else 2]
    for span, expected in zip(exchange.spans, (case.server, case.client), strict=False):
        check(span, expected or {})


def test_a_client_on_a_unix_socket_has_no_port(trace: Callable[..., Exchange]) -> None:
    check(trace(ci="unix", cp="1").spans[0], {"network.peer.port": None})


class TestMethods:
    def test_an_unknown_one_is_not_in_the_name(self, trace: Callable[..., Exchange]) -> None:
        for span in trace(HM="BREW").spans:
            assert span.name == "HTTP"
            check(span, {"http.request.method": "_OTHER", "http.request.method_original": "BREW"})

    def test_methods_are_case_sensitive(self, trace: Callable[..., Exchange]) -> None:
        check(trace(HM="get").spans[0], {"http.request.method": "_OTHER", "http.request.method_original": "get"})

    def test_a_known_one_needs_no_original(self, trace: Callable[..., Exchange]) -> None:
        for span in trace(HM="PATCH").spans:
            assert span.name == "PATCH"
            check(span, {"http.request.method": "PATCH", "http.request.method_original": None})


class TestSecrets:
    def test_credentials_are_nowhere(self, trace: Callable[..., Exchange]) -> None:
        for span in trace(host="user:secret@example.com").spans:
            assert "secret" not in repr(span.attributes)
            check(span, {"server.address": "example.com"})


class TestBadRequests:
    """What never was a request: an error that a client got told is a span, a connection that ended is none."""

    @pytest.mark.parametrize(
        ("termination_state", "status_code"),
        [("CR", "400"), ("cR", "408"), ("CR", "-1"), ("cR", "-1"), ("SR", "400"), ("--", "0")],
    )
    def test_a_connection_that_closed_without_a_request(
        self, trace: Callable[..., Exchange], termination_state: str, status_code: str
    ) -> None:
        exchange = trace(**BAD_REQUEST | {"ts": termination_state, "ST": status_code})
        assert exchange.spans == []
        assert not exchange.had_request

    def test_an_unparsable_request(self, trace: Callable[..., Exchange]) -> None:
        exchange = trace(**BAD_REQUEST | {"ts": "PR"})
        assert exchange.had_request
        (span,) = exchange.spans
        assert (span.name, span.kind, span.parent_span_id) == ("HTTP", SpanKind.SERVER, None)
        assert (span.start_unix_nano, span.end_unix_nano) == (END - 3 * MILLISECOND, END)
        check(
            span,
            {
                "http.request.method": "_OTHER",
                "http.request.method_original": None,
                "url.path": None,
                "url.scheme": "http",
                "http.response.status_code": 400,
                "network.protocol.version": None,
                "haproxy.time.request": None,
                "error.type": None,
            },
        )

    def test_an_unparsable_request_has_no_query(self, trace: Callable[..., Exchange]) -> None:
        check(trace(**BAD_REQUEST | {"ts": "PR"}).spans[0], {"url.query": None})


class TestContext:
    def test_the_agents_answer_is_in_the_state(self, trace: Callable[..., Exchange]) -> None:
        server = trace(state=ANSWERED).spans[0]
        assert (server.parent_span_id, server.parent_is_remote) == (PARENT_ID, True)

    def test_haproxys_fall_back_is_in_the_record(self, trace: Callable[..., Exchange]) -> None:
        exchange = trace(parent=PARENT_ID.hex(), host=HOST, user_agent=USER_AGENT, seen=str(START_MICRO), Ta="12", error="259")
        assert not exchange.ending.answered
        assert exchange.ending.spoe_error == "259"
        server, _client = exchange.spans
        assert (server.trace_id, server.parent_span_id, server.parent_is_remote) == (TRACE_ID, PARENT_ID, True)
        check(server, {"server.address": "shop.example.com", "user_agent.original": USER_AGENT})

    def test_a_root_has_no_parent(self, trace: Callable[..., Exchange]) -> None:
        server, client = trace().spans
        assert (server.parent_span_id, server.parent_is_remote) == (None, False)
        assert (client.parent_span_id, client.parent_is_remote) == (SERVER_ID, False)

    @pytest.mark.parametrize("flags", ["00", "02"])
    def test_an_unsampled_trace_has_no_spans(self, trace: Callable[..., Exchange], flags: str) -> None:
        exchange = trace(traceparent=f"00-{TRACE_ID.hex()}-{CLIENT_ID.hex()}-{flags}")
        assert exchange.spans == []
        assert exchange.had_request

    @pytest.mark.parametrize("traceparent", ["-", "garbage", f"00-{'0' * 32}-{CLIENT_ID.hex()}-01"])
    @pytest.mark.parametrize(
        ("sampler", "flags", "tracestate"),
        [(AlwaysOn(), 3, "ot=th:0"), (ParentBased(Ratio(1)), 3, "ot=th:0"), (AlwaysOff(), None, None)],
    )
    def test_without_any_the_sampler_decides(
        self, trace: Callable[..., Exchange], traceparent: str, sampler: Sampler, flags: int | None, tracestate: str | None
    ) -> None:
        exchange = trace(sampler, traceparent=traceparent, tracestate="left=over")
        assert exchange.had_request
        assert [(span.flags, span.tracestate) for span in exchange.spans] == ([] if flags is None else [(flags, tracestate)] * 2)

    def test_without_any_each_exchange_is_a_trace_of_its_own(self, trace: Callable[..., Exchange]) -> None:
        one, other = (trace(traceparent="-").spans[0] for _ in range(2))
        assert one.trace_id != other.trace_id
        assert one.span_id != other.span_id

    def test_a_record_that_comes_twice_makes_the_same_spans_twice(self, trace: Callable[..., Exchange]) -> None:
        assert trace(state=ANSWERED).spans == trace(state=ANSWERED).spans


class TestTimes:
    @pytest.mark.parametrize(
        ("what", "parameters", "start"),
        [
            ("HAProxy 3.0: to the microsecond", {"start": str(START_MICRO), "Ta": "12"}, START),
            ("before: headers in one segment", {"seen": str(START_MICRO), "Ta": "12"}, START),
            ("before: headers in one segment, timer rounded down", {"seen": str(START_MICRO + 100), "Ta": "13"}, START + 100_000),
            ("before: headers took less than a millisecond", {"seen": str(START_MICRO + 1344), "Ta": "12"}, START + 1_344_000),
            ("before: headers took a millisecond", {"seen": str(START_MICRO + 1345), "Ta": "12"}, END - 12 * MILLISECOND),
            ("before: headers took longer", {"seen": str(START_MICRO + 5000), "Ta": "12"}, END - 12 * MILLISECOND),
            ("nothing but the total", {"Ta": "12"}, END - 12 * MILLISECOND),
            ("nothing at all", {"Ta": "-1"}, END),
            ("a clock that was set back", {"start": str(START_MICRO + 60_000_000), "Ta": "12"}, END - 12 * MILLISECOND),
            ("a clock that was set forward", {"start": str(START_MICRO - 60_000_000), "Ta": "12"}, END - 12 * MILLISECOND),
            ("before: a clock that was set back", {"seen": str(START_MICRO + 60_000_000), "Ta": "12"}, END - 12 * MILLISECOND),
            ("before: a clock that was set forward", {"seen": str(START_MICRO - 60_000_000), "Ta": "12"}, END - 12 * MILLISECOND),
            ("before: slow headers, and no other clock", {"seen": str(START_MICRO), "Ta": "60012"}, END - 60_012 * MILLISECOND),
            ("a clock that was slewed", {"start": str(START_MICRO - 900_000), "Ta": "12"}, START - 900 * MILLISECOND),
            ("a clock that was set back, and no timer", {"start": str(START_MICRO + 60_000_000), "Ta": "-1"}, END),
            ("nonsense", {"start": "-5", "Ta": "-1"}, END),
        ],
    )
    def test_start(self, trace: Callable[..., Exchange], what: str, parameters: Parameters, start: int) -> None:
        server, _client = trace(**parameters).spans
        assert (server.start_unix_nano, server.end_unix_nano) == (start, END)

    @pytest.mark.parametrize(
        ("what", "parameters", "after_milliseconds"),
        [
            ("at once", {"TR": "0", "Tw": "0"}, 0),
            ("timers are cut to whole milliseconds, and the rules' is not only theirs", {"TR": "4", "Tw": "0"}, 3),
            ("behind a queue", {"TR": "4", "Tw": "5"}, 7),
            ("no queue", {"TR": "4", "Tw": "-1"}, 3),
            ("no timers", {"TR": "-1", "Tw": "-1"}, 0),
            ("behind our last rule", {"TR": "1", "Tw": "0", "routed": str(START_MICRO + 700)}, 0.7),
            ("behind our last rule and a queue", {"TR": "1", "Tw": "2", "routed": str(START_MICRO + 700)}, 1.7),
            ("rules behind ours took their time", {"TR": "6", "Tw": "0", "routed": str(START_MICRO + 700)}, 5),
            ("a clock that went back", {"TR": "1", "Tw": "0", "routed": str(START_MICRO - 700)}, 0),
        ],
    )
    def test_the_client_span_starts_when_haproxy_turns_to_the_server_and_never_later(
        self, trace: Callable[..., Exchange], what: str, parameters: Parameters, after_milliseconds: float
    ) -> None:
        _server, client = trace(start=str(START_MICRO), **parameters).spans
        assert (client.start_unix_nano, client.end_unix_nano) == (START + round(after_milliseconds * MILLISECOND), END)

    @pytest.mark.parametrize("parameters", [{"TR": "50"}, {"Tw": "50"}, {"routed": str(START_MICRO + 900_000)}])
    def test_it_never_starts_after_its_end(self, trace: Callable[..., Exchange], parameters: Parameters) -> None:
        _server, client = trace(start=str(START_MICRO), **parameters).spans
        assert (client.start_unix_nano, client.end_unix_nano) == (END, END)


NUMBERS = ["ST", "TR", "Tw", "Tc", "Tr", "Ta", "rc", "bq", "sq", "U", "B", "start", "seen", "routed"]
PORTS = ["cp", "sp"]
TEXTS = ["ts", "HM", "HV", "f", "b", "s", "ci", "si", "sslv", "host", "user_agent", "ID", "tracestate", "HPO", "HQ"]
ANY_NUMBER = st.integers(-1, 10**9).map(str)
ANY_PORT = st.one_of(st.just("-"), st.integers(0, 65_535).map(str))
ANY_TEXT = st.one_of(st.just("-"), st.text(max_size=12))
PLAUSIBLE = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(NUMBERS, ANY_NUMBER) | dict.fromkeys(PORTS, ANY_PORT) | dict.fromkeys(TEXTS, ANY_TEXT)
)
IMPLAUSIBLE = st.dictionaries(st.sampled_from([*NUMBERS, *PORTS, *TEXTS, "state", "traceparent", "parent"]), ANY_TEXT)


@given(parameters=PLAUSIBLE, end_unix_nano=st.integers(0, 2**63))
def test_any_record_makes_spans_that_make_sense(record: Record, parameters: Parameters, end_unix_nano: int) -> None:
    tracer = ExchangeTracer(sampler=AlwaysOn(), ids=IdGenerator(lambda bits: bits))
    exchange = tracer.trace(end_unix_nano, record(**parameters))
    assert exchange.had_request == bool(exchange.spans)
    for span in exchange.spans:
        assert 0 <= span.start_unix_nano <= span.end_unix_nano == end_unix_nano
        attributes = attributes_of(span)
        assert ("error.type" in attributes) == (span.status is SpanStatus.ERROR)
        assert span.name in {"HTTP", attributes["http.request.method"]}
    if len(exchange.spans) == 2:
        server, client = exchange.spans
        assert client.parent_span_id == server.span_id
        assert client.start_unix_nano >= server.start_unix_nano


@given(parameters=IMPLAUSIBLE)
def test_any_text_is_an_exchange_or_of_another_version(record: Record, parameters: Parameters) -> None:
    tracer = ExchangeTracer(sampler=AlwaysOn(), ids=IdGenerator(lambda bits: bits))
    try:
        exchange = tracer.trace(END, record(**parameters))
    except ValueError:
        return
    assert len(exchange.spans) <= 2


class TestKeeping:
    """Exchanges that were not sampled and went wrong."""

    UNSAMPLED = f"00-{TRACE_ID.hex()}-{CLIENT_ID.hex()}-00"

    def build(self, ids: IdGenerator, **keep: bool | float) -> ExchangeTracer:
        return ExchangeTracer(sampler=AlwaysOff(), ids=ids, keeper=Keeper(**keep))  # type: ignore[arg-type]

    def test_an_error_is_kept_and_claims_nothing(self, ids: IdGenerator, record: Record) -> None:
        tracer = self.build(ids, errors=True)
        failed = record(traceparent=self.UNSAMPLED, ST="503", tracestate="ot=th:c;rv:12345678901234,a=1")
        exchange = tracer.trace(END, failed)
        server, client = exchange.spans
        assert exchange.reason == "error"
        check(server, {"haproxy.sampling.reason": "error"})
        assert (server.flags, client.flags) == (0, 0)
        assert server.tracestate == "ot=rv:12345678901234,a=1"
        assert tracer.trace(END, record(traceparent=self.UNSAMPLED)).spans == []

    def test_a_slow_one_is_kept(self, ids: IdGenerator, record: Record) -> None:
        tracer = self.build(ids, slower_than_seconds=0.5)
        assert tracer.trace(END, record(traceparent=self.UNSAMPLED, Ta="499")).spans == []
        assert tracer.trace(END, record(traceparent=self.UNSAMPLED, Ta="501")).reason == "slow"

    def test_once_more_it_is_the_same_and_nothing_is_decided_anew(self, ids: IdGenerator, record: Record) -> None:
        tracer = self.build(ids, errors=True)
        for fields in (record(traceparent=self.UNSAMPLED, ST="503"), record(traceparent=self.UNSAMPLED), record(ST="503")):
            exchange = tracer.trace(END, fields)
            kept = exchange.reason if exchange.spans else None
            assert self.build(ids).retrace(END, fields, kept or None) == exchange

    def test_a_sampled_one_needs_no_reason(self, ids: IdGenerator, record: Record) -> None:
        assert self.build(ids, errors=True).trace(END, record(ST="503")).reason == ""


class TestWhatTheStartDecided:
    def test_an_excluded_request_has_no_spans(self, trace: Callable[..., Exchange]) -> None:
        exchange = trace(traceparent="-", state=encode_state(State(VERSION, excluded=True)))
        assert (exchange.spans, exchange.had_request, exchange.reason) == ([], True, "excluded")

    def test_nor_where_haproxy_excluded_it_itself(self, ids: IdGenerator, record: Record) -> None:
        tracer = ExchangeTracer(sampler=AlwaysOn(), ids=ids)
        assert tracer.trace(END, {**record(traceparent="-"), "excluded": "1"}).spans == []
        assert tracer.trace(END, {**record(traceparent="-"), "excluded": "-"}).spans

    def test_a_reason_is_said(self, trace: Callable[..., Exchange]) -> None:
        exchange = trace(state=encode_state(State(VERSION, reason="rule shop")))
        check(exchange.spans[0], {"haproxy.sampling.reason": "rule shop"})
        assert exchange.reason == "rule shop"

    def test_a_caller_that_is_not_believed_is_a_link(self, trace: Callable[..., Exchange]) -> None:
        other = f"00-{'1' * 32}-{'2' * 16}-01"
        (link,) = trace(state=encode_state(State(VERSION, link=other))).spans[0].links
        assert (link.trace_id.hex(), link.span_id.hex(), link.is_remote) == ("1" * 32, "2" * 16, True)

    def test_attributes_of_the_sampler_and_of_baggage(self, ids: IdGenerator, record: Record) -> None:
        tracer = ExchangeTracer(sampler=AlwaysOn(), ids=ids, baggage_keys=["tenant"])
        state = encode_state(State(VERSION, extras={"a.vip": "1", "a.baggage.tenant": "t"}))
        check(tracer.trace(END, record(state=state)).spans[0], {"vip": "1", "baggage.tenant": "t"})
        unasked = {**record(), "baggage": "tenant=u,other=1"}
        attributes = dict(tracer.trace(END, unasked).spans[0].attributes)
        assert attributes["baggage.tenant"] == "u"
        assert "baggage.other" not in attributes


def test_limits_are_kept(ids: IdGenerator, record: Record) -> None:
    tracer = ExchangeTracer(sampler=AlwaysOn(), ids=ids, limits=SpanLimits(attribute_count=3))
    for span in tracer.trace(END, record()).spans:
        assert len(span.attributes) == 3
        assert span.dropped_attributes_count > 0


def test_a_grpc_call_ends_as_its_status_says(ids: IdGenerator, record: Record) -> None:
    tracer = ExchangeTracer(sampler=AlwaysOn(), ids=ids, attributes=AttributeBuilder(AttributeOptions(grpc=True)))
    call = {**record(HPO="/shop.Cart/Add"), "content_type": "application/grpc", "grpc_status": "5"}
    server, client = tracer.trace(END, call).spans
    assert (server.name, client.name) == ("shop.Cart/Add", "shop.Cart/Add")
    # NOT_FOUND is the caller's fault: an error for who called, none for who served.
    assert (server.status, client.status) == (SpanStatus.UNSET, SpanStatus.ERROR)
    check(client, {"rpc.response.status_code": "NOT_FOUND", "error.type": "NOT_FOUND"})
