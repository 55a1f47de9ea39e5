"""What HAProxy connects to, for what the agent listens on."""

from typing import Literal

import pytest

from haproxy_telemetry_agent.wiring.plan import Plan, haproxy_address


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:12345", "127.0.0.1:12345"),
        ("10.1.2.3:12345", "10.1.2.3:12345"),
        ("agent.example:12345", "agent.example:12345"),
        ("[::1]:12345", "[::1]:12345"),
        ("[fd00::7]:12345", "[fd00::7]:12345"),
        ("unix:/run/my spoa's.sock", r"'unix@/run/my spoa'\''s.sock'"),
        # What is no address to connect to.
        (":12345", "127.0.0.1:12345"),
        ("*:12345", "127.0.0.1:12345"),
        ("0.0.0.0:12345", "127.0.0.1:12345"),
        ("[::]:12345", "[::1]:12345"),
        # HAProxy resolves names once, at its start, and may take the family that the agent did not.
        ("localhost:12345", "127.0.0.1:12345"),
        ("unix:/run/haproxy-telemetry/spoa.sock", "unix@/run/haproxy-telemetry/spoa.sock"),
        ("unix:/run/a:b.sock", "unix@/run/a:b.sock"),
    ],
)
def test_address(listen: str, address: str) -> None:
    assert haproxy_address(listen) == address


@pytest.mark.parametrize(("mode", "reads", "writes"), [("Propagate", 1, 1), ("Extract", 1, 0), ("Inject", 0, 1), ("Ignore", 0, 0)])
def test_mode(mode: Literal["Propagate", "Extract", "Inject", "Ignore"], reads: int, writes: int) -> None:
    plan = Plan(propagators=("b3",), propagation_mode=mode)
    assert (plan.extracted_propagators, plan.injected_propagators) == (("b3",) * reads, ("b3",) * writes)
