"""The timeline: in order, within the exchange, never later than it was.

What start and turn are by each clock is in test_exchange.
"""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.ending import read_ending
from haproxy_telemetry_agent.tracing.timeline import timeline

END = 1_795_355_434_012_345_000
MILLISECOND = 1_000_000
TIMERS = st.one_of(st.just(-1), st.integers(0, 100_000))


def test_the_moments_of_an_ordinary_exchange(record: Callable[..., dict[str, str]]) -> None:
    ending = read_ending(END, record(start=str((END - 10 * MILLISECOND) // 1000), TR="2", Tw="1", Tc="3", Tr="4", Ta="10"))
    times = timeline(ending)
    assert times.start == END - 10 * MILLISECOND
    # Of each timer the last millisecond may be one that was not quite over.
    assert times.turn == times.start + 1 * MILLISECOND
    assert times.connected(ending) == times.turn + 2 * MILLISECOND
    assert times.responded(ending) == times.turn + 5 * MILLISECOND
    assert times.end == END


@pytest.mark.parametrize("set_by_seconds", [3600, -3600])
@pytest.mark.parametrize("clock", ["start", "seen"])
def test_timers_tell_where_the_clock_was_set(record: Callable[..., dict[str, str]], clock: str, set_by_seconds: int) -> None:
    """What was read before it was set is an hour off; the record's own time is after."""
    began = (END - 10 * MILLISECOND) // 1000 - set_by_seconds * 1_000_000
    ending = read_ending(END, record(**{clock: str(began)}, routed=str(began + 1000), TR="2", Tw="1", Tc="3", Tr="4", Ta="10"))
    times = timeline(ending)
    assert (times.start, times.turn) == (END - 10 * MILLISECOND, END - 9 * MILLISECOND)


@pytest.mark.parametrize(
    ("timers", "connected", "responded"),
    [
        ({"s": "<NOSRV>", "Tc": "-1", "Tr": "-1"}, False, False),
        ({"Tc": "-1", "Tr": "-1"}, False, False),
        ({"Tc": "0", "Tr": "-1"}, True, False),
        ({"Tc": "0", "Tr": "0"}, True, True),
    ],
)
def test_what_was_never_reached_has_no_moment(
    record: Callable[..., dict[str, str]], timers: dict[str, str], connected: bool, responded: bool
) -> None:
    ending = read_ending(END, record(**timers))
    times = timeline(ending)
    assert (times.connected(ending) is not None) is connected
    assert (times.responded(ending) is not None) is responded


@given(
    timers=st.fixed_dictionaries({name: TIMERS.map(str) for name in ("TR", "Tw", "Tc", "Tr", "Ta")}),
    clocks=st.dictionaries(st.sampled_from(["start", "seen", "routed"]), st.integers(0, 2 * END // 1000).map(str)),
)
def test_always_in_order(record: Callable[..., dict[str, str]], timers: dict[str, str], clocks: dict[str, str]) -> None:
    ending = read_ending(END, record(**timers, **clocks))
    times = timeline(ending)
    moments = [times.start, times.turn, times.connected(ending), times.responded(ending), times.end]
    known = [moment for moment in moments if moment is not None]
    assert known[0] >= 0
    assert known == sorted(known)
