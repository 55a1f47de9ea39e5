"""Stamps: short in the token, absolute when they are read."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.stamps import EVENT_COUNT, add_stamp, stamps_unix_micro
from haproxy_telemetry_agent.wiring import SPOE_EVENTS

NOW = 1_795_355_434_000_000


def test_there_is_a_place_for_each_event() -> None:
    assert len(SPOE_EVENTS) == EVENT_COUNT


@given(
    events=st.lists(
        st.tuples(st.integers(0, EVENT_COUNT - 1), st.integers(0, 10**11)), unique_by=lambda event: event[0], min_size=1
    )
)
def test_every_event_comes_back_at_its_time(events: list[tuple[int, int]]) -> None:
    stamps: list[int | None] | None = None
    for event, offset in events:
        stamps = add_stamp(stamps, event, NOW + offset)
    expected: list[int | None] = [None] * EVENT_COUNT
    for event, offset in events:
        expected[event] = NOW + offset
    assert stamps is not None
    assert stamps_unix_micro(stamps) == expected


def test_only_the_first_is_long() -> None:
    assert add_stamp(add_stamp(None, 2, NOW), 3, NOW + 5) == [None, None, NOW, 5, None, None, None, None]


def test_the_list_that_is_given_stays_as_it_is() -> None:
    stamps = add_stamp(None, 0, NOW)
    add_stamp(stamps, 1, NOW + 1)
    assert stamps[1] is None


def test_an_event_that_comes_again_keeps_its_first_time() -> None:
    assert add_stamp(add_stamp(None, 0, NOW), 0, NOW + 7) == add_stamp(None, 0, NOW)


@pytest.mark.parametrize("now_unix_micro", [-(1 << 63), -1, 0, 5, 1 << 53, (1 << 64) - 1])
def test_what_is_no_time_is_not_taken(now_unix_micro: int) -> None:
    assert add_stamp(None, 0, now_unix_micro) == [None] * EVENT_COUNT
    assert add_stamp([NOW, *[None] * 7], 3, now_unix_micro) == [NOW, *[None] * 7]


@pytest.mark.parametrize("stamps", [[], [None] * 8, [1, 2, 3], [NOW, 1], [NOW] * 9])
def test_what_is_none_of_ours_has_no_times(stamps: list[int | None]) -> None:
    assert stamps_unix_micro(stamps) == [None] * EVENT_COUNT


@pytest.mark.parametrize("now", [-1, 1 << 62, -(1 << 63), (1 << 64) - 1])
def test_what_can_be_no_time_is_left_out(now: int) -> None:
    assert add_stamp(None, 0, now) == [None] * EVENT_COUNT


@given(stamps=st.lists(st.none() | st.integers(-(1 << 63), (1 << 64) - 1), max_size=EVENT_COUNT), now=st.integers(0, (1 << 64) - 1))
def test_whatever_a_token_says_what_is_added_fits_in_one(stamps: list[int | None], now: int) -> None:
    for event in range(EVENT_COUNT):
        added = add_stamp(stamps, event, now)
        assert all(stamp is None or -(1 << 63) <= stamp < 1 << 64 for stamp in added)
