"""Sampling: against the SDK's own (experimental) probability samplers, and against what must hold for any."""

import random

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.sdk.trace._sampling_experimental import (
    ComposableSampler,
    composable_always_off,
    composable_always_on,
    composable_parent_threshold,
    composable_traceid_ratio_based,
    composite_sampler,
)
from opentelemetry.sdk.trace._sampling_experimental._util import calculate_threshold
from opentelemetry.trace import NonRecordingSpan, TraceFlags, TraceState, set_span_in_context
from opentelemetry.trace import SpanContext as SdkSpanContext

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.request import NO_REQUEST
from haproxy_telemetry_agent.tracing.sampling.sampler import (
    AlwaysOff,
    AlwaysOn,
    Decision,
    ParentBased,
    Ratio,
    Sampler,
    child_context,
    inbound_threshold,
    randomness,
    threshold_of_ratio,
    without_threshold,
)

SAMPLED, RANDOM = 0x01, 0x02
TWO_56 = 1 << 56
SPAN_ID = SpanId(bytes(7) + b"\x01")

TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any).map(TraceId)
RATIOS = st.integers(1, 2**20).map(lambda part: part / 2**20)
THRESHOLDS = st.one_of(st.just("0"), st.from_regex(r"[0-9a-f]{0,13}[1-9a-f]", fullmatch=True))
RANDOM_VALUES = st.from_regex(r"[0-9a-f]{14}", fullmatch=True)
OTHERS = st.dictionaries(st.sampled_from(["k", "x1", "zz"]), st.text("aZ0.-_", min_size=1, max_size=4), max_size=2)
VENDORS = st.dictionaries(st.sampled_from(["rojo", "congo", "foot"]), st.text("aZ0:;", min_size=1, max_size=4), max_size=2)

ROOTS: st.SearchStrategy[Sampler] = st.one_of(st.just(AlwaysOn()), st.just(AlwaysOff()), RATIOS.map(Ratio))
SAMPLERS: st.SearchStrategy[Sampler] = st.one_of(ROOTS, ROOTS.map(ParentBased))


def trace_id_with(randomness_of_it: int) -> TraceId:
    return TraceId((1 << 120 | randomness_of_it).to_bytes(16, "big"))


def parent_with(tracestate: str = "", *, flags: int = SAMPLED, trace_id: TraceId | None = None) -> SpanContext:
    return SpanContext(trace_id or trace_id_with(TWO_56 // 2), SPAN_ID, flags, tracestate)


def members(tracestate: str) -> dict[str, str]:
    return dict(member.split("=", 1) for member in tracestate.split(",")) if tracestate else {}


@st.composite
def parents(draw: st.DrawFn) -> SpanContext:
    """Contexts as well-behaved callers make them: the sampled flag is what ``th`` and the randomness say."""
    trace_id = draw(TRACE_IDS)
    threshold, random_value, others = (
        draw(st.one_of(st.none(), THRESHOLDS)),
        draw(st.one_of(st.none(), RANDOM_VALUES)),
        draw(OTHERS),
    )
    sub_keys = [f"{key}:{value}" for key, value in others.items()]
    if random_value is not None:
        sub_keys.insert(0, f"rv:{random_value}")
    sampled = draw(st.booleans())
    if threshold is not None:
        sub_keys.insert(0, f"th:{threshold}")
        actual = int(random_value, 16) if random_value is not None else int.from_bytes(trace_id[-7:], "big")
        sampled = actual >= int(threshold.ljust(14, "0"), 16)
    entries = [f"{key}={value}" for key, value in draw(VENDORS).items()]
    if sub_keys:
        entries.insert(draw(st.integers(0, len(entries))), "ot=" + ";".join(sub_keys))
    return SpanContext(trace_id, SPAN_ID, SAMPLED if sampled else 0, ",".join(entries))


class TestAgainstTheSdk:
    """The same decision, ``th`` and tracestate as ``opentelemetry.sdk.trace._sampling_experimental``.

    Where it differs on purpose the cases are left out: the SDK puts ``ot`` to the front even if nothing in it changed (so order
    is not compared), leaves a lone ``th`` of an unsampled parent where it is (ours is erased: it would be counted), and believes
    ``th`` more than the sampled flag when the two contradict each other.
    """

    @staticmethod
    def sdk_decision(sampler: ComposableSampler, trace_id: TraceId, parent: SpanContext | None) -> tuple[bool, str]:
        context, tracestate = None, None
        if parent is not None:
            tracestate = TraceState.from_header([parent.tracestate]) if parent.tracestate else TraceState()
            span_context = SdkSpanContext(
                int.from_bytes(parent.trace_id, "big"),
                int.from_bytes(parent.span_id, "big"),
                is_remote=True,
                trace_flags=TraceFlags(parent.flags),
                trace_state=tracestate,
            )
            context = set_span_in_context(NonRecordingSpan(span_context))
        result = composite_sampler(sampler).should_sample(context, int.from_bytes(trace_id, "big"), "GET", trace_state=tracestate)
        return result.decision.is_sampled(), result.trace_state.to_header() if result.trace_state else ""

    @staticmethod
    def our_decision(sampler: Sampler, trace_id: TraceId, parent: SpanContext | None) -> tuple[bool, str]:
        decision = sampler.decide(trace_id, parent, NO_REQUEST)
        _flags, tracestate = child_context(parent, decision)
        return decision.sampled, tracestate

    @given(trace_id=TRACE_IDS, ratio=RATIOS, parent_based=st.booleans())
    def test_roots(self, trace_id: TraceId, ratio: float, parent_based: bool) -> None:
        ours, theirs = Ratio(ratio), composable_traceid_ratio_based(ratio)
        if parent_based:
            ours, theirs = ParentBased(ours), composable_parent_threshold(theirs)
        assert self.our_decision(ours, trace_id, None) == self.sdk_decision(theirs, trace_id, None)

    @pytest.mark.parametrize(
        ("ours", "theirs"),
        [
            (AlwaysOn(), composable_always_on()),
            (AlwaysOff(), composable_always_off()),
            (Ratio(1), composable_traceid_ratio_based(1)),
            (Ratio(0), composable_traceid_ratio_based(0)),
        ],
    )
    @given(trace_id=TRACE_IDS)
    def test_all_and_none(self, trace_id: TraceId, ours: Sampler, theirs: ComposableSampler) -> None:
        assert self.our_decision(ours, trace_id, None) == self.sdk_decision(theirs, trace_id, None)

    @given(parent=parents(), ratio=RATIOS)
    def test_children_of_well_behaved_parents(self, parent: SpanContext, ratio: float) -> None:
        ours, theirs = ParentBased(Ratio(ratio)), composable_parent_threshold(composable_traceid_ratio_based(ratio))
        sampled, tracestate = self.our_decision(ours, parent.trace_id, parent)
        sdk_sampled, sdk_tracestate = self.sdk_decision(theirs, parent.trace_id, parent)
        assert sampled == sdk_sampled == parent.sampled
        if sampled:
            assert members(tracestate) == members(sdk_tracestate)

    @given(parent=parents(), ratio=RATIOS)
    def test_a_ratio_that_does_not_ask_the_parent(self, parent: SpanContext, ratio: float) -> None:
        sampled, tracestate = self.our_decision(Ratio(ratio), parent.trace_id, parent)
        sdk_sampled, sdk_tracestate = self.sdk_decision(composable_traceid_ratio_based(ratio), parent.trace_id, parent)
        assert sampled == sdk_sampled
        if sampled:
            assert members(tracestate) == members(sdk_tracestate)

    @given(ratio=st.floats(2.0**-56, 1))
    @example(ratio=0.1)
    @example(ratio=0.01)
    def test_threshold(self, ratio: float) -> None:
        assert threshold_of_ratio(ratio) == calculate_threshold(ratio)


class TestRatio:
    @pytest.mark.parametrize(
        ("ratio", "written"),
        [(1, "0"), (0.5, "8"), (0.25, "c"), (0.75, "4"), (2**-8, "ff"), (2**-56, "f" * 14)],
    )
    def test_threshold_as_it_is_written(self, ratio: float, written: str) -> None:
        decision = Ratio(ratio).decide(trace_id_with(TWO_56 - 1), None, NO_REQUEST)
        assert decision.sampled
        assert child_context(None, decision) == (SAMPLED | RANDOM, f"ot=th:{written}")

    @pytest.mark.parametrize(
        ("randomness_of_it", "sampled"), [(0, False), (TWO_56 // 4 * 3 - 1, False), (TWO_56 // 4 * 3, True), (TWO_56 - 1, True)]
    )
    def test_the_threshold_itself_is_kept(self, randomness_of_it: int, sampled: bool) -> None:
        assert Ratio(0.25).decide(trace_id_with(randomness_of_it), None, NO_REQUEST).sampled is sampled

    def test_only_the_last_56_bits_count(self) -> None:
        assert randomness(TraceId(b"\xff" * 9 + bytes(7)), None) == 0

    @given(trace_id=TRACE_IDS, low=RATIOS, high=RATIOS)
    def test_what_a_lower_ratio_keeps_a_higher_one_keeps_too(self, trace_id: TraceId, low: float, high: float) -> None:
        low, high = sorted((low, high))
        if Ratio(low).decide(trace_id, None, NO_REQUEST).sampled:
            assert Ratio(high).decide(trace_id, None, NO_REQUEST).sampled

    @pytest.mark.parametrize("ratio", [0.001, 0.1, 0.5, 0.9])
    def test_the_share_of_random_traces_is_the_ratio(self, ratio: float) -> None:
        count, bits = 20_000, random.Random(20_261_122).getrandbits
        sampler = Ratio(ratio)
        kept = sum(sampler.decide(TraceId(bits(128).to_bytes(16, "big")), None, NO_REQUEST).sampled for _ in range(count))
        four_deviations = 4 * (count * ratio * (1 - ratio)) ** 0.5
        assert abs(kept - count * ratio) < four_deviations

    @pytest.mark.parametrize("ratio", [-0.1, 1.1, float("nan"), float("inf")])
    def test_what_is_no_ratio(self, ratio: float) -> None:
        with pytest.raises(ValueError, match="between 0 and 1"):
            Ratio(ratio)

    def test_none_is_none(self) -> None:
        assert not Ratio(0).decide(trace_id_with(TWO_56 - 1), None, NO_REQUEST).sampled

    def test_the_smallest_ratio_still_keeps_something(self) -> None:
        assert Ratio(1e-300).decide(trace_id_with(TWO_56 - 1), None, NO_REQUEST) == Decision(sampled=True, threshold=TWO_56 - 1)


class TestParent:
    @pytest.mark.parametrize("root", [AlwaysOn(), AlwaysOff(), Ratio(0.5)])
    @pytest.mark.parametrize("flags", [0, SAMPLED, RANDOM, SAMPLED | RANDOM])
    def test_is_followed_whatever_the_root_sampler_says(self, root: Sampler, flags: int) -> None:
        assert ParentBased(root).decide(trace_id_with(0), parent_with(flags=flags), NO_REQUEST).sampled is bool(flags & SAMPLED)

    @pytest.mark.parametrize(
        ("tracestate", "expected"),
        [
            ("ot=rv:00000000000000", 0),
            ("ot=rv:ffffffffffffff", TWO_56 - 1),
            ("ot=th:8;rv:00000000000001", 1),
            ("rojo=1,ot=rv:00000000000002", 2),
            # Invalid ones do not count.
            ("ot=rv:1", TWO_56 // 2),
            ("ot=rv:000000000000000", TWO_56 // 2),
            ("ot=rv:0000000000000g", TWO_56 // 2),
            ("ot=rv:FFFFFFFFFFFFFF", TWO_56 // 2),
            ("foot=rv:00000000000000", TWO_56 // 2),
        ],
    )
    def test_explicit_randomness(self, tracestate: str, expected: int) -> None:
        assert randomness(trace_id_with(TWO_56 // 2), parent_with(tracestate)) == expected

    def test_explicit_randomness_decides(self) -> None:
        sampler = Ratio(0.5)
        assert not sampler.decide(trace_id_with(TWO_56 - 1), parent_with("ot=rv:00000000000000"), NO_REQUEST).sampled
        assert sampler.decide(trace_id_with(0), parent_with("ot=rv:ffffffffffffff"), NO_REQUEST).sampled

    @pytest.mark.parametrize(
        ("tracestate", "expected"),
        [
            ("", None),
            ("rojo=1", None),
            ("ot=rv:00000000000000", None),
            ("ot=th:0", 0),
            ("ot=th:8", TWO_56 // 2),
            ("ot=th:80", TWO_56 // 2),
            ("ot=th:ffffffffffffff", TWO_56 - 1),
            ("ot=th:fffffffffffffff", None),
            ("ot=th:", None),
            ("ot=th:g", None),
            ("ot=th:-1", None),
        ],
    )
    def test_threshold(self, tracestate: str, expected: int | None) -> None:
        assert inbound_threshold(parent_with(tracestate)) == expected

    @pytest.mark.parametrize(
        ("why", "flags", "before", "after"),
        [
            ("kept as it is", SAMPLED, "ot=th:8", "ot=th:8"),
            ("kept in its place", SAMPLED, "rojo=1,ot=th:8;x:y", "rojo=1,ot=th:8;x:y"),
            ("not invented", SAMPLED, "rojo=1", "rojo=1"),
            ("not invented in an empty one", SAMPLED, "", ""),
            ("erased: the trace would not have been kept at it", SAMPLED, "ot=th:80000000000001", ""),
            ("erased, others stay", SAMPLED, "rojo=1,ot=th:c;x:y", "ot=x:y,rojo=1"),
            ("erased: not sampled", 0, "ot=th:8;x:y,rojo=1", "ot=x:y,rojo=1"),
            ("erased: invalid", SAMPLED, "ot=th:zz;x:y", "ot=x:y"),
            ("explicit randomness stays", 0, "ot=th:8;rv:00000000000000", "ot=rv:00000000000000"),
        ],
    )
    def test_what_becomes_of_its_threshold(self, why: str, flags: int, before: str, after: str) -> None:
        parent = parent_with(before, flags=flags)
        decision = ParentBased(AlwaysOn()).decide(parent.trace_id, parent, NO_REQUEST)
        assert child_context(parent, decision) == (flags, after)

    @pytest.mark.parametrize("flags", [0, SAMPLED])
    @given(trace_id=TRACE_IDS, root=ROOTS)
    def test_that_left_the_decision_to_us_is_none(self, flags: int, trace_id: TraceId, root: Sampler) -> None:
        parent = SpanContext(trace_id, SPAN_ID, flags, "ot=rv:80000000000000", deferred=True)
        decision = ParentBased(root).decide(trace_id, parent, NO_REQUEST)
        assert decision == root.decide(trace_id, parent, NO_REQUEST)
        assert "rv:80000000000000" in child_context(parent, decision)[1]

    @pytest.mark.parametrize("sampled", [True, False])
    @pytest.mark.parametrize("random_flag", [0, RANDOM])
    def test_its_random_flag_goes_on(self, sampled: bool, random_flag: int) -> None:
        decision = Decision(sampled=sampled, threshold=None)
        flags, _tracestate = child_context(parent_with(flags=random_flag), decision)
        assert flags == random_flag | (SAMPLED if sampled else 0)


@pytest.mark.parametrize(
    ("before", "after"),
    [("", ""), ("rojo=1", "rojo=1"), ("ot=th:8", ""), ("rojo=1,ot=th:8;x:y", "ot=x:y,rojo=1"), ("foot=th:8", "foot=th:8")],
)
def test_a_tracestate_without_its_threshold(before: str, after: str) -> None:
    assert without_threshold(before) == after


def test_a_root_is_random() -> None:
    """Our trace ids are, all of them (W3C Trace Context Level 2)."""
    assert child_context(None, Decision(sampled=False, threshold=None)) == (RANDOM, "")
    assert child_context(None, Decision(sampled=True, threshold=0)) == (RANDOM | SAMPLED, "ot=th:0")


@given(
    parent=parents(),
    sampler=st.one_of(st.just(AlwaysOn()), st.just(AlwaysOff()), RATIOS.map(Ratio), RATIOS.map(Ratio).map(ParentBased)),
)
def test_what_is_said_of_the_probability_is_true(parent: SpanContext, sampler: Sampler) -> None:
    """``th`` goes out with sampled traces only, and only if they would have been kept at it; foreign members never change."""
    decision = sampler.decide(parent.trace_id, parent, NO_REQUEST)
    flags, tracestate = child_context(parent, decision)
    child = SpanContext(parent.trace_id, SPAN_ID, flags, tracestate)
    threshold = inbound_threshold(child)
    assert threshold is None or (child.sampled and randomness(parent.trace_id, child) >= threshold)
    assert randomness(parent.trace_id, child) == randomness(parent.trace_id, parent)
    before, after = members(parent.tracestate), members(tracestate)
    assert before | {"ot": ""} == after | {"ot": ""}
