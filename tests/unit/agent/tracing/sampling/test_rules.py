"""Rules: the first match decides, new traces only unless it overrides."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.request import NO_REQUEST, Request
from haproxy_telemetry_agent.tracing.sampling.conditions import header_condition, host_condition, method_condition, path_condition
from haproxy_telemetry_agent.tracing.sampling.rules import Rule, RuleBased
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
)

SPAN_ID = SpanId(b"12345678")
TRACE_ID = TraceId(bytes(9) + b"\x80" + bytes(6))
TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any).map(TraceId)
SAMPLED = 1

ALL, NONE = 1.0, 0.0
A = Request(path="/a")


def caller(*, sampled: bool = True, deferred: bool = False, trace_id: TraceId = TRACE_ID, tracestate: str = "") -> SpanContext:
    return SpanContext(trace_id, SPAN_ID, SAMPLED if sampled else 0, tracestate, deferred=deferred)


def on_path(prefix: str, ratio: float, *, override_parent: bool = False) -> Rule:
    conditions = [path_condition("prefix", prefix)]
    return Rule(f"{prefix}-{ratio}", ratio=ratio, conditions=conditions, override_parent=override_parent)


class TestFirstMatch:
    def test_decides(self) -> None:
        sampler = RuleBased([on_path("/b", NONE), on_path("/a", ALL), on_path("/", NONE)], otherwise=AlwaysOff())
        assert sampler.decide(TRACE_ID, None, A) == Decision(sampled=True, threshold=0, reason="rule /a-1.0")

    def test_says_so_where_it_drops_too(self) -> None:
        sampler = RuleBased([on_path("/a", NONE)], otherwise=AlwaysOn())
        assert sampler.decide(TRACE_ID, None, A) == Decision(sampled=False, threshold=None, reason="rule /a-0.0")

    def test_without_one_the_other_sampler_decides(self) -> None:
        sampler = RuleBased([on_path("/b", NONE)], otherwise=AlwaysOn())
        assert sampler.decide(TRACE_ID, None, A) == Decision(sampled=True, threshold=0)

    def test_of_a_rule_without_conditions_is_everything(self) -> None:
        sampler = RuleBased([Rule("all", ratio=ALL)], otherwise=AlwaysOff())
        assert sampler.decide(TRACE_ID, None, NO_REQUEST).reason == "rule all"


class TestCaller:
    @pytest.mark.parametrize("sampled", [True, False])
    @pytest.mark.parametrize("ratio", [ALL, NONE])
    def test_decides_where_there_is_one(self, sampled: bool, ratio: float) -> None:
        sampler = RuleBased([on_path("/a", ratio)], otherwise=ParentBased(AlwaysOff()))
        decision = sampler.decide(TRACE_ID, caller(sampled=sampled), A)
        assert (decision.sampled, decision.reason) == (sampled, "")

    @pytest.mark.parametrize("sampled", [True, False])
    @pytest.mark.parametrize("ratio", [ALL, NONE])
    def test_is_overridden_by_a_rule_that_says_so(self, sampled: bool, ratio: float) -> None:
        sampler = RuleBased([on_path("/a", ratio, override_parent=True)], otherwise=ParentBased(AlwaysOff()))
        decision = sampler.decide(TRACE_ID, caller(sampled=sampled), A)
        assert (decision.sampled, decision.reason) == (ratio == ALL, f"rule /a-{ratio}")

    def test_is_not_overridden_by_a_rule_behind_one_that_does_not(self) -> None:
        rules = [on_path("/a", ALL), on_path("/", NONE, override_parent=True)]
        assert RuleBased(rules, otherwise=ParentBased(AlwaysOff())).decide(TRACE_ID, caller(), A).reason == ""

    def test_who_left_the_decision_to_us_is_none(self) -> None:
        sampler = RuleBased([on_path("/a", ALL)], otherwise=ParentBased(AlwaysOff()))
        assert sampler.decide(TRACE_ID, caller(sampled=False, deferred=True), A).sampled

    def test_whom_the_sampler_does_not_ask_no_rule_asks(self) -> None:
        sampler = RuleBased([on_path("/a", NONE)], otherwise=Ratio(1), follows_parent=False)
        assert not sampler.decide(TRACE_ID, caller(), A).sampled


PATHS = st.sampled_from(["/a", "/ab", "/b", "/"])
METHODS = st.sampled_from(["GET", "PUT"])
HOSTS = st.sampled_from(["x.org", "y.org"])
VALUES = st.sampled_from(["1", "2"])
REQUESTS = st.builds(
    Request,
    method=st.none() | METHODS,
    host=st.none() | HOSTS,
    path=st.none() | PATHS,
    headers=st.dictionaries(st.just("k"), VALUES),
)
PLAIN_RULES = st.fixed_dictionaries(
    {"ratio": st.sampled_from([0.0, 0.25, 0.5, 1.0]), "override": st.booleans()},
    optional={"path": PATHS, "method": METHODS, "host": HOSTS, "k": VALUES},
)


def compiled(number: int, plain: dict[str, object]) -> Rule:
    conditions = []
    if "path" in plain:
        conditions.append(path_condition("prefix", str(plain["path"])))
    if "method" in plain:
        conditions.append(method_condition(str(plain["method"])))
    if "host" in plain:
        conditions.append(host_condition(str(plain["host"])))
    if "k" in plain:
        conditions.append(header_condition("K", str(plain["k"])))
    return Rule(str(number), ratio=float(str(plain["ratio"])), conditions=conditions, override_parent=bool(plain["override"]))


def fits(plain: dict[str, object], request: Request) -> bool:
    return (
        (request.path or "").startswith(str(plain.get("path", "")))
        and plain.get("method", request.method) == request.method
        and plain.get("host", request.host) == request.host
        and plain.get("k", request.headers.get("k")) == request.headers.get("k")
    )


@given(
    plain=st.lists(PLAIN_RULES, max_size=5),
    request_=REQUESTS,
    trace_id=TRACE_IDS,
    called=st.sampled_from([None, "sampled", "unsampled", "deferred"]),
    follows_parent=st.booleans(),
)
def test_rules_are_what_a_naive_reader_of_them_would_do(
    plain: list[dict[str, object]], request_: Request, trace_id: TraceId, called: str | None, follows_parent: bool
) -> None:
    parent = None if called is None else caller(sampled=called == "sampled", deferred=called == "deferred", trace_id=trace_id)
    otherwise: Sampler = ParentBased(Ratio(0.5)) if follows_parent else Ratio(0.5)
    sampler = RuleBased([compiled(*each) for each in enumerate(plain)], otherwise=otherwise, follows_parent=follows_parent)
    decision = sampler.decide(trace_id, parent, request_)

    first = next((number for number, each in enumerate(plain) if fits(each, request_)), None)
    bound = follows_parent and called in ("sampled", "unsampled")
    if first is None or (bound and not plain[first]["override"]):
        assert decision == otherwise.decide(trace_id, parent, request_)
    else:
        assert decision.reason == f"rule {first}"
        threshold = threshold_of_ratio(float(str(plain[first]["ratio"])))
        assert decision.sampled is (threshold is not None and randomness(trace_id, parent) >= threshold)


RATIOS = st.integers(0, 64).map(lambda part: part / 64)


@given(trace_id=TRACE_IDS, first=RATIOS, second=RATIOS, third=RATIOS)
def test_along_hops_with_rules_of_their_own_what_a_lower_ratio_keeps_a_higher_one_keeps(
    trace_id: TraceId, first: float, second: float, third: float
) -> None:
    """Each hop overrides: no hop keeps what a hop with a higher ratio drops, and ``th`` is always the hop's own."""
    parent: SpanContext | None = None
    kept: list[tuple[float, bool]] = []
    for ratio in (first, second, third):
        sampler = RuleBased([Rule("r", ratio=ratio, override_parent=True)], otherwise=ParentBased(AlwaysOn()))
        decision = sampler.decide(trace_id, parent, NO_REQUEST)
        flags, tracestate = child_context(parent, decision)
        parent = SpanContext(trace_id, SPAN_ID, flags, tracestate)
        assert inbound_threshold(parent) == (threshold_of_ratio(ratio) if decision.sampled else None)
        kept.append((ratio, decision.sampled))
    by_ratio = [sampled for _ratio, sampled in sorted(kept)]
    assert by_ratio == sorted(by_ratio)


@given(trace_id=TRACE_IDS, root=RATIOS, other=RATIOS)
def test_a_hop_behind_a_rule_keeps_what_the_rule_kept_and_nothing_else(trace_id: TraceId, root: float, other: float) -> None:
    edge = RuleBased([Rule("edge", ratio=root)], otherwise=ParentBased(AlwaysOn()))
    inner = RuleBased([Rule("inner", ratio=other)], otherwise=ParentBased(Ratio(other)))
    decision = edge.decide(trace_id, None, NO_REQUEST)
    parent = SpanContext(trace_id, SPAN_ID, *child_context(None, decision))
    behind = inner.decide(trace_id, parent, NO_REQUEST)
    assert (behind.sampled, behind.threshold) == (decision.sampled, decision.threshold)


@pytest.mark.parametrize("ratio", [0.01, 0.25, 0.9])
def test_the_share_that_a_rule_keeps_is_its_ratio(ratio: float) -> None:
    count, bits = 20_000, random.Random(7).getrandbits
    sampler = RuleBased([on_path("/a", ratio)], otherwise=AlwaysOff())
    kept = sum(sampler.decide(TraceId(bits(128).to_bytes(16, "big")), None, A).sampled for _ in range(count))
    assert abs(kept - count * ratio) < 4 * (count * ratio * (1 - ratio)) ** 0.5
