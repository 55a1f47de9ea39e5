"""HAProxy's own sampling: its lines, and that they are the agent's thresholds. Real HAProxies run them in tests/integration."""

import re
from collections.abc import Callable

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.sampling.sampler import threshold_of_ratio
from haproxy_telemetry_agent.wiring.thresholds import (
    FORCED,
    NEVER,
    ThresholdForce,
    ThresholdRule,
    exclusion_lines,
    sampled_condition,
    threshold_digits,
    threshold_lines,
    tracestate_lines,
    tracestate_value,
)

MAX_LINE_WORDS = 64
DEFAULT = threshold_digits(0.25)
FALL_BACK = "!{ var(txn.otel.state) -m found }"
RULES = [
    ThresholdRule(0, path=("prefix", "/none")),
    ThresholdRule(1, path=("glob", "/static/*")),
    ThresholdRule(0.5, path=("glob", "/a*(b)*"), host="*.Example.com"),
    ThresholdRule(0.125, path=("regex", r"^/v[0-9]+/it's\.$"), method="GET", frontend="public-*"),
    ThresholdRule(0.01, header=("X-Tenant", '-i "a" $HOME'), networks=["10.0.0.0/8", "::1"], override_parent=True),
    ThresholdRule(0.5, header=("X-Any", None), host="example.org"),
]
FORCE = ThresholdForce("X-Force", None, ["10.0.0.0/8"])
LARGEST = ThresholdRule(
    0.5,
    host="*.example.com",
    path=("prefix", "/x"),
    method="GET",
    frontend="f*",
    header=("x-tenant", "a b c"),
    networks=["2001:db8::/32"] * 12,
    override_parent=True,
)


class TestThreshold:
    @given(ratio=st.floats(0, 1))
    @example(ratio=1e-300)
    @example(ratio=0.1)
    def test_is_the_agents(self, ratio: float) -> None:
        threshold = threshold_of_ratio(ratio)
        assert threshold_digits(ratio) == (NEVER if threshold is None else f"{threshold:014x}")

    @pytest.mark.parametrize(
        ("threshold", "tracestate"),
        [
            ("c0000000000000", "ot=th:c"),
            ("00000000000000", "ot=th:0"),
            ("fd70a3d70a3d71", "ot=th:fd70a3d70a3d71"),
            (NEVER, ""),
            (FORCED, ""),
        ],
    )
    def test_as_tracestate(self, threshold: str, tracestate: str) -> None:
        assert tracestate_value(threshold) == tracestate

    @given(digits=st.from_regex(r"[0-9a-f]{14}", fullmatch=True))
    def test_that_is_no_number_is_beyond_all_numbers(self, digits: str) -> None:
        assert FORCED < digits < NEVER


class TestLines:
    def test_text(self, assert_golden: Callable[[str, str], None]) -> None:
        lines = [
            *exclusion_lines([("prefix", "/healthz"), ("prefix", "/-/"), ("regex", "^/live$")], ["kube-probe/", "ELB "]),
            *threshold_lines(RULES, DEFAULT, force=FORCE, condition=FALL_BACK),
            *tracestate_lines(RULES, DEFAULT, condition="{ var(txn.begun) -m found }"),
            f"http-request set-header x if {sampled_condition('var(txn.id)')}",
        ]
        assert_golden("thresholds.cfg", "\n".join(lines) + "\n")

    def test_without_rules_there_is_one(self) -> None:
        assert threshold_lines([], DEFAULT) == ["http-request set-var(txn.otel.threshold) str(c0000000000000)"]

    def test_a_sampler_that_asks_no_caller_overrides_every_one(self) -> None:
        first, *others = threshold_lines(RULES, DEFAULT, force=FORCE, follows_parent=False)
        assert first == "http-request set-var(txn.otel.override) bool(true)"
        assert not any("override" in line for line in others)

    def test_every_line_has_the_condition(self) -> None:
        lines = threshold_lines(RULES, DEFAULT, force=FORCE, follows_parent=False, condition=FALL_BACK)
        assert all(f" if {FALL_BACK}" in line for line in lines)

    def test_no_rule_decides_what_was_decided(self) -> None:
        lines = [line for line in threshold_lines(RULES, DEFAULT) if "set-var(txn.otel.threshold)" in line]
        assert all("!{ var(txn.otel.threshold) -m found }" in line for line in lines[1:])
        assert len(lines) == len(RULES) + 1

    def test_an_override_is_set_before_the_threshold_that_ends_the_search(self) -> None:
        override, threshold, _default = threshold_lines([ThresholdRule(1, method="GET", override_parent=True)], DEFAULT)
        assert override == "http-request set-var(txn.otel.override) bool(true) if { method GET }"
        assert threshold == "http-request set-var(txn.otel.threshold) str(00000000000000) if { method GET }"

    def test_haproxys_parser_takes_the_longest(self) -> None:
        paths = [("prefix", f"/{number}") for number in range(64)]
        lines = [
            *threshold_lines([RULES[0], LARGEST], DEFAULT, condition=FALL_BACK),
            *exclusion_lines(paths, [f"agent {number}" for number in range(64)]),  # type: ignore[arg-type]
        ]
        for line in lines:
            assert len(re.findall(r"(?:'[^']*'|\\'|[^\s'])+", line)) <= MAX_LINE_WORDS
        assert sum(len(re.findall(r"'/\d+'", line)) for line in lines) == len(paths)

    def test_each_threshold_has_one_tracestate(self) -> None:
        lines = tracestate_lines([ThresholdRule(0.5), ThresholdRule(0.5), ThresholdRule(0)], NEVER, condition="{ x }")
        assert lines == [
            "http-request set-var(txn.otel.tracestate) str(ot=th:8) if { x } { var(txn.otel.threshold) -m str 80000000000000 }"
        ]

    @pytest.mark.parametrize(
        ("rule", "condition"),
        [
            (ThresholdRule(1, path=("prefix", "/it's")), r"{ path -m beg -- '/it'\''s' }"),
            (ThresholdRule(1, path=("glob", "/a")), "{ path -m str -- '/a' }"),
            (ThresholdRule(1, path=("glob", "/a*")), "{ path -m beg -- '/a' }"),
            (ThresholdRule(1, path=("glob", "/a**")), "{ path -m beg -- '/a' }"),
            (ThresholdRule(1, path=("glob", "*.css")), "{ path -m end -- '.css' }"),
            (ThresholdRule(1, path=("glob", "*.c*")), r"{ path -m reg -- '^.*\.c.*$' }"),
            (ThresholdRule(1, path=("glob", "/a*b")), "{ path -m reg -- '^/a.*b$' }"),
            (ThresholdRule(1, path=("glob", "*")), "{ path -m found }"),
            (ThresholdRule(1, header=("a", "")), "{ req.fhdr(a) -m len 0 }"),
            (ThresholdRule(1, header=("a", None)), "{ req.fhdr(a) -m found }"),
        ],
    )
    def test_pattern(self, rule: ThresholdRule, condition: str) -> None:
        assert threshold_lines([rule], NEVER)[0].endswith(f" if {condition}")

    def test_a_brace_alone_can_not_be_said(self) -> None:
        with pytest.raises(ValueError, match="a brace alone"):
            threshold_lines([ThresholdRule(1, header=("a", "}"))], NEVER)
