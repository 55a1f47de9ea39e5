"""The SPOE file."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_agent.wiring.plan import Capture, Plan
from haproxy_telemetry_agent.wiring.spoe import render_spoe

PLANS = {
    "spoe.cfg": Plan(),
    "spoe-timeout.cfg": Plan(processing_timeout="5ms"),
    "spoe-full.cfg": Plan(profile="Full"),
    "spoe-captures.cfg": Plan(
        propagators=("tracecontext", "b3"), captures=(Capture("q.a", "req.fhdr(a)"), Capture("s.b", "req.fhdr(b)", "decision"))
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_text(assert_golden: Callable[[str, str], None], name: str) -> None:
    assert_golden(name, render_spoe(PLANS[name]))


def test_the_event_is_sent_to_a_living_agent_only() -> None:
    """Without the condition a dead agent costs every request the whole ``timeout processing``."""
    (event,) = (line for line in render_spoe(Plan()).splitlines() if "event " in line)
    assert event.strip() == "event on-frontend-http-request if { nbsrv(haproxy-telemetry-spoa) ge 1 }"
