import json

import pytest

from haproxy_telemetry_agent.wiring import Plan
from haproxy_telemetry_operator.rewrite_plan import RewritePlan, RewritePlanError
from haproxy_telemetry_operator.rewriter import Insertions, Selection


def test_a_plan_comes_back_as_it_was() -> None:
    selection = Selection(("public-*",), ("*-internal",))
    plan = RewritePlan.of_plan(Plan(), selection)
    again = RewritePlan.parse(plan.render().encode())
    assert again == plan
    assert again.insertions == Insertions.of_plan(Plan())
    assert again.selection == selection


def test_the_file_is_json_with_these_names() -> None:
    plan = RewritePlan.of_plan(Plan(), Selection(), with_tcp=False)
    assert json.loads(plan.render()) == {
        "frontend": Insertions.of_plan(Plan()).frontend,
        "tcpFrontend": "",
        "sections": Insertions.of_plan(Plan()).sections,
        "include": ["*"],
        "exclude": [],
    }


def test_what_a_later_version_adds_is_passed_over() -> None:
    plan = RewritePlan.parse(b'{"frontend": "a", "sections": "b", "later": 1}')
    assert (plan.tcp_frontend, plan.selection.is_everything) == ("", True)


@pytest.mark.parametrize(
    ("data", "complaint"),
    [
        (b"", "truncated"),
        (b"[]", "Expected `object`, got `array`"),
        (b'{"frontend": "a"}', "missing required field `sections`"),
        (b'{"frontend": 1, "sections": ""}', "frontend"),
        (b'{"frontend": " ", "sections": "b"}', "frontend is empty"),
        (b'{"frontend": "a", "sections": ""}', "sections is empty"),
        (b'{"frontend": "\xff"}', "utf-8"),
        (b"[" * 100_000, ""),
    ],
)
def test_what_is_no_plan_is_one_error(data: bytes, complaint: str) -> None:
    with pytest.raises(RewritePlanError) as caught:
        RewritePlan.parse(data)
    assert complaint in str(caught.value)
