"""Caps, by a clock that the test moves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.request import NO_REQUEST
from haproxy_telemetry_agent.tracing.sampling.rate_limit import RATE_LIMITED, RateLimited, TokenBucket
from haproxy_telemetry_agent.tracing.sampling.rules import Rule
from haproxy_telemetry_agent.tracing.sampling.sampler import AlwaysOff, AlwaysOn, Decision, ParentBased

TRACE_ID = TraceId(bytes(15) + b"\x01")


class Clock:
    """Seconds that stand still until they are moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


def takes(bucket: TokenBucket, times: int) -> int:
    return sum(bucket.take() for _ in range(times))


class TestTokenBucket:
    def test_is_full_at_first_and_fills_by_itself(self, clock: Clock) -> None:
        bucket = TokenBucket(10, clock=clock)
        assert takes(bucket, 100) == 10
        clock.seconds += 0.5
        assert takes(bucket, 100) == 5

    def test_holds_one_second_however_long_nobody_came(self, clock: Clock) -> None:
        bucket = TokenBucket(10, clock=clock)
        clock.seconds += 3600
        assert takes(bucket, 100) == 10

    def test_less_than_one_a_second(self, clock: Clock) -> None:
        bucket = TokenBucket(0.25, clock=clock)
        assert takes(bucket, 2) == 1
        clock.seconds += 3.9
        assert takes(bucket, 2) == 0
        clock.seconds += 0.2
        assert takes(bucket, 2) == 1

    def test_burst(self, clock: Clock) -> None:
        assert takes(TokenBucket(1, clock=clock, burst=7), 100) == 7

    def test_a_clock_that_goes_back_takes_nothing_away(self, clock: Clock) -> None:
        bucket = TokenBucket(2, clock=clock)
        clock.seconds -= 100
        assert takes(bucket, 100) == 2
        assert takes(bucket, 100) == 0

    @given(per_second=st.integers(1, 50), steps=st.lists(st.integers(0, 2000), max_size=50))
    def test_never_gives_more_than_its_rate_and_one_burst(self, per_second: int, steps: list[int]) -> None:
        clock = Clock()
        bucket, taken, begun = TokenBucket(per_second, clock=clock), 0, clock.seconds
        for milliseconds in steps:
            clock.seconds += milliseconds / 1000
            taken += takes(bucket, 10)
            assert taken <= per_second * (clock.seconds - begun + 1) + 1e-6


class TestRateLimited:
    def test_caps_new_traces_and_says_why(self, clock: Clock) -> None:
        sampler = RateLimited(AlwaysOn(), bucket=TokenBucket(2, clock=clock))
        decisions = [sampler.decide(TRACE_ID, None, NO_REQUEST) for _ in range(3)]
        assert decisions == [Decision(sampled=True, threshold=None)] * 2 + [RATE_LIMITED]
        clock.seconds += 1
        assert sampler.decide(TRACE_ID, None, NO_REQUEST).sampled

    def test_what_was_not_to_be_kept_takes_no_token(self, clock: Clock) -> None:
        bucket = TokenBucket(1, clock=clock)
        sampler = RateLimited(AlwaysOff(), bucket=bucket)
        assert sampler.decide(TRACE_ID, None, NO_REQUEST) == Decision(sampled=False, threshold=None)
        assert bucket.take()

    def test_a_callers_traces_take_no_token(self, clock: Clock) -> None:
        bucket = TokenBucket(1, clock=clock)
        sampler = RateLimited(ParentBased(AlwaysOff()), bucket=bucket)
        parent = SpanContext(TRACE_ID, SpanId(b"12345678"), 1, "ot=th:0")
        assert [sampler.decide(TRACE_ID, parent, NO_REQUEST) for _ in range(3)] == [Decision(sampled=True, threshold=0)] * 3
        assert bucket.take()

    def test_a_trace_whose_caller_did_not_decide_is_new(self, clock: Clock) -> None:
        sampler = RateLimited(ParentBased(AlwaysOn()), bucket=TokenBucket(1, clock=clock))
        parent = SpanContext(TRACE_ID, SpanId(b"12345678"), 0, deferred=True)
        assert [sampler.decide(TRACE_ID, parent, NO_REQUEST).sampled for _ in range(2)] == [True, False]

    def test_why_it_was_kept_stays(self, clock: Clock) -> None:
        class Annotating:
            def decide(self, *_: object) -> Decision:
                return Decision(sampled=True, threshold=5, reason="rule r", attributes=(("a", 1),))

        kept = RateLimited(Annotating(), bucket=TokenBucket(1, clock=clock)).decide(TRACE_ID, None, NO_REQUEST)
        assert kept == Decision(sampled=True, threshold=None, reason="rule r", attributes=(("a", 1),))

    def test_rules_are_samplers_too(self, clock: Clock) -> None:
        sampler = RateLimited(Rule("r", ratio=1), bucket=TokenBucket(1, clock=clock))
        assert sampler.decide(TRACE_ID, None, NO_REQUEST).reason == "rule r"
