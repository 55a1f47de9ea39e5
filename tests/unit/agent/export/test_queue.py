"""The queue: never beyond its bounds, nothing lost uncounted, first in first out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.export.queue import SpanQueue

MAX_SPANS, MAX_BYTES = 5, 40


def test_either_bound_alone_is_enough_to_refuse() -> None:
    queue = SpanQueue(max_spans=2, max_bytes=10)
    assert [queue.offer(b"x" * size) for size in (11, 6, 5, 4, 0)] == [False, True, False, True, False]
    assert (len(queue), queue.size_bytes, queue.dropped_count) == (2, 10, 3)


@pytest.mark.parametrize(("count", "taken"), [(0, []), (2, [b"0", b"1"]), (3, [b"0", b"1", b"2"]), (9, [b"0", b"1", b"2"])])
def test_the_oldest_leave_first(count: int, taken: list[bytes]) -> None:
    queue = SpanQueue(max_spans=3, max_bytes=100)
    for number in range(3):
        queue.offer(b"%d" % number)
    assert queue.take(count) == taken
    assert len(queue) == 3 - len(taken)


def test_its_capacity_can_be_told() -> None:
    assert SpanQueue(max_spans=7, max_bytes=1).max_spans == 7


def test_its_bounds_can_change_and_what_waits_stays() -> None:
    queue = SpanQueue(max_spans=3, max_bytes=100)
    for number in range(3):
        assert queue.offer(b"%d" % number)
    queue.resize(max_spans=2, max_bytes=100)
    assert not queue.offer(b"3")
    assert queue.take(2) == [b"0", b"1"]
    assert queue.offer(b"4")
    queue.resize(max_spans=10, max_bytes=3)
    assert not queue.offer(b"55")
    assert queue.take(10) == [b"2", b"4"]


@given(steps=st.lists(st.one_of(st.binary(max_size=MAX_BYTES // 2), st.integers(0, MAX_SPANS + 1))))
def test_like_a_list_that_is_never_too_long(steps: list[bytes | int]) -> None:
    """A step offers a span, or takes so many."""
    queue = SpanQueue(max_spans=MAX_SPANS, max_bytes=MAX_BYTES)
    waiting: list[bytes] = []
    offered = taken = 0
    for step in steps:
        if isinstance(step, bytes):
            room = len(waiting) < MAX_SPANS and sum(map(len, waiting)) + len(step) <= MAX_BYTES
            offered += 1
            assert queue.offer(step) is room
            waiting += [step] if room else []
        else:
            batch = queue.take(step)
            taken += len(batch)
            assert batch == waiting[:step]
            del waiting[:step]
        assert len(queue) == len(waiting) <= MAX_SPANS
        assert queue.size_bytes == sum(map(len, waiting)) <= MAX_BYTES
        assert offered == taken + len(queue) + queue.dropped_count
