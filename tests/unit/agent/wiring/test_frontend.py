"""The lines of a frontend, and that they fit together with the other two texts and with what the agent answers."""

import random
import re
from collections.abc import Callable
from typing import Literal

import pytest

from haproxy_telemetry_agent.tracing.answer import Answerer
from haproxy_telemetry_agent.tracing.context import IdGenerator
from haproxy_telemetry_agent.tracing.propagation.propagation import Propagation
from haproxy_telemetry_agent.tracing.sampling.sampler import AlwaysOn
from haproxy_telemetry_agent.wiring.fields import record_fields
from haproxy_telemetry_agent.wiring.frontend import render_frontend
from haproxy_telemetry_agent.wiring.names import VARIABLE_PREFIX, variable_name
from haproxy_telemetry_agent.wiring.plan import Capture, Plan, Sampling
from haproxy_telemetry_agent.wiring.sections import render_sections
from haproxy_telemetry_agent.wiring.spoe import render_spoe
from haproxy_telemetry_agent.wiring.thresholds import NEVER, ThresholdForce, ThresholdRule

PLANS = {
    "frontend.cfg": Plan(),
    "frontend-ratio.cfg": Plan(sampling=Sampling(threshold="c0000000000000")),
    "frontend-off.cfg": Plan(sampling=Sampling(threshold=NEVER)),
    "frontend-path.cfg": Plan(spoe_path="/run/otel/spoe.cfg"),
    "frontend-full.cfg": Plan(profile="Full"),
    "frontend-stream.cfg": Plan(profile="Stream", sampling=Sampling(threshold="c0000000000000")),
    "frontend-captures.cfg": Plan(
        captures=(
            Capture("q.x-request-id", "req.fhdr(x-request-id)"),
            Capture("s.x-debug", "req.fhdr(x-debug)", "decision"),
            Capture("r.content-type", "res.fhdr(content-type)", "response"),
            Capture("tls.cipher", "ssl_fc_cipher", "end"),
        ),
        with_baggage=True,
    ),
    "frontend-everything.cfg": Plan(
        profile="Stream",
        propagators=("tracecontext", "b3", "xray"),
        trusted_networks=("10.0.0.0/8",),
        link_untrusted=True,
        sampling=Sampling(
            threshold="c0000000000000",
            rules=(ThresholdRule(0.0, path=("prefix", "/metrics")), ThresholdRule(1.0, host="*.example", override_parent=True)),
            force=ThresholdForce("x-debug", "1", ("10.0.0.0/8",)),
            excluded_paths=(("prefix", "/healthz"),),
            excluded_user_agents=("kube-probe/",),
        ),
    ),
}
each_plan = pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)

MAX_LINE_CHARACTERS, MAX_LINE_WORDS = 2048, 64
"""HAProxy's LINESIZE and MAX_LINE_ARGS."""


@pytest.mark.parametrize("name", PLANS)
def test_text(assert_golden: Callable[[str, str], None], name: str) -> None:
    assert_golden(name, render_frontend(PLANS[name]))


def all_texts(plan: Plan) -> str:
    return render_spoe(plan) + render_frontend(plan) + render_sections(plan)


@each_plan
def test_every_variable_that_is_read_is_one_that_somebody_sets(plan: Plan) -> None:
    texts = all_texts(plan)
    read = variables_that_are_read(texts)
    set_by_haproxy = set(re.findall(r"set-var(?:-fmt)?\(([^)]*)\)", texts))
    # The record has the same parameters in every profile.
    set_by_haproxy |= {variable_name("state"), variable_name("error")} if plan.profile == "Stream" else set()
    set_on_error = {f"txn.{VARIABLE_PREFIX}.{name}" for name in re.findall(r"option set-on-error (\w+)", texts)}
    assert len(set_on_error) == (0 if plan.profile == "Stream" else 1)
    assert read <= set_by_haproxy | set_on_error | variables_of_an_answer(plan)


@each_plan
def test_every_variable_that_is_set_is_one_that_somebody_reads(plan: Plan) -> None:
    texts = all_texts(plan)
    read = variables_that_are_read(texts)
    answered = set() if plan.profile == "Stream" else variables_of_an_answer(plan)
    assert set(re.findall(r"set-var(?:-fmt)?\(([^)]*)\)", texts)) | answered <= read


@each_plan
def test_the_agents_variables_can_come_home_in_the_record(plan: Plan) -> None:
    (record,) = (line for line in render_frontend(plan).splitlines() if line.startswith("log-format-sd"))
    for variable in map(variable_name, ("traceparent", "tracestate", "state")):
        assert f"%[var({variable})]" in record


@each_plan
def test_no_header_is_set_from_a_variable_that_may_be_missing(plan: Plan) -> None:
    """A missing variable would send an empty header and wipe the client's own out."""
    rules = [line for line in render_frontend(plan).splitlines() if "set-header" in line]
    assert rules
    for rule in rules:
        action, _, condition = rule.partition(" if ")
        for variable in set(re.findall(r"var\(([^)]*)\)", action)):
            assert f"{{ var({variable}) -m found }}" in condition


@each_plan
def test_haproxy_makes_a_context_only_where_the_agent_gave_none(plan: Plan) -> None:
    """Directly, or by a condition on what was itself set only then."""
    if plan.profile == "Stream":
        return
    unanswered = f"!{{ var({variable_name('state')}) -m found }}"
    only_then = [f"{{ var({variable_name(name)}) -m found }}" for name in ("parent", "trace_id")]
    every_time = f"set-var({variable_name('routed')})"
    rules = [line for line in render_frontend(plan).splitlines() if "http-request set-var" in line and every_time not in line]
    assert rules
    for rule in rules:
        condition = rule.partition(" if ")[2]
        assert unanswered in condition or any(each in condition for each in only_then), rule


def test_profile_stream_asks_nobody() -> None:
    assert render_spoe(Plan(profile="Stream")) == ""
    assert "filter" not in render_frontend(Plan(profile="Stream"))
    assert "backend" not in render_sections(Plan(profile="Stream"))


@pytest.mark.parametrize("mode", ["Extract", "Ignore"])
def test_a_mode_that_does_not_write_touches_no_header(mode: Literal["Extract", "Ignore"]) -> None:
    assert "header" not in re.sub(r"http-after.*", "", render_frontend(Plan(propagation_mode=mode)))


@pytest.mark.parametrize("mode", ["Inject", "Ignore"])
def test_a_mode_that_does_not_read_looks_at_no_header(mode: Literal["Inject", "Ignore"]) -> None:
    assert "req.fhdr(traceparent" not in all_texts(Plan(propagation_mode=mode))


@each_plan
def test_the_record_has_each_parameter_once_and_in_order(plan: Plan) -> None:
    (record,) = (line for line in render_frontend(plan).splitlines() if line.startswith("log-format-sd"))
    assert re.findall(r'([\w.-]+)=\\"', record) == [field.name for field in record_fields(plan)]


@each_plan
def test_haproxys_parser_takes_every_line(plan: Plan) -> None:
    for line in all_texts(plan).splitlines():
        assert len(line) < MAX_LINE_CHARACTERS
        assert len(re.findall(r'"(?:[^"\\]|\\.)*"|\S+', line)) < MAX_LINE_WORDS


def variables_that_are_read(texts: str) -> set[str]:
    return set(re.findall(r"(?:(?<!set-)var|strcmp)\(([^)]*)\)", texts))


def variables_of_an_answer(plan: Plan) -> set[str]:
    """All that the agent can set: with a tracestate, that is everything it has."""
    ids = IdGenerator(random.Random(1).getrandbits)
    answerer = Answerer(sampler=AlwaysOn(), ids=ids, propagation=Propagation(plan.propagators))
    names = {name for name, _value in answerer.answer({}).variables}
    return {variable_name(name) for name in names | ({"session"} if plan.profile == "Full" else set())}
