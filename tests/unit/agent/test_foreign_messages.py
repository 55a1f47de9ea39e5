"""Messages in the mini-language: what is answered and sent, and that everything is counted and told."""

import random

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan

from haproxy_telemetry_agent.debug import Recent
from haproxy_telemetry_agent.foreign_messages import _WARNINGS, ForeignMessages, make_minilanguage
from haproxy_telemetry_agent.settings.minilanguage import MiniLanguageSettings
from haproxy_telemetry_agent.spop import Action, Message, UnsetVar, VarScope
from haproxy_telemetry_agent.telemetry import PREFIX, Telemetry
from haproxy_telemetry_agent.tracing import AlwaysOff, AlwaysOn, IdGenerator, ParentBased, WarningReason

SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
MINUTE_NANO = 60_000_000_000

OPEN = Message("opened", [("id", "x"), ("span", "root")])
CONTEXT = Message("request", [("id", "x"), ("traceparent", SAMPLED), ("span", "next"), ("child-of", "root")])
SERVER = Message("reached", [("id", "x"), ("span", "Server session"), ("child-of", "root")])
FINISH = Message("finished", [("id", "x"), ("finish", "*")])


class Site:
    """One that receives, what it sent, and what it counted."""

    def __init__(self, settings: MiniLanguageSettings) -> None:
        self.telemetry = Telemetry()
        self.exported: list[OtlpSpan] = []
        self.now_unix_nano = 1_000
        ids = IdGenerator(random.Random(1).getrandbits)
        self.foreign = ForeignMessages(
            minilanguage=make_minilanguage(settings, sampler=ParentBased(AlwaysOn()), ids=ids),
            telemetry=self.telemetry,
            offer=lambda span: self.exported.append(OtlpSpan.FromString(span)),
            now_unix_nano=lambda: self.now_unix_nano,
        )

    def receive(self, message: Message) -> list[Action]:
        return self.foreign.receive(message, self.now_unix_nano)

    def counted(self) -> dict[tuple[str, ...], float]:
        """Counters that are not 0, by name and labels."""
        return {
            (sample.name.removeprefix(PREFIX).removesuffix("_total"), *sample.labels.values()): sample.value
            for family in self.telemetry.collect()
            for sample in family.samples
            if family.type == "counter" and sample.value
        }


@pytest.fixture
def site() -> Site:
    return Site(MiniLanguageSettings())


def test_only_the_mini_language_is_understood(site: Site) -> None:
    assert site.foreign.understand(OPEN)
    assert not site.foreign.understand(Message("check-client-ip", [("ip", "192.0.2.1")]))


def test_what_ends_is_remembered_for_who_looks(site: Site) -> None:
    site.foreign.recent = recent = Recent()
    site.receive(OPEN)
    site.receive(SERVER)
    assert list(recent.latest()) == []
    site.receive(Message("reached", [("id", "x"), ("finish", "Server session")]))
    assert [[span.name for span in made.spans] for made in recent.latest()] == [["Server session"]]
    site.receive(FINISH)
    assert [sorted(span.name for span in made.spans) for made in recent.latest()] == [["Server session", "root"]]
    site.foreign.recent = None
    site.receive(OPEN)
    site.receive(FINISH)
    assert len(list(recent.latest())) == 1


def test_its_context_is_told_in_two_scopes_and_later_in_one(site: Site) -> None:
    actions = site.receive(OPEN)
    assert [(action.scope, action.name) for action in actions] == [
        (VarScope.TRANSACTION, "traceparent"),
        (VarScope.TRANSACTION, "tracestate"),
        (VarScope.REQUEST, "traceparent"),
        (VarScope.REQUEST, "tracestate"),
    ]
    assert {action.scope for action in site.receive(SERVER)} == {VarScope.TRANSACTION}


def test_what_is_no_longer_true_is_taken_back(site: Site) -> None:
    site.receive(OPEN)
    actions = site.receive(CONTEXT)
    assert UnsetVar(VarScope.TRANSACTION, "tracestate") in actions
    assert UnsetVar(VarScope.REQUEST, "tracestate") in actions


def test_spans_are_sent_when_they_end(site: Site) -> None:
    site.receive(OPEN)
    site.receive(SERVER)
    assert site.exported == []
    site.now_unix_nano += 500
    site.receive(FINISH)
    assert {(span.start_time_unix_nano, span.end_time_unix_nano) for span in site.exported} == {(1_000, 1_500)}
    assert site.counted() == {
        ("messages", "minilang"): 3,
        ("minilang_spans_made", "server"): 1,
        ("minilang_spans_made", "internal"): 1,
    }


def test_warnings_are_counted_each_and_told_once_a_message(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    site.receive(Message("wrong", [("id", "x"), ("finish", "a"), ("finish", "b")]))
    assert site.counted() == {("messages", "minilang"): 1, ("minilang_warnings", "finish_not_open"): 2}
    assert caplog.messages == ["message 'wrong', argument 'finish=a': no such span is open"]


def test_every_warning_has_words_of_its_own() -> None:
    assert _WARNINGS.keys() == set(WarningReason)
    assert len(set(_WARNINGS.values())) == len(WarningReason)


def test_what_is_silent_too_long_is_sent(site: Site) -> None:
    site.receive(OPEN)
    assert not site.foreign.expire()
    assert site.exported == []
    site.now_unix_nano += MINUTE_NANO
    assert not site.foreign.expire()
    assert [span.end_time_unix_nano for span in site.exported] == [1_000]


def test_many_are_closed_in_parts(site: Site) -> None:
    for number in range(250):
        site.receive(Message("opened", [("id", number), ("span", "root")]))
    site.now_unix_nano += MINUTE_NANO
    assert site.foreign.expire()
    assert len(site.exported) == 200
    assert not site.foreign.expire()
    assert len(site.exported) == 250


def test_a_stop_sends_what_is_open(site: Site) -> None:
    site.receive(OPEN)
    site.foreign.close()
    assert len(site.exported) == 1


class TestLimits:
    """Each is that of its setting."""

    def test_of_what_one_exchange_holds(self) -> None:
        site = Site(MiniLanguageSettings(max_spans=1, max_tags=1, max_text_characters=16))
        site.receive(Message("opened", [("id", "x"), ("span", "root"), ("tag", "a"), ("", 1), ("tag", "e" * 99), ("", 2)]))
        site.receive(SERVER)
        assert {key[1] for key in site.counted() if key[0] == "minilang_warnings"} >= {"tag_limit", "span_limit", "cut"}

    def test_of_exchanges(self) -> None:
        site = Site(MiniLanguageSettings(max_exchanges=1))
        for name in ("x", "y"):
            site.receive(Message("opened", [("id", name), ("span", "root")]))
        assert len(site.exported) == 1

    @pytest.mark.parametrize(
        ("messages", "settings"),
        [
            ([OPEN], MiniLanguageSettings(request_timeout="2s")),
            ([OPEN, SERVER], MiniLanguageSettings(server_timeout="2s")),
            ([OPEN, SERVER], MiniLanguageSettings(request_timeout="2s", server_spans=[])),
        ],
    )
    def test_of_silence(self, messages: list[Message], settings: MiniLanguageSettings) -> None:
        site = Site(settings)
        for message in messages:
            site.receive(message)
        site.now_unix_nano += 1_000_000_000
        site.foreign.expire()
        assert site.exported == []
        site.now_unix_nano += 1_000_000_001
        site.foreign.expire()
        assert len(site.exported) == len(messages)


def test_another_sampler_decides_from_then_on_and_what_is_open_stays(site: Site) -> None:
    site.receive(OPEN)
    site.foreign.replace_sampler(AlwaysOff())
    site.receive(SERVER)
    site.receive(FINISH)
    assert len(site.exported) == 2
    site.receive(OPEN)
    site.receive(FINISH)
    assert len(site.exported) == 2
