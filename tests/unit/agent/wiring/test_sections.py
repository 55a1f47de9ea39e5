"""The ring and the agent's backend."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_agent.wiring.names import DEFAULTS, RING
from haproxy_telemetry_agent.wiring.plan import Plan
from haproxy_telemetry_agent.wiring.sections import render_sections

PLANS = {
    "sections.cfg": Plan(),
    "sections-unix.cfg": Plan(
        spop_address="unix@/run/haproxy-telemetry/spoa.sock", records_address="unix@/run/haproxy-telemetry/records.sock"
    ),
}


@pytest.mark.parametrize("name", PLANS)
def test_text(assert_golden: Callable[[str, str], None], name: str) -> None:
    assert_golden(name, render_sections(PLANS[name]))


def test_no_defaults_section_has_the_rings_name() -> None:
    """A ring is a proxy: with a ``defaults`` of its name HAProxy 3.2 warns and 3.3 does not start."""
    assert DEFAULTS != RING
