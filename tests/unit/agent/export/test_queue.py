"""The queue: never beyond its bounds, nothing lost uncounted, first in first out."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.export.queue import SpanQueue

MAX_SPANS, MAX_BYTES = 5, 40


def test_either_bound_alone_is_enough_to_refuse() -> None:
    queue = SpanQueue(max_spans=2, max_bytes=10)
    assert [queue.offer(b"x" * size) for size in (11, 6, 5, 4, 0)] == [1, 0, 1, 0, 1]
    assert (len(queue), queue.size_bytes, queue.dropped_count) == (2, 10, 3)


def test_it_says_beforehand_whether_a_span_would_be_lost() -> None:
    queue = SpanQueue(max_spans=2, max_bytes=10)
    for size in (11, 6, 5, 4, 0):
        assert queue.has_room(size) is not bool(queue.offer(b"x" * size))


class TestDropOldest:
    def test_as_many_as_the_newest_needs_make_room(self) -> None:
        queue = SpanQueue(max_spans=3, max_bytes=10, drop_oldest=True)
        assert [queue.offer(span) for span in (b"1", b"22", b"333", b"4", b"5" * 7)] == [0, 0, 0, 1, 2]
        assert queue.take(9) == [b"4", b"5" * 7]
        assert queue.dropped_count == 3

    def test_what_never_fits_drives_nobody_out(self) -> None:
        queue = SpanQueue(max_spans=3, max_bytes=10, drop_oldest=True)
        assert [queue.offer(b"1"), queue.offer(b"x" * 11)] == [0, 1]
        assert queue.take(9) == [b"1"]


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
        assert queue.offer(b"%d" % number) == 0
    queue.resize(max_spans=2, max_bytes=100)
    assert queue.offer(b"3") == 1
    assert queue.take(2) == [b"0", b"1"]
    assert queue.offer(b"4") == 0
    queue.resize(max_spans=10, max_bytes=3)
    assert queue.offer(b"55") == 1
    assert queue.take(10) == [b"2", b"4"]
    queue.offer(b"5")
    queue.resize(max_spans=1, max_bytes=3, drop_oldest=True)
    assert queue.offer(b"6") == 1
    assert queue.take(2) == [b"6"]


@given(steps=st.lists(st.one_of(st.binary(max_size=MAX_BYTES + 1), st.integers(0, MAX_SPANS + 1))), drop_oldest=st.booleans())
def test_like_a_list_that_is_never_too_long(steps: list[bytes | int], drop_oldest: bool) -> None:
    """A step offers a span, or takes so many."""
    queue = SpanQueue(max_spans=MAX_SPANS, max_bytes=MAX_BYTES, drop_oldest=drop_oldest)
    waiting: list[bytes] = []
    offered = taken = 0

    def has_room(span: bytes) -> bool:
        return len(waiting) < MAX_SPANS and sum(map(len, waiting)) + len(span) <= MAX_BYTES

    for step in steps:
        if isinstance(step, bytes):
            offered += 1
            lost = 0
            while drop_oldest and len(step) <= MAX_BYTES and not has_room(step):
                del waiting[0]
                lost += 1
            if has_room(step):
                waiting.append(step)
            else:
                lost += 1
            assert queue.offer(step) == lost
        else:
            batch = queue.take(step)
            taken += len(batch)
            assert batch == waiting[:step]
            del waiting[:step]
        assert len(queue) == len(waiting) <= MAX_SPANS
        assert queue.size_bytes == sum(map(len, waiting)) <= MAX_BYTES
        assert offered == taken + len(queue) + queue.dropped_count
