"""From a connection's record to its spans: whole for the ordinary connection, by what is special for all others.

The parameters are those that real HAProxies (2.6 to 3.2) wrote for such connections.
"""

import uuid
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.connection import Connection, ConnectionTracer
from haproxy_telemetry_agent.tracing.context import MAX_DERIVED_SPAN_IDS, SpanContext, SpanId, TraceId, derived_span_id
from haproxy_telemetry_agent.tracing.limits import SpanLimits
from haproxy_telemetry_agent.tracing.request import Request
from haproxy_telemetry_agent.tracing.sampling.keep import Keeper
from haproxy_telemetry_agent.tracing.sampling.sampler import AlwaysOff, AlwaysOn, Decision, ParentBased, Ratio, Sampler
from haproxy_telemetry_agent.tracing.span import Attribute, Span, SpanKind, SpanStatus

Record = Callable[..., dict[str, str]]
Trace = Callable[..., Connection]

MILLISECOND = 1_000_000
START_MICRO = 1_795_355_434_000_250
START = START_MICRO * 1000
END = START + 12_345_000
"""12.345 ms later."""
TRACE_ID = TraceId(bytes.fromhex("4bf92f3577b34da6a3ce929d0e0e4736"))
CLIENT_ID = SpanId(TRACE_ID[:8])
NO_SERVER = {"s": "<NOSRV>", "si": "-", "sp": "-", "Tw": "-1", "Tc": "-1"}
NO_BYTES = {"U": "0", "B": "0"}
TLS = {"sslv": "TLSv1.3", "sslc": "TLS_AES_256_GCM_SHA384", "alpn": "imap", "ssl_fc_sni": "mail.example.com", "Th": "2", "Tw": "3"}


@pytest.fixture(scope="session")
def trace(connection_record: Record) -> Trace:
    """The connection of a record with these parameters; it ended at END."""

    def build(sampler: Sampler | None = None, **parameters: str) -> Connection:
        return ConnectionTracer(sampler=sampler or ParentBased(AlwaysOn())).trace(END, connection_record(**parameters))

    return build


def attributes_of(span: Span) -> dict[str, Attribute]:
    names = [name for name, _ in span.attributes]
    assert len(set(names)) == len(names), "each once"
    return dict(span.attributes)


def test_the_ordinary_connection(trace: Trace) -> None:
    server, client = trace(start=str(START_MICRO), routed=str(START_MICRO + 100)).spans
    assert server == Span(
        TRACE_ID,
        derived_span_id(CLIENT_ID, 0),
        None,
        0x03,
        False,
        "ot=th:0",
        "tcp mail",
        SpanKind.SERVER,
        START,
        END,
        [
            ("network.transport", "tcp"),
            ("server.address", "192.0.2.1"),
            ("server.port", 993),
            ("client.address", "192.0.2.10"),
            ("network.peer.address", "192.0.2.10"),
            ("network.peer.port", 54614),
            ("haproxy.bytes.received", 170),
            ("haproxy.bytes.sent", 51),
            ("haproxy.frontend.name", "mail"),
            ("haproxy.backend.name", "imap"),
            ("haproxy.termination_state", "--"),
            ("haproxy.time.queue", 0.0),
            ("haproxy.time.total", 0.012),
        ],
    )
    assert client == Span(
        TRACE_ID,
        CLIENT_ID,
        server.span_id,
        0x03,
        False,
        "ot=th:0",
        "tcp imap",
        SpanKind.CLIENT,
        START + 100_000,
        END,
        [
            ("network.transport", "tcp"),
            ("server.address", "192.0.2.20"),
            ("server.port", 143),
            ("network.peer.address", "192.0.2.20"),
            ("network.peer.port", 143),
            ("haproxy.backend.name", "imap"),
            ("haproxy.server.name", "one"),
            ("haproxy.time.connect", 0.0),
        ],
    )


def test_a_record_that_comes_twice_makes_the_same_spans_twice(trace: Trace) -> None:
    assert trace().spans == trace().spans


@given(identity=st.uuids(version=4))
def test_every_id_is_valid_and_another(trace: Trace, identity: uuid.UUID) -> None:
    server, client = trace(id=str(identity)).spans
    assert server.trace_id == client.trace_id == identity.bytes
    assert client.parent_span_id == server.span_id
    ids = {client.span_id, *(derived_span_id(client.span_id, number) for number in range(MAX_DERIVED_SPAN_IDS + 1))}
    assert len(ids) == MAX_DERIVED_SPAN_IDS + 2
    assert bytes(8) not in ids


class TestTls:
    def test_that_is_terminated_is_described_and_its_name_is_the_servers(self, trace: Trace) -> None:
        server, client = trace(**TLS).spans
        assert (
            attributes_of(server).items()
            >= {
                "network.protocol.name": "tls",
                "tls.protocol.version": "1.3",
                "tls.cipher": "TLS_AES_256_GCM_SHA384",
                "tls.next_protocol": "imap",
                "server.address": "mail.example.com",
                "haproxy.time.handshake": 0.002,
            }.items()
        )
        assert "network.protocol.name" not in attributes_of(client)
        assert attributes_of(client)["server.address"] == "192.0.2.20"

    def test_that_passes_through_has_a_name_on_both_sides(self, trace: Trace) -> None:
        for span in trace(sni="mail.example.com").spans:
            attributes = attributes_of(span)
            assert attributes["server.address"] == "mail.example.com"
            assert attributes["network.protocol.name"] == "tls"
            assert not [name for name in attributes if name.startswith("tls.") or name == "haproxy.time.handshake"]

    def test_to_the_server_is_told(self, trace: Trace) -> None:
        server, client = trace(ssl_bc="1").spans
        assert "network.protocol.name" not in attributes_of(server)
        assert attributes_of(client)["network.protocol.name"] == "tls"

    def test_without_alpn_and_name(self, trace: Trace) -> None:
        server, _client = trace(**{**TLS, "alpn": "-", "ssl_fc_sni": "-"}).spans
        assert "tls.next_protocol" not in attributes_of(server)
        assert attributes_of(server)["server.address"] == "192.0.2.1"


class TestTimes:
    def test_the_proxy_protocol_takes_time_as_well(self, trace: Trace) -> None:
        assert attributes_of(trace(Th="35").spans[0])["haproxy.time.handshake"] == 0.035
        assert "haproxy.time.handshake" not in attributes_of(trace(Th="0").spans[0])

    def test_the_accept_is_the_start_where_haproxy_tells_it(self, trace: Trace) -> None:
        assert trace(start=str(START_MICRO), Tt="11").spans[0].start_unix_nano == START

    def test_else_the_total_time_tells_it(self, trace: Trace) -> None:
        assert trace(Tt="12").spans[0].start_unix_nano == END - 12 * MILLISECOND

    def test_and_the_rules_know_if_that_is_too_late(self, trace: Trace) -> None:
        assert trace(Tt="12", routed=str(START_MICRO + 50)).spans[0].start_unix_nano == START + 50_000

    def test_a_late_rule_does_not_move_the_start(self, trace: Trace) -> None:
        assert trace(Tt="12", routed=str(START_MICRO + 5000)).spans[0].start_unix_nano == END - 12 * MILLISECOND

    def test_inspection_is_no_time_in_a_queue(self, trace: Trace) -> None:
        """HAProxy says so; the server is turned to when the rules are through."""
        server, client = trace(start=str(START_MICRO), routed=str(START_MICRO + 8_000), Tw="9").spans
        assert attributes_of(server)["haproxy.time.queue"] == 0
        assert client.start_unix_nano == START + 8 * MILLISECOND

    def test_a_queue_is(self, trace: Trace) -> None:
        server, client = trace(start=str(START_MICRO), routed=str(START_MICRO + 2_000), Tw="9", bq="3", sq="1").spans
        assert attributes_of(server)["haproxy.time.queue"] == 0.006
        assert client.start_unix_nano == START + 8 * MILLISECOND
        assert attributes_of(client)["haproxy.queue.backend"] == 3
        assert attributes_of(client)["haproxy.queue.server"] == 1

    def test_what_is_not_known_is_left_out(self, trace: Trace) -> None:
        server, client = trace(Tc="-1").spans
        assert "haproxy.time.queue" not in attributes_of(server)
        assert "haproxy.time.connect" not in attributes_of(client)

    @given(
        start=st.one_of(st.just("-"), st.integers(0, 2 * START_MICRO).map(str)),
        routed=st.one_of(st.just("-"), st.integers(0, 2 * START_MICRO).map(str)),
        turn=st.integers(-1, 10**9),
        total=st.integers(-1, 2 * START // MILLISECOND),
    )
    def test_spans_nest_whatever_haproxys_clocks_say(self, trace: Trace, start: str, routed: str, turn: int, total: int) -> None:
        server, client = trace(start=start, routed=routed, Tw=str(turn), Tt=str(total)).spans
        assert 0 <= server.start_unix_nano <= client.start_unix_nano <= client.end_unix_nano == server.end_unix_nano == END
        assert all(value >= 0 for name, value in server.attributes if name.startswith("haproxy.time.") and isinstance(value, float))


class TestOutcome:
    @pytest.mark.parametrize(
        ("termination_state", "error_type"),
        [
            ("--", None),
            ("CD", None),
            ("cD", None),
            ("SD", "haproxy.server_abort"),
            ("sD", "haproxy.server_timeout"),
            ("PD", "haproxy.denied"),
            ("KD", "haproxy.killed"),
        ],
    )
    def test_is_that_of_both_spans(self, trace: Trace, termination_state: str, error_type: str | None) -> None:
        for span in trace(ts=termination_state).spans:
            assert span.status is (SpanStatus.UNSET if error_type is None else SpanStatus.ERROR)
            assert attributes_of(span).get("error.type") == error_type

    def test_a_server_that_refuses_has_a_span(self, trace: Trace) -> None:
        _server, client = trace(ts="SC", Tc="-1", rc="+2", **NO_BYTES).spans
        assert attributes_of(client)["error.type"] == "haproxy.connect"
        assert attributes_of(client)["haproxy.retries"] == 2
        assert attributes_of(client)["haproxy.redispatched"] is True

    @pytest.mark.parametrize(
        ("termination_state", "error_type"),
        [("SC", "haproxy.connect"), ("sQ", "haproxy.queue"), ("RC", "haproxy.resource"), ("PR", None)],
    )
    def test_without_a_server_there_is_one_span(self, trace: Trace, termination_state: str, error_type: str | None) -> None:
        connection = trace(ts=termination_state, **NO_SERVER, **NO_BYTES)
        (server,) = connection.spans
        assert server.kind is SpanKind.SERVER
        assert attributes_of(server).get("error.type") == error_type
        assert not connection.is_probe


class TestProbe:
    @pytest.mark.parametrize("termination_state", ["CR", "cR", "CC", "CQ", "--"])
    def test_no_server_no_byte_and_nobody_but_the_client(self, trace: Trace, termination_state: str) -> None:
        connection = trace(ts=termination_state, **NO_SERVER, **NO_BYTES)
        assert connection.is_probe
        assert connection.spans == []

    def test_a_handshake_that_failed(self, trace: Trace) -> None:
        """3.1 and later say PR, as for a rule that rejects; older ones write no such record."""
        assert trace(ts="PR", fc_err="34", sslv="TLSv1.3", sslc="(NONE)", **NO_SERVER, **NO_BYTES).is_probe
        assert not trace(ts="PR", **{**TLS, **NO_SERVER, **NO_BYTES}).is_probe

    @pytest.mark.parametrize("byte", [{"U": "1", "B": "0"}, {"U": "0", "B": "1"}])
    def test_a_byte_makes_it_a_connection(self, trace: Trace, byte: dict[str, str]) -> None:
        assert len(trace(ts="CR", **NO_SERVER, **byte).spans) == 1

    def test_a_server_makes_it_a_connection(self, trace: Trace) -> None:
        assert len(trace(ts="CD", **NO_BYTES).spans) == 2


class TestUnixSockets:
    def test_of_a_client(self, trace: Trace) -> None:
        server, _client = trace(ci="unix", cp="1", fi="unix", fp="1").spans
        attributes = attributes_of(server)
        assert attributes["network.transport"] == "unix"
        assert not {"server.address", "server.port", "network.peer.port"} & attributes.keys()

    def test_of_a_server(self, trace: Trace) -> None:
        _server, client = trace(si="unix", sp="0").spans
        attributes = attributes_of(client)
        assert attributes["network.transport"] == "unix"
        assert not {"server.port", "network.peer.port"} & attributes.keys()

    def test_a_server_that_was_never_dialled_is_called_by_its_name(self, trace: Trace) -> None:
        _server, client = trace(si="-", sp="-", ts="sQ").spans
        attributes = attributes_of(client)
        assert (attributes["network.transport"], attributes["server.address"]) == ("tcp", "one")


class TestSampling:
    def test_an_unsampled_connection_has_no_spans_and_is_no_probe(self, trace: Trace) -> None:
        connection = trace(sampler=AlwaysOff())
        assert connection.spans == []
        assert not connection.is_probe

    @given(identity=st.uuids(version=4))
    def test_the_trace_id_decides(self, trace: Trace, identity: uuid.UUID) -> None:
        kept = int.from_bytes(identity.bytes[-7:], "big") >= 1 << 55
        spans = trace(sampler=ParentBased(Ratio(0.5)), id=str(identity)).spans
        assert [span.tracestate for span in spans] == (["ot=th:8"] * 2 if kept else [])

    def test_the_sampler_sees_what_is_known(self, trace: Trace) -> None:
        asked: list[tuple[TraceId, SpanContext | None, Request]] = []

        class Asked:
            def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
                asked.append((trace_id, parent, request))
                return Decision(sampled=False, threshold=None)

        trace(sampler=Asked())
        assert asked == [(TRACE_ID, None, Request(frontend="mail", client_address="192.0.2.10"))]

    @pytest.mark.parametrize("sampled", [True, False])
    def test_what_the_sampler_wants_to_be_said_is_said_once(self, trace: Trace, sampled: bool) -> None:
        class Ruled:
            def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
                return Decision(sampled=sampled, threshold=None, reason="rule mail", attributes=(("why", "said"),))

        connection = trace(sampler=Ruled())
        assert connection.reason == "rule mail"
        said = [
            {name: value for name, value in span.attributes if name in {"why", "haproxy.sampling.reason"}}
            for span in connection.spans
        ]
        assert said == ([{"why": "said", "haproxy.sampling.reason": "rule mail"}, {}] if sampled else [])


def test_spans_are_kept_within_their_limits(connection_record: Record) -> None:
    tracer = ConnectionTracer(sampler=AlwaysOn(), limits=SpanLimits(attribute_count=3))
    for span in tracer.trace(END, connection_record()).spans:
        assert len(span.attributes) == 3
        assert span.dropped_attributes_count > 0


def test_the_users_unique_id_is_kept(trace: Trace) -> None:
    assert attributes_of(trace(ID="7F000001:C6E4").spans[0])["haproxy.unique_id"] == "7F000001:C6E4"


def test_a_frontend_that_chose_no_backend_names_none(trace: Trace) -> None:
    assert "haproxy.backend.name" not in attributes_of(trace(b="mail", ts="PR", **NO_SERVER, **NO_BYTES).spans[0])


def test_attributes_of_the_users_own_are_on_both_spans(connection_record: Record) -> None:
    tracer = ConnectionTracer(sampler=AlwaysOn(), attributes=(("deployment.region", "eu-1"),))
    assert [attributes_of(span)["deployment.region"] for span in tracer.trace(END, connection_record()).spans] == ["eu-1", "eu-1"]


class TestKeeping:
    def test_an_error_that_was_not_sampled_is_kept_and_says_so(self, connection_record: Record) -> None:
        tracer = ConnectionTracer(sampler=AlwaysOff(), keeper=Keeper(errors=True))
        connection = tracer.trace(END, connection_record(ts="SC"))
        server, client = connection.spans
        assert (connection.reason, attributes_of(server)["haproxy.sampling.reason"]) == ("error", "error")
        assert {(span.flags & 1, span.tracestate) for span in (server, client)} == {(0, "")}

    def test_what_went_well_is_not_however_long_it_lasted(self, connection_record: Record) -> None:
        tracer = ConnectionTracer(sampler=AlwaysOff(), keeper=Keeper(errors=True, slower_than_seconds=0.001))
        assert tracer.trace(END, connection_record()).spans == []

    def test_errors_are_kept_only_if_asked_for(self, connection_record: Record) -> None:
        tracer = ConnectionTracer(sampler=AlwaysOff(), keeper=Keeper(slower_than_seconds=0.001))
        assert tracer.trace(END, connection_record(ts="SC")).spans == []
