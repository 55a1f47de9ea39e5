"""The way through: what is answered, what becomes spans, and that everything is counted."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as OtlpLogRecord
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from haproxy_telemetry_agent.access_log import AccessLog
from haproxy_telemetry_agent.debug import Recent
from haproxy_telemetry_agent.foreign_messages import ForeignMessages, make_minilanguage
from haproxy_telemetry_agent.pipeline import Pipeline
from haproxy_telemetry_agent.request_metrics import RequestMetrics
from haproxy_telemetry_agent.settings.minilanguage import MiniLanguageSettings
from haproxy_telemetry_agent.spop import Message, SetVar, Value, VarScope
from haproxy_telemetry_agent.spop.messages import decode_actions, encode_actions
from haproxy_telemetry_agent.telemetry import PREFIX, Telemetry
from haproxy_telemetry_agent.tracing import (
    AlwaysOff,
    AlwaysOn,
    Answerer,
    ConnectionTracer,
    ExchangeTracer,
    IdGenerator,
    ParentBased,
    Sampler,
    SpanContext,
    TraceId,
)
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from haproxy_telemetry_agent.tracing.request import Request
from haproxy_telemetry_agent.tracing.sampling.sampler import Decision
from haproxy_telemetry_agent.wiring import CONNECTION_FIELDS, REQUEST_MESSAGE, Plan, record_fields

TIME = "2026-11-22T13:50:34.119025+00:00"
NUMBERS = {"ST": "200", "TR": "0", "Tw": "0", "Tc": "1", "Tr": "2", "Ta": "3", "rc": "0", "bq": "0", "sq": "0", "U": "1", "B": "2"}
TEXTS = {"ts": "--", "HM": "GET", "HV": "HTTP/1.1", "f": "fe", "b": "be", "s": "one", "ssl_bc": "0", "HPO": "/", "HQ": ""}
PARAMETERS = {field.name: "-" for field in record_fields(Plan())} | NUMBERS | TEXTS
MINILANGUAGE = MiniLanguageSettings(
    max_exchanges=1_000, max_bytes=10_000_000, max_spans=10, max_tags=10, max_text_characters=100, server_timeout="1m"
)
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def record_of(time: str = TIME, **changes: str) -> bytes:
    """A record of HAProxy's, as its ring would send it."""
    body = " ".join(f'{name}="{value}"' for name, value in (PARAMETERS | changes).items())
    return f"<134>1 {time} - haproxy 37 - [ht@1 {body}] message".encode()


CONNECTION_NUMBERS = dict.fromkeys(("fc_err", "Th", "Tw", "Tc", "Tt", "rc", "bq", "sq", "U", "B"), "1")
CONNECTION_TEXTS = {"id": "4bf92f35-77b3-4da6-a3ce-929d0e0e4736", "ts": "--", "f": "mail", "b": "imap", "s": "one", "ssl_bc": "0"}
CONNECTION_PARAMETERS = {field.name: "-" for field in CONNECTION_FIELDS} | CONNECTION_NUMBERS | CONNECTION_TEXTS


def connection_record_of(**changes: str) -> bytes:
    """One of a TCP frontend."""
    body = " ".join(f'{name}="{value}"' for name, value in (CONNECTION_PARAMETERS | changes).items())
    return f"<134>1 {TIME} - haproxy 37 - [htc@1 {body}] message".encode()


class Agent:
    """A pipeline, what came out of it, and what it counted."""

    def __init__(self, connection_sampler: Sampler | None = None, *, logs: bool = False) -> None:
        self.telemetry = Telemetry()
        self.requests = RequestMetrics(attributes=AttributeBuilder())
        self.exported: list[OtlpSpan] = []
        self.logged: list[OtlpLogRecord] = []
        self.now_unix_nano = 1_000
        ids = IdGenerator(random.Random(1).getrandbits)
        sampler = ParentBased(AlwaysOn())
        self.foreign = ForeignMessages(
            minilanguage=make_minilanguage(MINILANGUAGE, sampler=sampler, ids=ids),
            telemetry=self.telemetry,
            offer=self.offer,
            now_unix_nano=lambda: self.now_unix_nano,
        )
        self.pipeline = Pipeline(
            answerer=Answerer(sampler=sampler, ids=ids),
            tracer=ExchangeTracer(sampler=sampler, ids=ids, describe=logs),
            connection_tracer=ConnectionTracer(sampler=connection_sampler or sampler, describe=logs),
            foreign=self.foreign,
            telemetry=self.telemetry,
            offer=self.offer,
            requests=self.requests,
            access_log=AccessLog(offer=self.log, telemetry=self.telemetry.watch_logs()) if logs else None,
        )

    def offer(self, span: bytes) -> None:
        self.exported.append(OtlpSpan.FromString(span))

    def log(self, record: bytes) -> None:
        self.logged.append(OtlpLogRecord.FromString(record))

    def counted(self) -> dict[tuple[str, ...], float]:
        """Counters that are not 0, by name and labels."""
        return {
            (sample.name.removeprefix(PREFIX).removesuffix("_total"), *sample.labels.values()): sample.value
            for family in self.telemetry.collect()
            for sample in family.samples
            if family.type == "counter" and sample.value
        }


@pytest.fixture
def agent() -> Agent:
    return Agent()


class TestNotify:
    def test_our_message_is_answered_in_the_scope_of_the_transaction(self, agent: Agent) -> None:
        actions = agent.pipeline.notify([Message(REQUEST_MESSAGE, [("host", "example.com"), ("traceparent_1", SAMPLED)])])
        assert all(isinstance(action, SetVar) and action.scope is VarScope.TRANSACTION for action in actions)
        assert [action.name for action in actions] == ["traceparent", "state"]
        assert agent.counted() == {("messages", REQUEST_MESSAGE): 1, ("exchanges_answered", "true", "remote"): 1}

    def test_a_message_that_is_not_ours_is_counted_and_left_alone(self, agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
        assert agent.pipeline.notify([Message("check-client-ip", [("ip", "192.0.2.1")])]) == []
        assert agent.counted() == {("messages", "other"): 1}
        assert "'check-client-ip'" in caplog.text

    def test_messages_of_one_frame_are_answered_together(self, agent: Agent) -> None:
        actions = agent.pipeline.notify([Message("other", []), Message(REQUEST_MESSAGE, []), Message(REQUEST_MESSAGE, [])])
        assert [action.name for action in actions] == ["traceparent", "state", "tracestate"] * 2
        assert agent.counted() == {
            ("messages", "other"): 1,
            ("messages", REQUEST_MESSAGE): 2,
            ("exchanges_answered", "true", "none"): 2,
        }

    def test_nothing_asked_is_nothing_answered(self, agent: Agent) -> None:
        assert agent.pipeline.notify([]) == []


class TestReplacement:
    def replace(self, agent: Agent, sampler: Sampler, *, asks: bool = True) -> None:
        ids = IdGenerator(random.Random(2).getrandbits)
        agent.pipeline.replace(
            answerer=Answerer(sampler=sampler, ids=ids),
            tracer=ExchangeTracer(sampler=sampler, ids=ids),
            connection_tracer=ConnectionTracer(sampler=sampler),
            asks=asks,
        )

    def test_the_new_sampler_decides(self, agent: Agent) -> None:
        self.replace(agent, AlwaysOff())
        agent.pipeline.notify([Message(REQUEST_MESSAGE, [])])
        agent.pipeline.record(record_of())
        agent.pipeline.record(connection_record_of())
        assert agent.counted()["exchanges_answered", "false", "none"] == 1
        assert agent.exported == []

    def test_an_exchange_that_the_old_one_has_begun_ends_as_it_was_decided(self, agent: Agent) -> None:
        actions = agent.pipeline.notify([Message(REQUEST_MESSAGE, [])])
        variables = {action.name: str(action.value) for action in actions if isinstance(action, SetVar)}
        self.replace(agent, AlwaysOff())
        agent.pipeline.record(record_of(**variables))
        assert [span.name for span in agent.exported] == ["GET", "GET"]

    def test_what_nobody_asked_for_is_counted_so(self, agent: Agent) -> None:
        self.replace(agent, AlwaysOn(), asks=False)
        agent.pipeline.record(record_of())
        assert agent.counted()["exchanges_recorded", "unasked"] == 1


class TestForeignMessages:
    OPEN = Message("opened", [("id", "x"), ("span", "root")])
    SERVER = Message("reached", [("id", "x"), ("span", "Server session"), ("child-of", "root")])
    FINISH = Message("finished", [("id", "x"), ("finish", "*")])

    def test_messages_of_one_frame_have_one_time(self, agent: Agent) -> None:
        agent.pipeline.notify([self.OPEN, self.SERVER])
        agent.now_unix_nano += 500
        agent.pipeline.notify([self.FINISH])
        assert {(span.start_time_unix_nano, span.end_time_unix_nano) for span in agent.exported} == {(1_000, 1_500)}
        assert agent.counted() == {
            ("messages", "minilang"): 3,
            ("minilang_spans_made", "server"): 1,
            ("minilang_spans_made", "internal"): 1,
        }

    def test_are_answered_beside_ours(self, agent: Agent) -> None:
        actions = agent.pipeline.notify([self.OPEN, Message("other", []), Message(REQUEST_MESSAGE, [])])
        assert [action.name for action in actions] == ["traceparent", "tracestate"] * 2 + ["traceparent", "state", "tracestate"]
        assert agent.counted() == {
            ("messages", "minilang"): 1,
            ("messages", "other"): 1,
            ("messages", REQUEST_MESSAGE): 1,
            ("exchanges_answered", "true", "none"): 1,
        }


class TestRecord:
    def test_becomes_spans(self, agent: Agent) -> None:
        agent.pipeline.record(record_of(traceparent=SAMPLED))
        assert [OtlpSpan.SpanKind.Name(span.kind) for span in agent.exported] == ["SPAN_KIND_SERVER", "SPAN_KIND_CLIENT"]
        assert {span.end_time_unix_nano for span in agent.exported} == {1_795_355_434_119_025_000}
        assert agent.counted() == {
            ("exchanges_recorded", "unanswered"): 1,
            ("spans_made", "server"): 1,
            ("spans_made", "client"): 1,
        }

    def test_without_a_server_becomes_one(self, agent: Agent) -> None:
        agent.pipeline.record(record_of(s="<NOSRV>", error="259"))
        assert len(agent.exported) == 1
        assert agent.counted() == {("exchanges_recorded", "unanswered"): 1, ("spoe_errors", "259"): 1, ("spans_made", "server"): 1}

    def test_of_an_answer_is_counted_as_answered(self, agent: Agent) -> None:
        """Both halves of one exchange: what HAProxy is told comes back in its record."""
        variables = {
            action.name: action.value for action in agent.pipeline.notify([Message(REQUEST_MESSAGE, [("host", "example.com")])])
        }
        agent.pipeline.record(record_of(**{name: str(value) for name, value in variables.items()}))
        server, client = agent.exported
        assert variables["traceparent"] == f"00-{client.trace_id.hex()}-{client.span_id.hex()}-03"
        assert client.parent_span_id == server.span_id
        assert agent.counted()["exchanges_recorded", "answered"] == 1

    def test_of_an_unsampled_trace_is_counted_only(self, agent: Agent) -> None:
        agent.pipeline.record(record_of(traceparent=SAMPLED[:-1] + "0"))
        assert agent.exported == []
        assert agent.counted() == {("exchanges_recorded", "unanswered"): 1}

    def test_of_no_request_is_counted_only(self, agent: Agent) -> None:
        agent.pipeline.record(record_of(HM="<BADREQ>", ts="CR", ST="400"))
        assert agent.exported == []
        assert agent.counted() == {("exchanges_recorded", "no_request"): 1}

    def test_of_a_request_is_measured_sampled_or_not(self, agent: Agent) -> None:
        agent.pipeline.record(record_of(traceparent=SAMPLED))
        agent.pipeline.record(record_of(traceparent=SAMPLED[:-1] + "0"))
        agent.pipeline.record(record_of(excluded="1"))
        agent.pipeline.record(connection_record_of())
        agent.pipeline.record(b"garbage")
        (series,) = agent.requests.series
        assert sum(series.counts) == 3

    def test_of_a_connection_becomes_spans(self, agent: Agent) -> None:
        agent.pipeline.record(connection_record_of())
        assert [span.name for span in agent.exported] == ["tcp mail", "tcp imap"]
        assert agent.counted() == {
            ("exchanges_recorded", "connection"): 1,
            ("spans_made", "server"): 1,
            ("spans_made", "client"): 1,
        }

    def test_of_a_connection_that_a_rule_decided_on_counts_for_the_rule(self) -> None:
        class Ruled:
            def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
                return Decision(sampled=False, threshold=None, reason="rule mail")

        agent = Agent(connection_sampler=Ruled())
        agent.pipeline.record(connection_record_of())
        assert agent.exported == []
        assert agent.counted() == {("exchanges_recorded", "connection"): 1, ("sampling_reasons", "rule"): 1}

    def test_of_anything_that_was_asked_for_is_logged_sampled_or_not(self) -> None:
        agent = Agent(logs=True)
        agent.pipeline.record(record_of(traceparent=SAMPLED))
        agent.pipeline.record(record_of(traceparent=SAMPLED[:-1] + "0", HPO="/unsampled"))
        agent.pipeline.record(connection_record_of())
        for nothing in (record_of(excluded="1"), record_of(HM="<BADREQ>", ts="CR", ST="400"), b"garbage"):
            agent.pipeline.record(nothing)
        agent.pipeline.record(connection_record_of(s="<NOSRV>", ts="CR", U="0", B="0"))
        assert [record.body.string_value.rpartition(" ")[0].rpartition(" ")[0] for record in agent.logged] == [
            "GET / 200",
            "GET /unsampled 200",
            "tcp mail 1 B in, 1 B out,",
        ]
        servers = [span for span in agent.exported if span.kind == OtlpSpan.SPAN_KIND_SERVER]
        sampled = [agent.logged[0], agent.logged[2]]
        assert [(span.trace_id, span.span_id) for span in servers] == [(log.trace_id, log.span_id) for log in sampled]
        assert [span.attributes for span in servers] == [log.attributes for log in sampled]
        assert agent.counted()["log_records_made", "info"] == 3

    def test_of_a_probe_is_counted_only(self, agent: Agent) -> None:
        agent.pipeline.record(connection_record_of(s="<NOSRV>", ts="CR", U="0", B="0"))
        assert agent.exported == []
        assert agent.counted() == {("exchanges_recorded", "probe"): 1}

    @pytest.mark.parametrize(
        ("data", "reason"),
        [
            pytest.param(b"garbage", "foreign", id="garbage"),
            pytest.param(record_of().replace(b"[ht@1 ", b"- [ht@1 "), "no_structured_data", id="no structured data"),
            pytest.param(record_of().partition(b" HPO=")[0], "truncated", id="truncated"),
            pytest.param(connection_record_of()[:-12], "truncated", id="truncated, of a connection"),
            pytest.param(record_of().replace(b' HQ=""', b""), "mismatched", id="parameter missing"),
            pytest.param(record_of(ST="OK"), "mismatched", id="number that is none"),
            pytest.param(record_of().replace(b"[ht@1", b"[htc@1"), "mismatched", id="an exchange's under a connection's id"),
            pytest.param(connection_record_of(id="-"), "mismatched", id="connection without a trace id"),
        ],
    )
    def test_that_is_of_no_use_is_skipped_counted_and_told(
        self, agent: Agent, caplog: pytest.LogCaptureFixture, data: bytes, reason: str
    ) -> None:
        agent.pipeline.record(data)
        assert agent.exported == []
        assert agent.counted() == {("records_skipped", reason): 1}
        assert len(caplog.messages) == 1

    def test_that_tells_of_lost_ones_counts_them(self, agent: Agent, caplog: pytest.LogCaptureFixture) -> None:
        agent.pipeline.record(b"<133>1 2026-11-24T13:36:45.615532+00:00 - haproxy 4383 - - 892 events dropped")
        assert agent.counted() == {("records_skipped", "no_structured_data"): 1, ("records_lost",): 892}
        assert caplog.messages == ["HAProxy's ring was full: 892 records are lost"]

    def test_that_was_cut_behind_what_is_needed_makes_the_spans(self, agent: Agent) -> None:
        agent.pipeline.record(record_of(traceparent=SAMPLED, HPO="/a", user_agent="x" * 8192)[:4096])
        assert [span.trace_id.hex() for span in agent.exported] == [SAMPLED[3:35]] * 2
        values = {pair.key: pair.value.string_value for pair in agent.exported[0].attributes}
        assert values["url.path"] == "/a"
        assert "user_agent.original" not in values
        assert agent.counted()["records_cut",] == 1
        assert agent.counted()["exchanges_recorded", "unanswered"] == 1

    @pytest.mark.parametrize(
        "data",
        [
            pytest.param(record_of(time="1969-12-31T23:59:59.000000+00:00"), id="before 1970"),
            pytest.param(record_of(time="2999-01-01T00:00:00.000000+00:00"), id="after 2554"),
            pytest.param(record_of(TR="9" * 400), id="a timer that is no float"),
            pytest.param(connection_record_of(Tc="9" * 400), id="a connection's timer that is no float"),
        ],
    )
    def test_of_an_absurd_exchange_does_no_harm(self, agent: Agent, data: bytes) -> None:
        agent.pipeline.record(data)
        assert sum(value for key, value in agent.counted().items() if key[0] in ("exchanges_recorded", "records_skipped")) == 1


ESCAPES: Callable[[str], str] = lambda text: text.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")  # noqa: E731
ANY_RECORD = st.one_of(
    st.binary(max_size=60),
    st.dictionaries(st.sampled_from(sorted(PARAMETERS)), st.text(max_size=10).map(ESCAPES)).map(
        lambda changes: record_of(**changes)
    ),
    st.dictionaries(st.sampled_from(sorted(CONNECTION_PARAMETERS)), st.text(max_size=10).map(ESCAPES)).map(
        lambda changes: connection_record_of(**changes)
    ),
)


@given(records=st.lists(ANY_RECORD, max_size=4))
def test_every_record_is_counted_once_whatever_it_is(records: list[bytes]) -> None:
    agent = Agent()
    for data in records:
        agent.pipeline.record(data)
    counted = agent.counted()
    assert sum(value for key, value in counted.items() if key[0] in ("exchanges_recorded", "records_skipped")) == len(records)
    assert sum(value for key, value in counted.items() if key[0] == "spans_made") == len(agent.exported)


VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=9), st.binary(max_size=3), st.ip_addresses()
)
WORDS = st.sampled_from(["id", "span", "child-of", "follows-from", "tag", "baggage", "log", "finish", "traceparent", "", "other"])
MINI_ARGUMENTS = st.lists(st.tuples(WORDS, st.one_of(st.sampled_from(["a", "b", "*", SAMPLED]), VALUES)), max_size=20)


@given(notifies=st.lists(st.lists(MINI_ARGUMENTS, max_size=3), max_size=5))
def test_every_message_is_counted_once_and_every_span_is_sent(notifies: list[list[list[tuple[str, Value]]]]) -> None:
    agent = Agent()
    for arguments in notifies:
        actions = agent.pipeline.notify([Message("any", one) for one in arguments])
        assert decode_actions(encode_actions(actions)) == actions
    agent.foreign.close()
    counted = agent.counted()
    assert sum(value for key, value in counted.items() if key[0] == "messages") == sum(map(len, notifies))
    assert sum(value for key, value in counted.items() if key[0] == "minilang_spans_made") == len(agent.exported)
    assert len({span.span_id for span in agent.exported}) == len(agent.exported)


def test_what_became_of_records_is_remembered_for_who_looks() -> None:
    agent = Agent()
    agent.pipeline.record(record_of(HPO="/before"))
    agent.pipeline.recent = recent = Recent()
    agent.pipeline.record(record_of(HPO="/seen", traceparent=SAMPLED))
    agent.pipeline.record(connection_record_of())
    agent.pipeline.record(connection_record_of(s="<NOSRV>", U="0", B="0"))
    agent.pipeline.record(b"no record")
    made = list(recent.latest())
    assert sorted(type(one).__name__ for one in made) == ["Connection", "Exchange"]
    exported = {span.span_id for span in agent.exported[-4:]}
    assert {span.span_id for one in made for span in one.spans} == exported
    agent.pipeline.recent = None
    agent.pipeline.record(record_of())
    assert len(list(recent.latest())) == 2
