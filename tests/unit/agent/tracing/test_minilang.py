"""The mini-language at work: which spans come out of which messages."""

import random
from ipaddress import IPv4Address

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.clauses import WarningReason
from haproxy_telemetry_agent.tracing.context import IdGenerator
from haproxy_telemetry_agent.tracing.minilang import UNFINISHED_ATTRIBUTE, MiniLanguage, MiniLimits, MiniResult
from haproxy_telemetry_agent.tracing.sampling import AlwaysOff, AlwaysOn, ParentBased, Sampler
from haproxy_telemetry_agent.tracing.span import Span, SpanKind, SpanStatus
from haproxy_telemetry_agent.tracing.tracecontext import parse_traceparent

TRACE = "0af7651916cd43dd8448eb211c80319c"
CALLER = "b7ad6b7169203331"
TRACEPARENT = f"00-{TRACE}-{CALLER}-01"
LIMITS = MiniLimits(
    max_exchanges=100,
    max_bytes=1_000_000,
    max_spans=10,
    max_tags=3,
    max_text_characters=50,
    request_silence_seconds=60,
    server_silence_seconds=600,
    upgraded_silence_seconds=3600,
)
SECOND = 1_000_000_000
ID = ("id", "one")


class Talk:
    """A conversation with the mini-language, a nanosecond a message."""

    def __init__(self, sampler: Sampler | None = None, **limits: float) -> None:
        self.language = MiniLanguage(
            sampler=sampler or ParentBased(AlwaysOn()),
            ids=IdGenerator(random.Random(1).getrandbits),
            limits=msgspec.structs.replace(LIMITS, **limits),
        )
        self.now = 1_000
        self.spans: list[Span] = []
        self.result = MiniResult([], [], in_request=False, warnings=[])

    def say(self, *arguments: tuple[str, object], exchange_id: str = "one") -> "Talk":
        """One message, a nanosecond after the one before."""
        self.now += 1
        self.result = self.language.receive("message", [("id", exchange_id), *arguments], self.now)
        self.spans += self.result.spans
        return self

    def named(self) -> dict[str, Span]:
        """All spans that have left."""
        assert len({span.name for span in self.spans}) == len(self.spans)
        return {span.name: span for span in self.spans}

    def variables(self) -> dict[str, str | None]:
        assert len(dict(self.result.variables)) == len(self.result.variables)
        return dict(self.result.variables)

    def context_span_id(self) -> bytes:
        context = parse_traceparent(self.variables()["traceparent"] or "")
        assert context is not None
        return context.span_id

    def warnings(self) -> list[tuple[WarningReason, str]]:
        return [(warning.reason, warning.argument) for warning in self.result.warnings]


@pytest.fixture
def talk() -> Talk:
    return Talk()


class TestTree:
    def test_child_of_is_the_parent(self, talk: Talk) -> None:
        talk.say(("span", "root"), ("span", "child"), ("child-of", "root")).say(("finish", "*"))
        spans = talk.named()
        assert spans["root"].parent_span_id is None
        assert spans["child"].parent_span_id == spans["root"].span_id
        assert (spans["root"].kind, spans["child"].kind) == (SpanKind.SERVER, SpanKind.INTERNAL)
        assert spans["root"].trace_id == spans["child"].trace_id
        assert {(span.start_unix_nano, span.end_unix_nano) for span in talk.spans} == {(1_001, 1_002)}

    def test_follows_from_is_a_link_and_the_same_parent(self, talk: Talk) -> None:
        talk.say(("span", "root"), ("span", "first"), ("child-of", "root"))
        talk.say(("span", "second"), ("follows-from", "first"), ("finish", "first")).say(("finish", "*"))
        spans = talk.named()
        assert spans["second"].parent_span_id == spans["root"].span_id
        assert [link.span_id for link in spans["second"].links] == [spans["first"].span_id]
        assert spans["first"].end_unix_nano == spans["second"].start_unix_nano

    def test_what_follows_the_root_hangs_below_it(self, talk: Talk) -> None:
        talk.say(("span", "root"), ("span", "next"), ("follows-from", "root"), ("finish", "*"))
        spans = talk.named()
        assert spans["next"].parent_span_id == spans["root"].span_id
        assert [link.span_id for link in spans["next"].links] == [spans["root"].span_id]

    def test_a_second_root_hangs_below_the_first(self, talk: Talk) -> None:
        talk.say(("span", "root"), ("span", "other"), ("finish", "root"))
        assert talk.warnings() == [(WarningReason.SECOND_ROOT, "span=other")]
        talk.say(("span", "third")).say(("finish", "*"))
        spans = talk.named()
        assert {spans[name].parent_span_id for name in ("other", "third")} == {spans["root"].span_id}
        assert len({span.trace_id for span in talk.spans}) == 1

    @pytest.mark.parametrize("begin", [(), (("span", "root"),), (("span", "root"), ("span", "gone"), ("child-of", "root"))])
    def test_a_reference_to_nothing_makes_no_span_and_the_rest_counts(self, talk: Talk, begin: tuple[tuple[str, str], ...]) -> None:
        if begin:
            talk.say(*begin)
        if len(begin) == 3:
            talk.say(("finish", "gone"))
        talk.say(("span", "lost"), ("child-of", "gone"), ("tag", "key"), ("", 1), ("span", "kept"), ("finish", "*"))
        reasons = [(WarningReason.REFERENCE_NOT_OPEN, "span=lost child-of=gone")]
        assert talk.warnings() == reasons + ([(WarningReason.SECOND_ROOT, "span=kept")] if begin else [])
        assert "lost" not in talk.named()
        assert "kept" in talk.named()

    def test_a_name_may_come_again_when_it_is_finished(self, talk: Talk) -> None:
        talk.say(("span", "root"), ("span", "again"), ("child-of", "root"), ("finish", "again"))
        talk.say(("span", "again"), ("child-of", "root"), ("finish", "again")).say(("finish", "*"))
        assert [span.name for span in talk.spans] == ["again", "again", "root"]
        assert talk.spans[0].span_id != talk.spans[1].span_id


class TestWhatIsSaid:
    def test_tags_keep_their_types(self, talk: Talk) -> None:
        talk.say(("span", "s"), ("tag", "a"), ("", 5), ("tag", "b"), ("", True), ("tag", "c"), ("", "x"), ("", IPv4Address(1)))
        talk.say(("finish", "s"))
        assert talk.spans[0].attributes == [("a", 5), ("b", True), ("c", "x0.0.0.1")]

    def test_null_leaves_a_tag_out(self, talk: Talk) -> None:
        talk.say(("span", "s"), ("tag", "a"), ("", None), ("finish", ""))
        assert (talk.spans[0].attributes, talk.warnings()) == ([], [])

    def test_an_open_span_is_filled_further(self, talk: Talk) -> None:
        talk.say(("span", "s"), ("tag", "a"), ("", 1)).say(
            ("span", "s"), ("tag", "b"), ("", 2), ("tag", "a"), ("", 3), ("finish", "")
        )
        assert talk.spans[0].attributes == [("a", 3), ("b", 2)]
        assert (talk.spans[0].start_unix_nano, talk.spans[0].end_unix_nano) == (1_001, 1_002)

    @pytest.mark.parametrize(
        ("value", "status", "attributes"),
        [
            (True, SpanStatus.ERROR, []),
            ("true", SpanStatus.ERROR, []),
            (1, SpanStatus.ERROR, []),
            (False, SpanStatus.UNSET, []),
            ("timeout", SpanStatus.UNSET, [("error", "timeout")]),
        ],
    )
    def test_error_is_the_status(self, talk: Talk, value: object, status: SpanStatus, attributes: list[tuple[str, object]]) -> None:
        talk.say(("span", "s"), ("tag", "error"), ("", value), ("finish", ""))
        assert (talk.spans[0].status, talk.spans[0].attributes) == (status, attributes)

    def test_the_last_word_on_an_error_counts(self, talk: Talk) -> None:
        talk.say(("span", "s"), ("tag", "error"), ("", True)).say(("span", "s"), ("tag", "error"), ("", False), ("finish", "s"))
        assert talk.spans[0].status is SpanStatus.UNSET

    def test_logs_of_one_message_are_one_event(self, talk: Talk) -> None:
        talk.say(("span", "s"), ("log", "event"), ("", "seen"), ("log", "by"), ("", 5), ("", True))
        talk.say(("span", "s"), ("log", "other"), ("", None), ("finish", ""))
        first, second = talk.spans[0].events
        assert (first.time_unix_nano, first.name, first.attributes) == (1_001, "seen", [("by", "51")])
        assert (second.time_unix_nano, second.name, second.attributes) == (1_002, "log", [("other", "")])

    def test_baggage_goes_down_from_then_on_and_never_up(self, talk: Talk) -> None:
        talk.say(("span", "root"), ("span", "before"), ("child-of", "root"))
        talk.say(
            ("span", "root"), ("baggage", "k"), ("", "v"), ("span", "child"), ("child-of", "root"), ("baggage", "own"), ("", 1)
        )
        talk.say(("span", "next"), ("follows-from", "child")).say(("finish", "*"))
        assert {name: dict(span.attributes) for name, span in talk.named().items()} == {
            "root": {"baggage.k": "v"},
            "before": {},
            "child": {"baggage.k": "v", "baggage.own": "1"},
            "next": {"baggage.k": "v", "baggage.own": "1"},
        }


class TestFinish:
    def test_happens_after_the_spans_of_its_message(self, talk: Talk) -> None:
        talk.say(("span", "a")).say(("finish", "a"), ("span", "b"), ("child-of", "a"))
        assert [span.name for span in talk.spans] == ["a"]
        assert talk.warnings() == []

    def test_of_the_last_span_ends_the_exchange(self, talk: Talk) -> None:
        talk.say(("span", "a"), ("span", "b"), ("child-of", "a")).say(("finish", "a"))
        assert len(talk.language) == 1
        talk.say(("finish", "b"))
        assert (len(talk.language), talk.language.size_bytes) == (0, 0)

    def test_the_same_id_then_starts_anew(self, talk: Talk) -> None:
        talk.say(("span", "a"), ("finish", "*")).say(("span", "a"), ("finish", "*"))
        assert talk.spans[0].trace_id != talk.spans[1].trace_id

    @pytest.mark.parametrize("name", ["other", "*"])
    def test_of_nothing_is_told(self, talk: Talk, name: str) -> None:
        talk.say(("finish", name))
        assert talk.warnings() == [(WarningReason.FINISH_NOT_OPEN, f"finish={name}")]
        assert len(talk.language) == 0

    def test_exchanges_do_not_mix(self, talk: Talk) -> None:
        talk.say(("span", "a")).say(("span", "a"), exchange_id="two").say(("finish", "*"), exchange_id="two")
        assert (len(talk.spans), len(talk.language)) == (1, 1)


class TestContext:
    def test_is_the_newest_open_span_of_the_message(self, talk: Talk) -> None:
        talk.say(("span", "a"), ("span", "b"), ("child-of", "a"), ("span", "c"), ("child-of", "a"), ("finish", "c"))
        newest = talk.context_span_id()
        assert talk.variables()["tracestate"] == "ot=th:0"
        assert talk.result.in_request
        talk.say(("finish", "*"))
        assert newest == talk.named()["b"].span_id

    def test_is_told_only_where_a_span_is_opened(self, talk: Talk) -> None:
        talk.say(("span", "a")).say(("span", "a"), ("tag", "k"), ("", 1))
        assert talk.result.variables == []

    def test_of_the_caller_is_continued(self, talk: Talk) -> None:
        talk.say(("traceparent", TRACEPARENT), ("tracestate", "rojo=1"), ("span", "a"))
        assert talk.variables()["tracestate"] == "rojo=1"
        talk.say(("finish", "*"))
        (span,) = talk.spans
        assert (span.trace_id.hex(), (span.parent_span_id or b"").hex(), span.parent_is_remote) == (TRACE, CALLER, True)
        assert (span.flags, span.tracestate) == (1, "rojo=1")

    def test_of_the_caller_may_come_when_spans_are_open(self, talk: Talk) -> None:
        talk.say(("span", "a"), ("span", "b"), ("child-of", "a"))
        assert talk.variables()["tracestate"] == "ot=th:0"
        talk.say(("traceparent", TRACEPARENT), ("span", "c"), ("follows-from", "b"), ("finish", "b"))
        assert talk.variables()["tracestate"] is None
        context = talk.context_span_id()
        talk.say(("span", "d"), ("child-of", "a"))
        assert "tracestate" not in talk.variables()
        talk.say(("finish", "*"))
        spans = talk.named()
        assert {span.trace_id.hex() for span in talk.spans} == {spans["c"].links[0].trace_id.hex()} == {TRACE}
        assert (spans["a"].parent_span_id or b"").hex() == CALLER
        assert spans["b"].parent_span_id == spans["a"].span_id
        assert context == spans["c"].span_id

    def test_that_comes_late_is_told_without_a_new_span(self, talk: Talk) -> None:
        talk.say(("span", "a")).say(("traceparent", TRACEPARENT))
        assert (talk.variables()["traceparent"] or "")[3:35] == TRACE

    @pytest.mark.parametrize("second", [TRACEPARENT, "garbage"])
    def test_that_comes_too_late_changes_nothing(self, talk: Talk, second: str) -> None:
        talk.say(("span", "a"), ("span", "b"), ("child-of", "a"), ("finish", "b"))
        talk.say(("traceparent", second), ("finish", "*"))
        assert len({span.trace_id for span in talk.spans}) == 1
        assert talk.spans[1].parent_span_id is None

    def test_a_second_one_changes_nothing(self, talk: Talk) -> None:
        talk.say(("traceparent", TRACEPARENT), ("span", "a")).say(("traceparent", TRACEPARENT.replace("0af7", "ffff")))
        assert talk.result.variables == []
        assert talk.say(("finish", "a")).spans[0].trace_id.hex() == TRACE

    def test_of_an_unsampled_caller_goes_on_and_gives_no_spans(self, talk: Talk) -> None:
        talk.say(("traceparent", TRACEPARENT[:-1] + "0"), ("span", "a"), ("tag", "k"), ("", "v"))
        assert (talk.variables()["traceparent"] or "").startswith(f"00-{TRACE}-")
        assert (talk.variables()["traceparent"] or "").endswith("-00")
        assert len(talk.language) == 1
        talk.say(("finish", "*"))
        assert (talk.spans, len(talk.language)) == ([], 0)

    def test_a_caller_who_records_is_followed_after_all(self) -> None:
        talk = Talk(ParentBased(AlwaysOff()))
        talk.say(("span", "a"), ("tag", "early"), ("", 1)).say(("traceparent", TRACEPARENT), ("finish", "*"))
        assert talk.spans[0].attributes == [("early", 1)]

    def test_an_unsampled_exchange_keeps_nothing_that_nobody_will_see(self) -> None:
        talk = Talk(AlwaysOff())
        talk.say(("span", "a"), ("span", "b"), ("child-of", "a"), ("finish", "b"))
        before = talk.language.size_bytes
        talk.say(("span", "a"), ("tag", "k"), ("", "v"), ("log", "k"), ("", "v"), ("baggage", "k"), ("", "v"))
        assert talk.language.size_bytes == before

    def test_belongs_to_the_request_until_a_server_is_reached(self, talk: Talk) -> None:
        talk.say(("span", "a"))
        assert talk.result.in_request
        talk.say(("span", "Server session"), ("child-of", "a"))
        assert not talk.result.in_request
        assert talk.variables()


class TestForgetting:
    def expire(self, talk: Talk, seconds: float) -> list[Span]:
        return talk.language.expire(talk.now + round(seconds * SECOND), at_most=100)

    def test_a_silent_exchange_is_closed_as_of_its_last_word(self, talk: Talk) -> None:
        talk.say(("span", "a"), ("tag", "k"), ("", 1)).say(("span", "b"), ("child-of", "a"))
        assert self.expire(talk, 59) == []
        spans = self.expire(talk, 60)
        assert [span.name for span in spans] == ["a", "b"]
        for span in spans:
            assert span.end_unix_nano == 1_002
            assert span.status is SpanStatus.ERROR
            assert "time" in span.status_message
            assert dict(span.attributes)[UNFINISHED_ATTRIBUTE] == "time"
        assert (len(talk.language), talk.language.size_bytes) == (0, 0)
        assert talk.language.expired == {"time": 1, "limit": 0, "shutdown": 0}

    def test_activity_renews(self, talk: Talk) -> None:
        talk.say(("span", "a"))
        talk.now += 59 * SECOND
        talk.say(("span", "a"))
        assert self.expire(talk, 59) == []

    @pytest.mark.parametrize(
        ("further", "seconds"),
        [
            ([("span", "Server session"), ("child-of", "a")], 600),
            ([("span", "HTTP response"), ("child-of", "a"), ("tag", "http.status_code"), ("", 101)], 3600),
            ([("span", "a"), ("tag", "http.response.status_code"), ("", "101")], 3600),
            ([("span", "b"), ("child-of", "a"), ("tag", "http.status_code"), ("", 200)], 60),
        ],
    )
    def test_the_further_it_has_come_the_longer_it_may_be_silent(
        self, talk: Talk, further: list[tuple[str, object]], seconds: int
    ) -> None:
        talk.say(("span", "a")).say(*further)
        assert self.expire(talk, seconds - 1) == []
        assert len(self.expire(talk, seconds)) >= 1

    def test_what_comes_after_it_finds_nothing(self, talk: Talk) -> None:
        talk.say(("span", "a"))
        self.expire(talk, 60)
        talk.say(("span", "b"), ("child-of", "a"), ("finish", "a"))
        assert [reason for reason, _ in talk.warnings()] == [WarningReason.REFERENCE_NOT_OPEN, WarningReason.FINISH_NOT_OPEN]
        assert len(talk.language) == 0

    def test_too_many_exchanges(self) -> None:
        talk = Talk(max_exchanges=2)
        for number in range(3):
            talk.say(("span", f"s{number}"), exchange_id=str(number))
        assert [span.name for span in talk.result.spans] == ["s0"]
        assert dict(talk.spans[0].attributes)[UNFINISHED_ATTRIBUTE] == "limit"
        assert len(talk.language) == 2
        assert talk.language.expired["limit"] == 1

    def test_too_many_bytes(self) -> None:
        talk = Talk(max_bytes=10_000, max_text_characters=10_000)
        talk.say(("span", "a"))
        talk.say(("span", "b"), ("tag", "k"), ("", "x" * 8_000), exchange_id="two")
        assert [span.name for span in talk.spans] == ["a"]
        talk.say(("span", "b"), ("tag", "l"), ("", "x" * 8_000), exchange_id="two")
        assert [span.name for span in talk.spans] == ["a", "b"]
        assert talk.language.size_bytes == 0

    def test_a_stop_closes_everything(self, talk: Talk) -> None:
        talk.say(("span", "a")).say(("span", "a"), exchange_id="two")
        assert [dict(span.attributes)[UNFINISHED_ATTRIBUTE] for span in talk.language.close()] == ["shutdown"] * 2
        assert (len(talk.language), talk.language.size_bytes, talk.language.expired["shutdown"]) == (0, 0, 2)

    def test_an_unsampled_exchange_leaves_without_spans(self) -> None:
        talk = Talk(AlwaysOff()).say(("span", "a"))
        assert self.expire(talk, 60) == []
        assert talk.language.expired["time"] == 1


class TestLimits:
    def test_open_spans(self) -> None:
        talk = Talk(max_spans=2)
        talk.say(("span", "a"), ("span", "b"), ("child-of", "a"), ("span", "c"), ("child-of", "a"))
        assert talk.warnings() == [(WarningReason.SPAN_LIMIT, "span=c child-of=a")]
        talk.say(("finish", "b")).say(("span", "d"), ("child-of", "a"), ("finish", "*"))
        assert talk.named().keys() == {"a", "b", "d"}

    @pytest.mark.parametrize("name", ["tag", "baggage"])
    def test_items(self, talk: Talk, name: str) -> None:
        items = [argument for number in range(5) for argument in ((name, f"k{number}"), ("", "v"))]
        talk.say(("span", "a"), *items, (name, "k0"), ("", "w"))
        assert talk.warnings() == [(WarningReason.TAG_LIMIT, f"{name}=k{number}") for number in (3, 4)]
        talk.say(("finish", "a"))
        assert len(talk.spans[0].attributes) == 3
        assert talk.spans[0].attributes[0][1] == "w"
        assert talk.spans[0].dropped_attributes_count == (2 if name == "tag" else 0)

    def test_logs(self, talk: Talk) -> None:
        talk.say(("span", "a"))
        for _ in range(4):
            talk.say(("span", "a"), ("log", "k"), ("", "v"))
        assert talk.warnings() == [(WarningReason.TAG_LIMIT, "log")]
        assert len(talk.say(("finish", "a")).spans[0].events) == 3

    @pytest.mark.parametrize("name", ["tag", "baggage"])
    def test_saying_the_same_again_takes_no_more_room(self, talk: Talk, name: str) -> None:
        talk.say(("span", "a"), (name, "k"), ("", "value"))
        before = talk.language.size_bytes
        talk.say(("span", "a"), (name, "k"), ("", "eulav"))
        assert talk.language.size_bytes == before


def test_without_an_id_nothing_happens(talk: Talk) -> None:
    result = talk.language.receive("message", [("span", "a")], 1)
    assert [(warning.reason, warning.message) for warning in result.warnings] == [(WarningReason.NO_ID, "message")]
    assert (result.spans, result.variables, len(talk.language)) == ([], [], 0)


NAMES = st.sampled_from(["a", "b", "c", "*", ""])
VALUES = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**64 - 1), st.text(max_size=9), st.binary(max_size=3))
ARGUMENTS = st.one_of(
    st.tuples(st.sampled_from(["span", "child-of", "follows-from", "finish"]), NAMES),
    st.tuples(st.sampled_from(["tag", "baggage", "log"]), st.sampled_from(["error", "k", "event"])),
    st.tuples(st.just(""), VALUES),
    st.tuples(st.just("traceparent"), st.sampled_from([TRACEPARENT, TRACEPARENT[:-1] + "0", "x", None])),
    st.tuples(st.sampled_from(["", "id", "x", "tag", "finish", "span"]), VALUES),
)
MESSAGES = st.lists(st.tuples(st.sampled_from(["one", "two", "three"]), st.lists(ARGUMENTS, max_size=12)), max_size=12)


@given(messages=MESSAGES)
def test_whatever_is_said_every_span_leaves_once_and_has_its_parent(messages: list[tuple[str, list[tuple[str, object]]]]) -> None:
    talk = Talk(max_exchanges=2, max_spans=3)
    for exchange_id, arguments in messages:
        talk.say(*arguments, exchange_id=exchange_id)
        assert len(talk.language) <= 2
    spans = talk.spans + talk.language.close()
    assert talk.language.size_bytes == 0
    by_id = {span.span_id: span for span in spans}
    assert len(by_id) == len(spans)
    for span in spans:
        assert span.start_unix_nano <= span.end_unix_nano
        if span.kind is SpanKind.SERVER:
            assert span.parent_span_id is None or span.parent_is_remote
        else:
            assert span.parent_span_id is not None
            assert by_id[span.parent_span_id].trace_id == span.trace_id
