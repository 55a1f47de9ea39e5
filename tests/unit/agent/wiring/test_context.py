"""HAProxy's own trace context. The whole texts are golden files of test_frontend; what they do is seen through real HAProxies."""

import pytest

from haproxy_telemetry_agent.wiring.context import context_lines
from haproxy_telemetry_agent.wiring.plan import Plan, Sampling
from haproxy_telemetry_agent.wiring.thresholds import ThresholdForce, ThresholdRule

EXCLUDING = Sampling(excluded_paths=(("prefix", "/healthz"),))


def test_profile_stream_has_no_condition_on_an_answer() -> None:
    assert not [line for line in context_lines(Plan(profile="Stream")) if "txn.otel.state" in line]


@pytest.mark.parametrize("propagators", [("tracecontext",), ("b3", "tracecontext", "xray")])
def test_what_is_excluded_gets_no_context(propagators: tuple[str, ...]) -> None:
    lines = context_lines(Plan(profile="Stream", sampling=EXCLUDING, propagators=propagators))
    first, *rest = [line for line in lines if line.startswith("http-request")]
    assert first.startswith("http-request set-var(txn.otel.excluded)")
    unless = "!{ var(txn.otel.excluded) -m found }"
    set_only_then = ("{ var(txn.otel.parent) -m found }", "{ var(txn.otel.trace_id) -m found }")
    assert not [line for line in rest if unless not in line and not any(each in line for each in set_only_then)]


def test_where_all_is_kept_nothing_is_compared() -> None:
    assert "strcmp" not in "".join(context_lines(Plan()))
    assert "strcmp" in "".join(context_lines(Plan(sampling=Sampling(threshold="80000000000000"))))


@pytest.mark.parametrize(
    ("sampling", "overrides"),
    [
        (Sampling(threshold="80000000000000"), False),
        (Sampling(rules=(ThresholdRule(0.5),)), False),
        (Sampling(rules=(ThresholdRule(0.5, override_parent=True),)), True),
        (Sampling(force=ThresholdForce("x-debug", None, ("10.0.0.0/8",))), True),
        (Sampling(follows_parent=False), True),
    ],
)
def test_a_callers_decision_is_only_touched_where_something_overrides_it(sampling: Sampling, overrides: bool) -> None:
    lines = context_lines(Plan(sampling=sampling))
    assert any("{ var(txn.otel.override) -m found }" in line for line in lines) is overrides


def test_a_caller_that_is_not_believed_is_linked_to_if_asked() -> None:
    plan = Plan(trusted_networks=("10.0.0.0/8",), link_untrusted=True)
    (line,) = [line for line in context_lines(plan) if "txn.otel.link" in line]
    assert "!{ var(txn.otel.trusted) -m found }" in line
    assert line.startswith("http-request set-var-fmt(txn.otel.link) 00-%[req.fhdr(traceparent)")
    assert not [line for line in context_lines(Plan()) if "txn.otel.link" in line]
