"""Access log records: what the SERVER span says, on one line, whether the span is exported or not."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder, AttributeOptions
from haproxy_telemetry_agent.tracing.connection import ConnectionTracer
from haproxy_telemetry_agent.tracing.context import IdGenerator, SpanId, TraceId, server_span_id
from haproxy_telemetry_agent.tracing.exchange import ExchangeTracer
from haproxy_telemetry_agent.tracing.limits import SpanLimits
from haproxy_telemetry_agent.tracing.log_record import LogRecord, Severity, log_connection, log_exchange
from haproxy_telemetry_agent.tracing.redaction import Redactor
from haproxy_telemetry_agent.tracing.sampling.sampler import AlwaysOff, AlwaysOn
from haproxy_telemetry_agent.tracing.state import VERSION, State, encode_state
from haproxy_telemetry_agent.wiring import Profile

Record = Callable[..., dict[str, str]]

END = 1_795_355_434_012_345_000
OBSERVED = END + 7
TRACE_ID = TraceId(bytes.fromhex("0af7651916cd43dd8448eb211c80319c"))
CLIENT_ID = SpanId(bytes.fromhex("847aa2ddc6c50541"))
SERVER_ID = server_span_id(CLIENT_ID)
UNSAMPLED = f"00-{TRACE_ID.hex()}-{CLIENT_ID.hex()}-00"
EXCLUDED = encode_state(State(VERSION, excluded=True))
BAD_REQUEST = {"HM": "<BADREQ>", "HV": "<BADREQ>", "HPO": "<BADREQ>", "HQ": "<BADREQ>", "ST": "400", "ts": "PR", "s": "<NOSRV>"}


@pytest.fixture
def log(ids: IdGenerator, record: Record) -> Callable[..., LogRecord | None]:
    """The log record of a record with these parameters; it ended at END."""

    def build(tracer: ExchangeTracer | None = None, **parameters: str) -> LogRecord | None:
        tracer = tracer or ExchangeTracer(sampler=AlwaysOn(), ids=ids, describe=True)
        return log_exchange(tracer.trace(END, record(**parameters)), OBSERVED)

    return build


def test_an_ordinary_exchange(ids: IdGenerator, record: Record) -> None:
    exchange = ExchangeTracer(sampler=AlwaysOn(), ids=ids).trace(END, record(HPO="/cart", Ta="12"))
    assert log_exchange(exchange, OBSERVED) == LogRecord(
        time_unix_nano=END,
        observed_unix_nano=OBSERVED,
        severity=Severity.INFO,
        body="GET /cart 200 12.0 ms",
        event_name="haproxy.exchange",
        attributes=exchange.spans[0].attributes,
        dropped_attributes_count=0,
        flags=1,
        trace_id=TRACE_ID,
        span_id=SERVER_ID,
    )


@pytest.mark.parametrize("profile", ["Standard", "Full", "Stream"])
@pytest.mark.parametrize(("status", "state"), [("200", "--"), ("404", "--"), ("503", "SC"), ("200", "SD"), ("-1", "CR")])
def test_what_is_not_sampled_says_the_same_as_what_is(
    ids: IdGenerator, record: Record, profile: Profile, status: str, state: str
) -> None:
    tracer = ExchangeTracer(sampler=AlwaysOn(), ids=ids, profile=profile, describe=True)
    sampled = tracer.trace(END, record(ST=status, ts=state))
    unsampled = tracer.trace(END, record(ST=status, ts=state, traceparent=UNSAMPLED))
    assert unsampled.spans == []
    one, other = log_exchange(sampled, OBSERVED), log_exchange(unsampled, OBSERVED)
    assert one is not None
    assert other is not None
    assert (one.flags, other.flags) == (1, 0)
    for name in {*LogRecord.__struct_fields__} - {"flags"}:
        assert getattr(one, name) == getattr(other, name)


def test_what_is_not_sampled_is_not_described_unasked(ids: IdGenerator, log: Callable[..., LogRecord | None]) -> None:
    tracer = ExchangeTracer(sampler=AlwaysOn(), ids=ids)
    assert log(tracer, traceparent=UNSAMPLED) is None


@pytest.mark.parametrize(
    ("parameters", "severity"),
    [
        ({"ST": "200"}, Severity.INFO),
        ({"ST": "404"}, Severity.INFO),
        ({"ST": "500"}, Severity.ERROR),
        ({"ST": "200", "ts": "SD"}, Severity.ERROR),
        ({"ST": "-1", "ts": "CR"}, Severity.ERROR),
        ({"ST": "200", "ts": "CD"}, Severity.INFO),
    ],
)
def test_severity_is_the_spans_status(log: Callable[..., LogRecord | None], parameters: dict[str, str], severity: Severity) -> None:
    logged = log(**parameters)
    assert logged is not None
    assert logged.severity is severity


@pytest.mark.parametrize(
    ("parameters", "body"),
    [
        ({"HM": "BREW", "HPO": "/pot"}, "_OTHER /pot 200 3.0 ms"),
        ({"ST": "-1", "ts": "CR"}, "GET /x/200 - 3.0 ms"),
        (BAD_REQUEST, "_OTHER - 400 3.0 ms"),
        ({"HQ": "?page=1", "Ta": "0"}, "GET /x/200 200 0.0 ms"),
    ],
)
def test_body(log: Callable[..., LogRecord | None], parameters: dict[str, str], body: str) -> None:
    logged = log(**parameters)
    assert logged is not None
    assert logged.body == body


@given(path=st.text(max_size=30), query=st.text(max_size=30))
def test_what_is_redacted_in_a_span_is_nowhere_in_the_log(record: Record, path: str, query: str) -> None:
    redactor = Redactor(allowed=frozenset(), scrubs=[("s3cret", "REDACTED")])
    tracer = ExchangeTracer(
        sampler=AlwaysOn(),
        ids=IdGenerator(lambda bits: (1 << bits) - 1),
        attributes=AttributeBuilder(AttributeOptions(redactor=redactor)),
        describe=True,
    )
    changes = {"HPO": f"/{path}s3cret", "HQ": f"?token=s3cret&{query}s3cret".replace("=s3cret&", "=s3cret&k=", 1)}
    for traceparent in (UNSAMPLED, UNSAMPLED[:-1] + "1"):
        logged = log_exchange(tracer.trace(END, record(traceparent=traceparent, **changes)), OBSERVED)
        assert logged is not None
        assert "s3cret" not in logged.body
        assert "s3cret" not in str(logged.attributes)


def test_limits_are_kept_in_both_and_the_body_says_no_more(ids: IdGenerator, log: Callable[..., LogRecord | None]) -> None:
    tracer = ExchangeTracer(sampler=AlwaysOn(), ids=ids, limits=SpanLimits(attribute_count=1), describe=True)
    logged = log(tracer, traceparent=UNSAMPLED)
    assert logged is not None
    assert (logged.body, len(logged.attributes)) == ("GET - - 3.0 ms", 1)
    assert logged.dropped_attributes_count > 0


def test_a_reason_is_said(log: Callable[..., LogRecord | None]) -> None:
    logged = log(traceparent=UNSAMPLED, state=encode_state(State(VERSION, reason="rate_limited")))
    assert logged is not None
    assert dict(logged.attributes)["haproxy.sampling.reason"] == "rate_limited"


class TestExcluded:
    def test_there_is_none_unasked(self, log: Callable[..., LogRecord | None]) -> None:
        assert log(traceparent="-", state=EXCLUDED) is None

    def test_it_is_of_no_trace(self, ids: IdGenerator, log: Callable[..., LogRecord | None]) -> None:
        tracer = ExchangeTracer(sampler=AlwaysOn(), ids=ids, describe=True, describe_excluded=True)
        logged = log(tracer, traceparent="-", state=EXCLUDED, HPO="/healthz")
        assert logged is not None
        assert (logged.trace_id, logged.span_id, logged.body) == (None, None, "GET /healthz 200 3.0 ms")
        assert dict(logged.attributes)["haproxy.sampling.reason"] == "excluded"


def test_a_connection_without_a_request_has_none(log: Callable[..., LogRecord | None]) -> None:
    assert log(**{**BAD_REQUEST, "ts": "CR"}) is None


class TestConnections:
    def test_the_ordinary_one(self, connection_record: Record) -> None:
        connection = ConnectionTracer(sampler=AlwaysOn()).trace(END, connection_record())
        server = connection.spans[0]
        assert log_connection(connection, OBSERVED) == LogRecord(
            time_unix_nano=END,
            observed_unix_nano=OBSERVED,
            severity=Severity.INFO,
            body="tcp mail 170 B in, 51 B out, 12.0 ms",
            event_name="haproxy.connection",
            attributes=server.attributes,
            dropped_attributes_count=0,
            flags=server.flags,
            trace_id=server.trace_id,
            span_id=server.span_id,
        )

    def test_one_that_is_not_sampled_is_described_if_asked(self, connection_record: Record) -> None:
        assert log_connection(ConnectionTracer(sampler=AlwaysOff()).trace(END, connection_record(ts="sD")), OBSERVED) is None
        connection = ConnectionTracer(sampler=AlwaysOff(), describe=True).trace(END, connection_record(ts="sD"))
        assert connection.spans == []
        logged = log_connection(connection, OBSERVED)
        assert logged is not None
        assert (logged.severity, logged.flags & 1) == (Severity.ERROR, 0)
        assert dict(logged.attributes)["error.type"] == "haproxy.server_timeout"

    def test_a_probe_has_none(self, connection_record: Record) -> None:
        probe = connection_record(s="<NOSRV>", U="0", B="0", ts="CD")
        assert log_connection(ConnectionTracer(sampler=AlwaysOn(), describe=True).trace(END, probe), OBSERVED) is None

    def test_limits_leave_gaps(self, connection_record: Record) -> None:
        tracer = ConnectionTracer(sampler=AlwaysOn(), limits=SpanLimits(attribute_count=0))
        logged = log_connection(tracer.trace(END, connection_record()), OBSERVED)
        assert logged is not None
        assert logged.body == "tcp mail - in, - out, 12.0 ms"
