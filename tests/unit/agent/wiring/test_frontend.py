"""The lines of a frontend, and that they fit together with the other two texts and with what the agent answers."""

import random
import re
from collections.abc import Callable

import pytest

from haproxy_telemetry_agent.tracing.answer import Answerer
from haproxy_telemetry_agent.tracing.context import IdGenerator
from haproxy_telemetry_agent.tracing.sampling import AlwaysOn
from haproxy_telemetry_agent.wiring.fields import record_fields, variable_name
from haproxy_telemetry_agent.wiring.frontend import render_frontend
from haproxy_telemetry_agent.wiring.names import VARIABLE_PREFIX
from haproxy_telemetry_agent.wiring.plan import Plan
from haproxy_telemetry_agent.wiring.sections import render_sections
from haproxy_telemetry_agent.wiring.spoe import render_spoe

PLANS = {
    "frontend.cfg": Plan(),
    "frontend-ratio.cfg": Plan(fallback_ratio=0.25),
    "frontend-off.cfg": Plan(fallback_ratio=0),
    "frontend-path.cfg": Plan(spoe_path="/run/otel/spoe.cfg"),
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
    read = set(re.findall(r"(?<!set-)var\(([^)]*)\)", texts))
    set_by_haproxy = set(re.findall(r"set-var(?:-fmt)?\(([^)]*)\)", texts))
    set_on_error = {f"txn.{VARIABLE_PREFIX}.{name}" for name in re.findall(r"option set-on-error (\w+)", texts)}
    assert len(set_on_error) == 1
    assert read <= set_by_haproxy | set_on_error | variables_of_an_answer()


@each_plan
def test_every_variable_that_is_set_is_one_that_somebody_reads(plan: Plan) -> None:
    texts = all_texts(plan)
    read = set(re.findall(r"(?<!set-)var\(([^)]*)\)", texts))
    assert set(re.findall(r"set-var(?:-fmt)?\(([^)]*)\)", texts)) | variables_of_an_answer() <= read


@each_plan
def test_the_agents_variables_can_come_home_in_the_record(plan: Plan) -> None:
    (record,) = (line for line in render_frontend(plan).splitlines() if line.startswith("log-format-sd"))
    for variable in variables_of_an_answer():
        assert f"%[var({variable})]" in record


@each_plan
def test_no_header_is_set_from_a_variable_that_may_be_missing(plan: Plan) -> None:
    """A missing variable would send an empty header and wipe the client's own out."""
    rules = [line for line in render_frontend(plan).splitlines() if "set-header" in line]
    assert len(rules) == 2
    for rule in rules:
        (variable,) = re.findall(r"set-header \w+ %\[var\(([^)]*)\)\]", rule)
        assert f"{{ var({variable}) -m found }}" in rule.partition(" if ")[2]


@each_plan
def test_haproxy_makes_a_context_only_where_the_agent_gave_none(plan: Plan) -> None:
    """Directly, or by a condition on what was itself set only then."""
    unanswered = f"!{{ var({variable_name('state')}) -m found }}"
    only_then = {f"{{ var({variable_name('parent')}) -m found }}", f"!{{ var({variable_name('traceparent')}) -m found }}"}
    every_time = f"set-var({variable_name('routed')})"
    rules = [line for line in render_frontend(plan).splitlines() if "set-var" in line and every_time not in line]
    assert rules
    for rule in rules:
        condition = rule.partition(" if ")[2]
        assert unanswered in condition or any(each in condition for each in only_then), rule


@each_plan
def test_the_record_has_each_parameter_once_and_in_order(plan: Plan) -> None:
    (record,) = (line for line in render_frontend(plan).splitlines() if line.startswith("log-format-sd"))
    assert re.findall(r'(\w+)=\\"', record) == [field.name for field in record_fields(plan)]


@each_plan
def test_haproxys_parser_takes_every_line(plan: Plan) -> None:
    for line in all_texts(plan).splitlines():
        assert len(line) < MAX_LINE_CHARACTERS
        assert len(re.findall(r'"(?:[^"\\]|\\.)*"|\S+', line)) < MAX_LINE_WORDS


@pytest.mark.parametrize(("ratio", "share"), [(0.25, "250000"), (0.000_001, "1"), (0.999_999, "999999")])
def test_a_ratio_is_drawn_from_a_million(ratio: float, share: str) -> None:
    assert f"{{ rand(1000000) lt {share} }}" in render_frontend(Plan(fallback_ratio=ratio))


def variables_of_an_answer() -> set[str]:
    """All that the agent can set: with a tracestate, that is everything it has."""
    answerer = Answerer(sampler=AlwaysOn(), ids=IdGenerator(random.Random(1).getrandbits))
    return {variable_name(name) for name, _value in answerer.answer({}).variables}
