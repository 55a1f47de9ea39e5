"""What HAProxy connects to, for what the agent listens on."""

import pytest

from haproxy_telemetry_agent.wiring.plan import haproxy_address


@pytest.mark.parametrize(
    ("listen", "address"),
    [
        ("127.0.0.1:12345", "127.0.0.1:12345"),
        ("10.1.2.3:12345", "10.1.2.3:12345"),
        ("agent.example:12345", "agent.example:12345"),
        ("[::1]:12345", "[::1]:12345"),
        ("[fd00::7]:12345", "[fd00::7]:12345"),
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
