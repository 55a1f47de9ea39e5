"""Samplers of the SDK's kind: the SDK's own are the oracle, ill-behaved ones of our making the rest."""

from collections.abc import Callable
from importlib import metadata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace import sampling as sdk
from opentelemetry.sdk.trace._sampling_experimental import composable_traceid_ratio_based, composite_sampler
from opentelemetry.trace import SpanKind, TraceState, get_current_span
from opentelemetry.util.types import Attributes

from haproxy_telemetry_agent import plugin_sampler
from haproxy_telemetry_agent.plugin_sampler import PluginError, PluginSampler, load_plugin_sampler
from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.request import NO_REQUEST, Request
from haproxy_telemetry_agent.tracing.sampling import Decision, Ratio

TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any).map(TraceId)
TRACE_ID = TraceId(bytes.fromhex("0af7651916cd43dd8448eb211c80319c"))
SPAN_ID = SpanId(b"12345678")
REQUEST = Request(method="GET", path="/a", host="example.com:8080")


def caller(flags: int = 1, tracestate: str = "", *, deferred: bool = False) -> SpanContext:
    return SpanContext(TRACE_ID, SPAN_ID, flags, tracestate, deferred=deferred)


class Recorder(sdk.Sampler):
    """Remembers what it was asked, and answers what it was told to."""

    def __init__(self, answer: Callable[[], Any]) -> None:
        self.asked: tuple[Any, ...] = ()
        self._answer = answer

    # Without trace_state, which the SDK never gives: plugins may well be written so.
    def should_sample(self, *asked: Any) -> sdk.SamplingResult:  # type: ignore[override]
        self.asked = asked
        assert len(asked) == 6
        result: sdk.SamplingResult = self._answer()
        return result

    def get_description(self) -> str:
        return "Recorder"


def answering(decision: sdk.Decision, attributes: Attributes = None, trace_state: TraceState | None = None) -> Recorder:
    return Recorder(lambda: sdk.SamplingResult(decision, attributes, trace_state))


def decide(sampler: sdk.Sampler, parent: SpanContext | None = None, request: Request = REQUEST) -> Decision:
    return PluginSampler(sampler).decide(TRACE_ID, parent, request)


class TestQuestion:
    def test_for_a_new_trace(self) -> None:
        recorder = answering(sdk.Decision.DROP)
        decide(recorder)
        parent_context, *rest = recorder.asked
        assert not get_current_span(parent_context).get_span_context().is_valid
        attributes = {"http.request.method": "GET", "url.path": "/a", "server.address": "example.com"}
        assert rest == [int.from_bytes(TRACE_ID, "big"), "GET", SpanKind.SERVER, attributes, ()]

    def test_for_a_callers_trace(self) -> None:
        recorder = answering(sdk.Decision.DROP)
        decide(recorder, caller(flags=3, tracestate="rojo=1,ot=th:8"))
        context = get_current_span(recorder.asked[0]).get_span_context()
        assert (context.trace_id.to_bytes(16, "big"), context.span_id.to_bytes(8, "big")) == (TRACE_ID, SPAN_ID)
        assert (context.trace_flags, context.is_remote) == (3, True)
        assert context.trace_state.to_header() == "rojo=1,ot=th:8"

    def test_a_caller_who_left_the_decision_to_us_is_none(self) -> None:
        recorder = answering(sdk.Decision.DROP)
        decide(recorder, caller(deferred=True))
        assert not get_current_span(recorder.asked[0]).get_span_context().is_valid

    def test_for_a_request_of_which_nothing_is_known(self) -> None:
        recorder = answering(sdk.Decision.DROP)
        decide(recorder, request=NO_REQUEST)
        assert recorder.asked[2:5] == ("HTTP", SpanKind.SERVER, {})


class TestAnswer:
    @pytest.mark.parametrize(
        ("decision", "sampled"),
        [(sdk.Decision.DROP, False), (sdk.Decision.RECORD_ONLY, False), (sdk.Decision.RECORD_AND_SAMPLE, True)],
    )
    def test_decision(self, decision: sdk.Decision, sampled: bool) -> None:
        assert decide(answering(decision)).sampled is sampled

    def test_attributes(self) -> None:
        recorder = answering(sdk.Decision.RECORD_AND_SAMPLE, {"a": "x", "b": 1, "c": 0.5, "d": True, "e": ("x", "y"), "f": b"x"})
        assert decide(recorder).attributes == (("a", "x"), ("b", 1), ("c", 0.5), ("d", True), ("e", ["x", "y"]))

    def test_attributes_are_bounded(self) -> None:
        many: dict[str, Any] = {"text": "x" * 1000, "list": ["x" * 1000] * 1000, "big": 1 << 63, "least": -(1 << 63) + 1}
        attributes = decide(answering(sdk.Decision.RECORD_AND_SAMPLE, many | {str(number): 1 for number in range(100)})).attributes
        assert attributes[:3] == (("text", "x" * 256), ("list", ["x" * 256] * 16), ("least", -(1 << 63) + 1))
        assert len(attributes) == 16

    @pytest.mark.parametrize(
        ("tracestate", "threshold"),
        [
            (None, None),
            ([("rojo", "1")], None),
            ([("ot", "th:8")], None),  # R is 0x48eb211c80319c: it would not have been kept
            ([("ot", "th:4"), ("rojo", "1")], 0x40_0000_0000_0000),
            ([("ot", "th:zz")], None),
        ],
    )
    def test_threshold(self, tracestate: list[tuple[str, str]] | None, threshold: int | None) -> None:
        recorder = answering(sdk.Decision.RECORD_AND_SAMPLE, trace_state=None if tracestate is None else TraceState(tracestate))
        assert decide(recorder).threshold == threshold

    @given(trace_id=TRACE_IDS, ratio=st.integers(0, 256).map(lambda part: part / 256))
    def test_the_sdks_probability_sampler_decides_as_ours(self, trace_id: TraceId, ratio: float) -> None:
        theirs = PluginSampler(composite_sampler(composable_traceid_ratio_based(ratio)))
        assert theirs.decide(trace_id, None, REQUEST) == Ratio(ratio).decide(trace_id, None, REQUEST)


class TestBroken:
    @pytest.mark.parametrize("answer", [lambda: 1 / 0, lambda: None, lambda: "yes"])
    def test_is_not_sampled_counted_and_logged_once(self, answer: Callable[[], Any], caplog: pytest.LogCaptureFixture) -> None:
        sampler = PluginSampler(Recorder(answer))
        assert [sampler.decide(TRACE_ID, None, REQUEST) for _ in range(3)] == [Decision(sampled=False, threshold=None)] * 3
        assert sampler.failures == 3
        assert len(caplog.records) == 1


class TestLoad:
    @pytest.mark.parametrize(
        ("name", "argument", "parent", "sampled"),
        [
            ("always_on", None, None, True),
            ("always_off", None, None, False),
            ("parentbased_always_off", "ignored", caller(), True),
            ("traceidratio", "0", None, False),
            ("traceidratio", None, None, True),
            ("parentbased_traceidratio", "0", caller(), True),
        ],
    )
    def test_the_sdks_own(self, name: str, argument: str | None, parent: SpanContext | None, sampled: bool) -> None:
        assert load_plugin_sampler(name, argument).decide(TRACE_ID, parent, REQUEST).sampled is sampled

    def test_an_installed_one_gets_its_argument(self, install: Callable[[str], None]) -> None:
        install("company_sampler")
        assert load_plugin_sampler("plugin", "the argument").decide(TRACE_ID, None, REQUEST).attributes == (
            ("argument", "the argument"),
        )

    @pytest.mark.parametrize(
        ("factory", "reason"),
        [
            ("no_such_name", "can't be made: AttributeError"),
            ("raises", "can't be made: ZeroDivisionError"),
            ("gives_text", "made str, which is no sampler"),
        ],
    )
    def test_a_broken_one_says_why(self, install: Callable[[str], None], factory: str, reason: str) -> None:
        install(factory)
        with pytest.raises(PluginError, match=reason):
            load_plugin_sampler("plugin", None)

    def test_a_missing_one_says_which_are_there(self) -> None:
        with pytest.raises(PluginError, match="is not installed; installed are always_off, always_on"):
            load_plugin_sampler("jaeger_remote", None)

    def test_an_argument_that_is_no_ratio(self) -> None:
        with pytest.raises(PluginError, match="can't be made: ValueError"):
            load_plugin_sampler("traceidratio", "half")


def company_sampler(argument: str | None) -> sdk.Sampler:
    return answering(sdk.Decision.RECORD_AND_SAMPLE, {"argument": str(argument)})


def raises(_argument: str | None) -> sdk.Sampler:
    raise ZeroDivisionError


def gives_text(_argument: str | None) -> str:
    return "always_on"


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes a function of this module the entry point `plugin`; a stand-in for an installed distribution."""

    class EntryPoint(metadata.EntryPoint):
        def load(self) -> Any:
            try:
                return globals()[self.value]
            except KeyError:
                raise AttributeError(self.value) from None

    def use(function: str) -> None:
        found = metadata.EntryPoints([EntryPoint("plugin", function, plugin_sampler.ENTRY_POINT_GROUP)])
        monkeypatch.setattr(plugin_sampler, "entry_points", found.select)

    return use
