"""Which answers are worth another try, and when."""

from datetime import UTC, datetime

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.export.retry import Backoff, Verdict, judge_grpc_status, judge_status, parse_retry_after

RETRYABLE = {429, 502, 503, 504}


@pytest.mark.parametrize(
    ("status_codes", "verdict"),
    [
        (set(range(200, 300)), Verdict.DELIVERED),
        (RETRYABLE, Verdict.RETRY),
        (set(range(100, 200)) | set(range(300, 600)) - RETRYABLE, Verdict.REJECTED),
    ],
)
def test_verdict_of_a_status_code(status_codes: set[int], verdict: Verdict) -> None:
    assert {status_code for status_code in range(100, 600) if judge_status(status_code) is verdict} == status_codes


@pytest.mark.parametrize("code", [code.name for code in grpc.StatusCode])
@pytest.mark.parametrize("has_retry_info", [False, True])
def test_verdict_of_a_grpc_status(code: str, has_retry_info: bool) -> None:
    retried = {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
    if has_retry_info:
        retried.add("RESOURCE_EXHAUSTED")
    expected = Verdict.DELIVERED if code == "OK" else Verdict.RETRY if code in retried else Verdict.REJECTED
    assert judge_grpc_status(code, has_retry_info=has_retry_info) is expected


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0.0),
        ("30", 30.0),
        (" 30 ", 30.0),
        ("-1", None),
        ("1.5", None),
        ("soon", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", 20.0),
        ("Wednesday, 21-Oct-26 07:28:00 GMT", 20.0),
        ("Wed Oct 21 07:28:00 2026", 20.0),
        ("Wed, 21 Oct 2026 07:28:00 -0000", 20.0),
        ("Wed, 21 Oct 2026 09:28:00 +0200", 20.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", 0.0),
        ("Wed, 99 Oct 2026 07:28:00 GMT", None),
        pytest.param("²", None),
    ],
)
def test_retry_after(header: str | None, seconds: float | None) -> None:
    now = datetime(2026, 10, 21, 7, 27, 40, tzinfo=UTC)
    assert parse_retry_after(header, now.timestamp()) == seconds


@given(header=st.text(max_size=40), now_unix_seconds=st.floats(0, 4e9))
def test_any_retry_after_is_read_or_nothing(header: str, now_unix_seconds: float) -> None:
    assert (parse_retry_after(header, now_unix_seconds) or 0) >= 0


def test_steps_double_up_to_a_limit() -> None:
    backoff = Backoff(random=lambda: 1.0, initial_seconds=1, max_seconds=10)
    assert [backoff.next_seconds() for _ in range(6)] == [1, 2, 4, 8, 10, 10]


def test_jitter_takes_up_to_half_of_a_step() -> None:
    backoff = Backoff(random=lambda: 0.0, initial_seconds=1, max_seconds=10)
    assert [backoff.next_seconds() for _ in range(5)] == [0.5, 1, 2, 4, 5]


def test_a_delivery_starts_it_anew() -> None:
    backoff = Backoff(random=lambda: 1.0, initial_seconds=1, max_seconds=10)
    assert [backoff.next_seconds() for _ in range(3)] == [1, 2, 4]
    backoff.reset()
    assert backoff.next_seconds() == 1


@pytest.mark.parametrize(("asked", "waited"), [(0.0, 0.1), (3.0, 3.0), (10.0, 10.0), (86_400.0, 10.0), (float("inf"), 10.0)])
def test_the_servers_own_wish_wins_within_limits(asked: float, waited: float) -> None:
    assert Backoff(random=lambda: 0.5, initial_seconds=1, max_seconds=10).next_seconds(asked) == waited


def test_after_a_wish_the_steps_go_on_growing() -> None:
    backoff = Backoff(random=lambda: 1.0, initial_seconds=1, max_seconds=10)
    assert [backoff.next_seconds(), backoff.next_seconds(7), backoff.next_seconds()] == [1, 7, 4]


@given(draws=st.lists(st.floats(0, 1, exclude_max=True), min_size=1, max_size=50))
def test_a_wait_is_never_nothing_and_never_beyond_the_limit(draws: list[float]) -> None:
    left = iter(draws)
    backoff = Backoff(random=lambda: next(left), initial_seconds=1, max_seconds=30)
    assert all(0.5 <= backoff.next_seconds() <= 30 for _ in draws)


def test_it_goes_on_for_ever() -> None:
    """Two to a large enough power is no float any more."""
    backoff = Backoff(random=lambda: 1.0)
    assert [backoff.next_seconds() for _ in range(5000)][-1] == 30
