"""What is kept at its end."""

import pytest

from haproxy_telemetry_agent.tracing.sampling.keep import Keeper
from haproxy_telemetry_agent.tracing.sampling.rate_limit import TokenBucket


@pytest.mark.parametrize(
    ("errors", "slower_than_seconds", "is_error", "duration_seconds", "expected"),
    [
        (True, None, True, 0.0, "error"),
        (True, None, False, 100.0, None),
        (False, None, True, 100.0, None),
        (False, 2.0, True, 1.0, None),
        (False, 2.0, False, 2.0, None),
        (False, 2.0, False, 2.001, "slow"),
        (False, 2.0, True, 3.0, "slow"),
        (True, 2.0, True, 3.0, "error"),
        (True, 2.0, False, 3.0, "slow"),
    ],
)
def test_reason(
    errors: bool, slower_than_seconds: float | None, is_error: bool, duration_seconds: float, expected: str | None
) -> None:
    keeper = Keeper(errors=errors, slower_than_seconds=slower_than_seconds)
    assert keeper.reason(is_error=is_error, duration_seconds=duration_seconds) == expected


def test_an_outage_is_no_flood() -> None:
    keeper = Keeper(errors=True, bucket=TokenBucket(3, clock=lambda: 0.0))
    assert [keeper.reason(is_error=True, duration_seconds=0) for _ in range(5)] == ["error"] * 3 + [None] * 2
    assert keeper.suppressed == 2


def test_what_is_in_order_takes_no_token() -> None:
    keeper = Keeper(errors=True, bucket=TokenBucket(1, clock=lambda: 0.0))
    assert keeper.reason(is_error=False, duration_seconds=9) is None
    assert keeper.reason(is_error=True, duration_seconds=9) == "error"
    assert keeper.suppressed == 0
