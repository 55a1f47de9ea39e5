"""The guide: the four texts, whole, with nothing but comments around them."""

import pytest

from haproxy_telemetry_agent.guide import render_guide
from haproxy_telemetry_agent.wiring import Plan, Sampling, render_frontend, render_sections, render_spoe, render_tcp_frontend

PLANS = [Plan(), Plan(sampling=Sampling(threshold="80000000000000"), spoe_path="/run/spoe.cfg", spop_address="unix@/run/spoa.sock")]


def configuration_of(text: str) -> list[str]:
    """Its lines without comments, empty ones and indentation, which mean nothing to HAProxy."""
    return [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]


@pytest.mark.parametrize("plan", PLANS)
def test_is_the_four_texts_in_order(plan: Plan) -> None:
    assert configuration_of(render_guide(plan)) == configuration_of(
        render_spoe(plan) + render_frontend(plan) + render_tcp_frontend() + render_sections(plan)
    )


@pytest.mark.parametrize("plan", PLANS)
def test_says_where_each_goes_and_how_to_get_it_alone(plan: Plan) -> None:
    comments = [line for line in render_guide(plan).splitlines() if line.startswith("#")]
    assert f"# 1. {plan.spoe_path}: a file of its own, readable by HAProxy." in comments
    for section in ("spoe", "frontend", "tcp-frontend", "sections"):
        assert any(f"config --section {section}" in line for line in comments)


def test_profile_stream_is_not_told_to_write_an_spoe_file() -> None:
    plan = Plan(profile="Stream")
    guide = render_guide(plan)
    assert configuration_of(guide) == configuration_of(render_frontend(plan) + render_tcp_frontend() + render_sections(plan))
    assert "# 1. No SPOE file: with profile Stream HAProxy never asks." in guide.splitlines()
    assert plan.spoe_path not in guide
    assert "--section spoe" not in guide
