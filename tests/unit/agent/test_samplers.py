"""From settings to samplers: each setting arrives where it works, and in the right order."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.samplers import (
    default_threshold,
    follows_parent,
    looked_at_headers,
    make_excluder,
    make_keeper,
    make_sampler,
    threshold_force,
    threshold_rules,
)
from haproxy_telemetry_agent.settings import parse_settings
from haproxy_telemetry_agent.settings.sampling import Sampling
from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.request import Request
from haproxy_telemetry_agent.wiring.thresholds import NEVER, ThresholdForce, ThresholdRule

LOW, HIGH = TraceId(bytes(8) + b"\x01" + bytes(7)), TraceId(b"\xff" * 16)
"""Trace ids of the least and the greatest randomness."""

RULE = {
    "name": "r",
    "ratio": 1,
    "host": "*.example.com",
    "path": {"glob": "/a/*"},
    "method": "GET",
    "frontend": "f*",
    "header": {"name": "X-Tenant", "value": "a"},
    "networks": ["10.0.0.0/8"],
}
FITTING = {
    "host": "x.example.com:80",
    "path": "/a/b",
    "method": "GET",
    "frontend": "front",
    "headers": {"x-tenant": "a"},
    "client_address": "10.1.1.1",
}


def settings(**sampling: Any) -> Sampling:
    return parse_settings({"sampling": sampling}).sampling


def caller(*, sampled: bool) -> SpanContext:
    return SpanContext(HIGH, SpanId(b"12345678"), int(sampled))


@pytest.mark.parametrize(
    ("sampling", "new", "low", "called", "uncalled"),
    [
        ({}, True, True, True, False),
        ({"type": "AlwaysOn"}, True, True, True, True),
        ({"type": "AlwaysOff"}, False, False, False, False),
        ({"type": "ParentBasedAlwaysOff"}, False, False, True, False),
        ({"type": "TraceIDRatio", "ratio": 0.5}, True, False, True, True),
        ({"type": "ParentBasedTraceIDRatio", "ratio": 0.5}, True, False, True, False),
        ({"type": "Plugin", "plugin": "parentbased_always_off"}, False, False, True, False),
        ({"type": "Plugin", "plugin": "traceidratio", "pluginArgument": "0"}, False, False, False, False),
    ],
)
def test_type(sampling: dict[str, Any], new: bool, low: bool, called: bool, uncalled: bool) -> None:
    sampler = make_sampler(settings(**sampling))
    assert sampler.decide(HIGH, None, Request()).sampled is new
    assert sampler.decide(LOW, None, Request()).sampled is low
    assert sampler.decide(HIGH, caller(sampled=True), Request()).sampled is called
    assert sampler.decide(HIGH, caller(sampled=False), Request()).sampled is uncalled


def test_a_plugin_that_is_not_there_is_warned_of_and_does_not_stop_anything(caplog: pytest.LogCaptureFixture) -> None:
    sampler = make_sampler(settings(type="Plugin", plugin="company"))
    (record,) = caplog.records
    assert record.getMessage().startswith("sampler 'company' is not installed; installed are always_off")
    assert record.getMessage().endswith("; ParentBasedAlwaysOn is used")
    assert sampler.decide(HIGH, None, Request()).sampled
    assert not sampler.decide(HIGH, caller(sampled=False), Request()).sampled


class TestRules:
    def test_all_conditions_of_one_must_hold(self) -> None:
        sampler = make_sampler(settings(type="ParentBasedAlwaysOff", rules=[RULE]))
        assert sampler.decide(HIGH, None, Request(**FITTING)).reason == "rule r"
        for name in FITTING:
            missing = {} if name == "headers" else None
            assert not sampler.decide(HIGH, None, Request(**{**FITTING, name: missing})).sampled, name

    @pytest.mark.parametrize(("type_", "sampled"), [("ParentBasedAlwaysOn", True), ("AlwaysOn", False)])
    def test_follow_callers_where_the_type_does(self, type_: str, sampled: bool) -> None:
        sampler = make_sampler(settings(type=type_, rules=[{"name": "none", "ratio": 0}]))
        assert sampler.decide(HIGH, caller(sampled=True), Request()).sampled is sampled

    def test_may_override_callers(self) -> None:
        sampler = make_sampler(settings(rules=[{"name": "none", "ratio": 0, "overrideParent": True}]))
        assert not sampler.decide(HIGH, caller(sampled=True), Request()).sampled

    def test_decide_for_new_traces_in_place_of_a_plugin(self) -> None:
        sampler = make_sampler(settings(type="Plugin", plugin="always_on", rules=[{"name": "none", "ratio": 0}]))
        assert not sampler.decide(HIGH, None, Request()).sampled
        assert sampler.decide(HIGH, caller(sampled=True), Request()).sampled


class TestOrder:
    FORCE = Request(client_address="10.0.0.1", headers={"x-force": "1"})

    def test_the_cap_is_around_rules_and_force_around_the_cap(self) -> None:
        sampler = make_sampler(
            settings(
                type="ParentBasedAlwaysOff",
                rules=[{"name": "all", "ratio": 1}],
                maxTracesPerSecond=1,
                force={"header": "X-Force", "value": "1", "networks": ["10.0.0.0/8"]},
            ),
            clock=lambda: 0.0,
        )
        reasons = [sampler.decide(HIGH, None, Request()).reason for _ in range(2)]
        assert reasons == ["rule all", "rate_limited"]
        assert sampler.decide(HIGH, None, self.FORCE).reason == "forced"

    def test_force_is_for_who_is_trusted(self) -> None:
        sampler = make_sampler(settings(type="AlwaysOff", force={"header": "x-force", "networks": ["10.0.0.0/8"]}))
        assert sampler.decide(HIGH, None, self.FORCE).sampled
        assert not sampler.decide(HIGH, None, Request(client_address="11.0.0.1", headers={"x-force": "1"})).sampled


def test_excluder() -> None:
    assert make_excluder(settings()) is None
    excluder = make_excluder(settings(exclude={"paths": ["/healthz", {"regex": "^/live$"}], "userAgents": ["kube-probe/"]}))
    assert excluder is not None
    assert excluder.excludes(Request(path="/healthz"))
    assert excluder.excludes(Request(path="/live"))
    assert excluder.excludes(Request(user_agent="kube-probe/1"))
    assert not excluder.excludes(Request(path="/"))


def test_keeper() -> None:
    assert make_keeper(settings()) is None
    keeper = make_keeper(settings(keep={"errors": True, "slowerThan": "500ms", "maxPerSecond": 2}), clock=lambda: 0.0)
    assert keeper is not None
    reasons = [keeper.reason(is_error=False, duration_seconds=0.4), keeper.reason(is_error=False, duration_seconds=0.6)]
    reasons += [keeper.reason(is_error=True, duration_seconds=0) for _ in range(2)]
    assert reasons == [None, "slow", "error", None]


def test_looked_at_headers() -> None:
    assert looked_at_headers(settings()) == []
    everything = settings(
        rules=[RULE, {**RULE, "name": "s"}],
        force={"header": "X-Force", "networks": ["::1"]},
        exclude={"userAgents": ["kube-probe/"]},
    )
    assert looked_at_headers(everything) == ["x-force", "x-tenant"]


class TestThresholds:
    def test_rules(self) -> None:
        sampling = settings(rules=[RULE, {"name": "s", "ratio": 0.25, "path": "/b", "overrideParent": True}])
        assert threshold_rules(sampling) == [
            ThresholdRule(
                ratio=1,
                host="*.example.com",
                path=("glob", "/a/*"),
                method="GET",
                frontend="f*",
                header=("X-Tenant", "a"),
                networks=("10.0.0.0/8",),
            ),
            ThresholdRule(ratio=0.25, path=("prefix", "/b"), override_parent=True),
        ]

    def test_force(self) -> None:
        assert threshold_force(settings()) is None
        sampling = settings(force={"header": "x-force", "value": "1", "networks": ["::1"]})
        assert threshold_force(sampling) == ThresholdForce("x-force", "1", ("::1",))

    @pytest.mark.parametrize(
        ("sampling", "threshold", "follows"),
        [
            ({}, "0" * 14, True),
            ({"type": "AlwaysOn"}, "0" * 14, False),
            ({"type": "ParentBasedAlwaysOff"}, NEVER, True),
            ({"type": "AlwaysOff"}, NEVER, False),
            ({"type": "TraceIDRatio", "ratio": 0.25}, "c" + "0" * 13, False),
            ({"type": "ParentBasedTraceIDRatio", "ratio": 0}, NEVER, True),
            ({"type": "Plugin", "plugin": "x"}, "0" * 14, True),
        ],
    )
    def test_of_the_root(self, sampling: dict[str, Any], threshold: str, follows: bool) -> None:
        assert default_threshold(settings(**sampling)) == threshold
        assert follows_parent(settings(**sampling)) is follows

    @given(trace_id=st.binary(min_size=16, max_size=16).filter(any).map(TraceId), ratio=st.integers(0, 256))
    def test_haproxys_comparison_of_text_is_the_samplers_of_numbers(self, trace_id: TraceId, ratio: int) -> None:
        sampling = settings(type="TraceIDRatio", ratio=ratio / 256)
        sampled = make_sampler(sampling).decide(trace_id, None, Request()).sampled
        assert (trace_id.hex()[-14:] >= default_threshold(sampling)) is sampled
