"""Answers: what the agent tells HAProxy while a request waits."""

import random
import re
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.answer import Answer, Answerer
from haproxy_telemetry_agent.tracing.context import IdGenerator, SpanContext, TraceId
from haproxy_telemetry_agent.tracing.exclusion import Excluder
from haproxy_telemetry_agent.tracing.propagation import Propagation
from haproxy_telemetry_agent.tracing.request import Request
from haproxy_telemetry_agent.tracing.sampling import AlwaysOff, AlwaysOn, Decision, ParentBased, Ratio, Sampler
from haproxy_telemetry_agent.tracing.state import VERSION, State, decode_state
from haproxy_telemetry_agent.tracing.tracecontext import parse_traceparent
from haproxy_telemetry_agent.wiring import Plan
from haproxy_telemetry_agent.wiring import arguments as arguments_of

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{PARENT}-01"
UNSAMPLED = f"00-{TRACE}-{PARENT}-00"

ARGUMENTS = {field.name for field in arguments_of(Plan())}
SPOP_VALUES = st.one_of(
    st.none(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=30), st.binary(max_size=9), st.just(IPv4Address("192.0.2.1"))
)


def variables(answer: Answer) -> dict[str, str]:
    assert len(dict(answer.variables)) == len(answer.variables)
    return dict(answer.variables)


def state_of(answer: Answer) -> State:
    state = decode_state(variables(answer)["state"])
    assert state is not None
    return state


@pytest.fixture
def answerer(ids: IdGenerator) -> Answerer:
    """With the default sampler."""
    return Answerer(sampler=ParentBased(AlwaysOn()), ids=ids)


def test_without_a_caller_a_trace_begins(answerer: Answerer) -> None:
    answer = answerer.answer({})
    assert (answer.sampled, answer.has_parent) == (True, False)
    assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-03", variables(answer)["traceparent"])
    assert variables(answer)["tracestate"] == "ot=th:0"
    assert state_of(answer) == State(VERSION)


def test_every_answer_has_ids_of_its_own(answerer: Answerer) -> None:
    contexts = [parse_traceparent(variables(answerer.answer({}))["traceparent"]) for _ in range(50)]
    assert len({context and context.trace_id for context in contexts}) == 50
    assert len({context and context.span_id for context in contexts}) == 50


def test_the_callers_trace_goes_on(answerer: Answerer) -> None:
    answer = answerer.answer({"traceparent_1": TRACEPARENT, "tracestate_1": "rojo=1"})
    assert (answer.sampled, answer.has_parent) == (True, True)
    context = parse_traceparent(variables(answer)["traceparent"])
    assert context is not None
    assert context.trace_id.hex() == TRACE
    assert context.span_id.hex() != PARENT
    assert context.flags == 1
    assert variables(answer)["tracestate"] == "rojo=1"
    assert state_of(answer) == State(VERSION, parent_span_id=bytes.fromhex(PARENT))


def test_an_unsampled_trace_goes_on_as_one(answerer: Answerer) -> None:
    answer = answerer.answer({"traceparent_1": UNSAMPLED, "tracestate_1": "rojo=1"})
    assert (answer.sampled, answer.has_parent) == (False, True)
    assert re.fullmatch(f"00-{TRACE}-[0-9a-f]{{16}}-00", variables(answer)["traceparent"])
    assert variables(answer)["tracestate"] == "rojo=1"


def test_what_only_the_start_can_tell_goes_into_the_state(answerer: Answerer) -> None:
    answer = answerer.answer(
        {"start": 1_795_355_434_119_025, "seen": 1_795_355_434_119_900, "host": "example.com", "user_agent": "curl/8"}
    )
    assert state_of(answer) == State(
        VERSION,
        start_unix_micro=1_795_355_434_119_025,
        seen_unix_micro=1_795_355_434_119_900,
        host="example.com",
        user_agent="curl/8",
    )


@pytest.mark.parametrize(
    "value",
    [
        None,
        "1795355434119025",
        b"",
        pytest.param(True),
    ],
)
def test_a_time_that_is_no_number_is_none(answerer: Answerer, value: object) -> None:
    assert state_of(answerer.answer({"start": value, "seen": value})) == State(VERSION)


@pytest.mark.parametrize(
    "arguments",
    [
        pytest.param({"traceparent_1": "garbage"}, id="invalid traceparent"),
        pytest.param({"traceparent_1": TRACEPARENT, "traceparent_2": TRACEPARENT}, id="two traceparents"),
        pytest.param({"traceparent_1": TRACEPARENT, "traceparent_2": ""}, id="an empty second one"),
        pytest.param({"traceparent_1": None}, id="none"),
        pytest.param({"traceparent_1": TRACEPARENT.encode()}, id="of another type"),
    ],
)
def test_an_invalid_context_is_ignored_and_takes_its_tracestate_with_it(answerer: Answerer, arguments: dict[str, object]) -> None:
    answer = answerer.answer({**arguments, "tracestate_1": "rojo=1"})
    assert not answer.has_parent
    assert TRACE not in variables(answer)["traceparent"]
    assert "rojo" not in variables(answer)["tracestate"]


@pytest.mark.parametrize(
    ("headers", "tracestate"),
    [
        (["a=1", "b=2", "c=3"], "a=1,b=2,c=3"),
        (["a=1", None, None], "a=1"),
        (["", "b=2", None], "b=2"),
        (["a=1", "broken", None], None),
        ([None, None, None], None),
    ],
)
def test_tracestate_headers_are_one_list(answerer: Answerer, headers: list[str | None], tracestate: str | None) -> None:
    arguments = {f"tracestate_{number}": header for number, header in enumerate(headers, 1)}
    answer = answerer.answer({"traceparent_1": TRACEPARENT, **arguments})
    assert answer.has_parent
    assert variables(answer).get("tracestate") == tracestate


@pytest.mark.parametrize(
    ("sampler", "arguments", "flags", "tracestate"),
    [
        (AlwaysOn(), {}, "03", "ot=th:0"),
        (AlwaysOff(), {}, "02", None),
        (Ratio(0), {}, "02", None),
        (ParentBased(AlwaysOff()), {}, "02", None),
        (ParentBased(AlwaysOff()), {"traceparent_1": TRACEPARENT}, "01", None),
        (AlwaysOff(), {"traceparent_1": TRACEPARENT}, "00", None),
        (AlwaysOn(), {"traceparent_1": UNSAMPLED}, "01", "ot=th:0"),
        # R of this trace id is 0x48eb211c80319c, some 28 % of 2**56.
        (Ratio(0.75), {"traceparent_1": UNSAMPLED}, "01", "ot=th:4"),
        (Ratio(0.5), {"traceparent_1": TRACEPARENT, "tracestate_1": "ot=th:0"}, "00", None),
    ],
)
def test_the_sampler_decides(
    ids: IdGenerator, sampler: Sampler, arguments: dict[str, object], flags: str, tracestate: str | None
) -> None:
    answer = Answerer(sampler=sampler, ids=ids).answer(arguments)
    assert variables(answer)["traceparent"].endswith(f"-{flags}")
    assert answer.sampled is (int(flags, 16) & 1 == 1)
    assert variables(answer).get("tracestate") == tracestate


@given(arguments=st.dictionaries(st.sampled_from(sorted(ARGUMENTS)), SPOP_VALUES))
def test_any_arguments_get_a_context_that_is_valid(arguments: dict[str, object]) -> None:
    ids = IdGenerator(random.Random(1).getrandbits)
    answer = Answerer(sampler=ParentBased(Ratio(0.5)), ids=ids).answer(arguments)
    context = parse_traceparent(variables(answer)["traceparent"])
    assert context is not None
    assert context.sampled is answer.sampled
    assert state_of(answer).version == VERSION


def test_the_answer_reads_no_argument_that_haproxy_does_not_send(answerer: Answerer) -> None:
    class Watched(dict[str, object]):
        asked: set[str] = set()  # noqa: RUF012 - one object of it is made

        def get(self, key: str, default: object = None) -> object:  # type: ignore[override]
            self.asked.add(key)
            return super().get(key, default)

    arguments = Watched(traceparent_1=TRACEPARENT)
    answerer.answer(arguments)
    assert arguments.asked == ARGUMENTS | {"now"}


def test_what_the_sampler_may_look_at(ids: IdGenerator) -> None:
    seen: list[Request] = []

    class Watching(AlwaysOn):
        def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
            seen.append(request)
            return super().decide(trace_id, parent, request)

    answer = Answerer(sampler=Watching(), ids=ids).answer(
        {
            "method": "GET",
            "path": "/x",
            "host": "shop.example",
            "frontend": "edge",
            "user_agent": "curl/8",
            "client": IPv4Address("192.0.2.1"),
            "q.x-tenant": "a",
            "s.x-debug": "1",
            "tls.cipher": "AES",
        }
    )
    assert seen == [
        Request("GET", "shop.example", "/x", "edge", "curl/8", IPv4Address("192.0.2.1"), {"x-tenant": "a", "x-debug": "1"})
    ]
    # What only sampling looks at does not travel on.
    assert state_of(answer).extras == {"q.x-tenant": "a", "tls.cipher": "AES"}


@pytest.mark.parametrize(("value", "text"), [(True, "1"), (False, "0"), (7, "7"), (b"\x0a\xff", "0AFF"), ("", None), (None, None)])
def test_what_the_user_asked_for_is_text_as_in_a_record(answerer: Answerer, value: object, text: str | None) -> None:
    assert state_of(answerer.answer({"x.key": value})).extras == (None if text is None else {"x.key": text})


class TestStamps:
    """Profile Full: every event's time goes into a token."""

    NOW = 1_795_355_434_000_000

    def test_through_all_events(self, answerer: Answerer) -> None:
        name, session = answerer.stamp(0, {"session": None, "now": self.NOW}) or ("", "")
        assert name == "session"
        name, session = answerer.stamp(1, {"session": session, "now": self.NOW + 10}) or ("", "")
        assert name == "session"
        answer = answerer.answer({"session": session, "now": self.NOW + 30, "traceparent_1": TRACEPARENT, "host": "shop.example"})
        token = variables(answer)["state"]
        for event, offset in ((3, 40), (4, 50), (7, 90)):
            name, token = answerer.stamp(event, {"state": token, "now": self.NOW + offset}) or ("", "")
            assert name == "state"
        state = decode_state(token)
        assert state is not None
        assert state.stamps == [self.NOW, 10, 30, 40, 50, None, None, 90]
        assert (state.host, state.parent_span_id) == ("shop.example", bytes.fromhex(PARENT))

    def test_a_backends_event_before_the_request(self, answerer: Answerer) -> None:
        """In a `listen` section: it comes in one frame with on-frontend-tcp-request, whose token it is given."""
        name, session = answerer.stamp(1, {"session": None, "now": self.NOW}) or ("", "")
        name, session = answerer.stamp(3, {"state": None, "session": session, "now": self.NOW + 1}) or ("", "")
        assert name == "session"
        state = state_of(answerer.answer({"session": session, "now": self.NOW + 30}))
        assert state.stamps == [None, self.NOW, 30, 1, None, None, None, None]

    @pytest.mark.parametrize("token", [None, "", "garbage", 7])
    def test_an_event_of_a_request_that_was_not_answered_is_nobodys(self, answerer: Answerer, token: object) -> None:
        assert answerer.stamp(3, {"state": token, "now": self.NOW}) is None

    @pytest.mark.parametrize("token", [None, "", "garbage", 7])
    def test_the_first_events_need_no_token(self, answerer: Answerer, token: object) -> None:
        name, session = answerer.stamp(1, {"session": token, "now": self.NOW}) or ("", "")
        state = decode_state(session)
        assert name == "session"
        assert state is not None
        assert state.stamps == [None, self.NOW, None, None, None, None, None, None]

    @pytest.mark.parametrize("now", [None, "soon", True])
    def test_without_a_time_there_is_no_stamp(self, answerer: Answerer, now: object) -> None:
        assert answerer.stamp(0, {"now": now}) is None
        assert state_of(answerer.answer({"now": now})).stamps is None


def test_what_is_excluded_gets_no_context(ids: IdGenerator) -> None:
    answerer = Answerer(sampler=AlwaysOn(), ids=ids, excluder=Excluder(paths=[("prefix", "/healthz")]))
    answer = answerer.answer({"path": "/healthz", "traceparent_1": TRACEPARENT})
    assert [name for name, _value in answer.variables] == ["state"]
    assert state_of(answer) == State(VERSION, excluded=True)
    assert not answer.sampled
    assert "traceparent" in variables(answerer.answer({"path": "/shop"}))


class TestPropagation:
    def test_other_formats_go_in_and_out(self, ids: IdGenerator) -> None:
        answerer = Answerer(sampler=ParentBased(AlwaysOff()), ids=ids, propagation=Propagation(["b3"]))
        answer = answerer.answer({"b3": f"{TRACE}-{PARENT}-d"})
        trace_id, span_id, flag = variables(answer)["b3"].split("-")
        assert (trace_id, flag) == (TRACE, "d")
        assert variables(answer)["traceparent"] == f"00-{TRACE}-{span_id}-01"
        assert state_of(answer).parent_span_id == bytes.fromhex(PARENT)

    def test_a_caller_that_is_not_believed_is_linked_to(self, ids: IdGenerator) -> None:
        propagation = Propagation(trusted_networks=["10.0.0.0/8"], link_untrusted=True)
        answerer = Answerer(sampler=ParentBased(AlwaysOn()), ids=ids, propagation=propagation)
        answer = answerer.answer({"traceparent_1": TRACEPARENT, "client": IPv4Address("192.0.2.1")})
        assert TRACE not in variables(answer)["traceparent"]
        assert (state_of(answer).parent_span_id, state_of(answer).link) == (None, TRACEPARENT)
        assert TRACE in variables(answerer.answer({"traceparent_1": TRACEPARENT, "client": IPv4Address("10.0.0.1")}))["traceparent"]

    def test_a_denial_without_a_trace(self, ids: IdGenerator) -> None:
        answer = Answerer(sampler=AlwaysOn(), ids=ids, propagation=Propagation(["b3"])).answer({"b3": "0"})
        assert (answer.sampled, answer.has_parent, state_of(answer).reason) == (False, False, "denied")

    def test_baggage_that_is_asked_for_is_remembered(self, ids: IdGenerator) -> None:
        answerer = Answerer(sampler=AlwaysOn(), ids=ids, baggage_keys=["tenant"])
        answer = answerer.answer({"baggage_1": "a=1,tenant=t%20u", "baggage_2": None})
        assert state_of(answer).extras == {"a.baggage.tenant": "t u"}


def test_what_a_sampler_says_is_remembered(ids: IdGenerator) -> None:
    class Talking(AlwaysOn):
        def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
            return Decision(sampled=True, threshold=None, reason="rule shop", attributes=(("sampler.vip", True),))

    state = state_of(Answerer(sampler=Talking(), ids=ids).answer({}))
    assert (state.reason, state.extras) == ("rule shop", {"a.sampler.vip": "1"})
