"""The timeline of an exchange: when each phase began, from HAProxy's clocks and timers, never out of order.

HAProxy's clocks (microseconds) win over its timers (whole milliseconds, cut). Where only timers tell, every moment is a lower
bound: a parent that starts after its child looks broken. Where the machine's clock was set while the exchange lasted, its readings
before and after do not fit together: then HAProxy's timers, which do not follow it, win.
"""

import msgspec

from .ending import Ending

__all__ = ["Timeline", "timeline"]

_NANOSECONDS_PER_MICROSECOND = 1_000
_NANOSECONDS_PER_MILLISECOND = 1_000_000
_SET_NANOSECONDS = 1_000_000_000
"""A clock that is only slewed, and a busy HAProxy, do not differ by so much from a timer."""


class Timeline(msgspec.Struct, frozen=True, gc=False):
    """Moments, all Unix nanoseconds, none after the end."""

    start: int
    """First byte of the request."""
    turn: int
    """HAProxy turned to the server: its rules through, its queues left."""
    end: int
    clock_was_set: bool = False
    """Whether it was set meanwhile, by more than a second: then readings before the end tell nothing."""

    def connected(self, ending: Ending) -> int | None:
        """The server's connection was there; None if there never was one."""
        if ending.server is None or ending.connect_milliseconds < 0:
            return None
        return min(self.turn + _at_least_nanoseconds(ending.connect_milliseconds), self.end)

    def responded(self, ending: Ending) -> int | None:
        """The server's response headers were there; None if they never came."""
        connected = self.connected(ending)
        if connected is None or ending.response_milliseconds < 0:
            return None
        return min(connected + _at_least_nanoseconds(ending.response_milliseconds), self.end)


def timeline(ending: Ending) -> Timeline:
    """The timeline of one exchange."""
    clock_was_set = _clock_was_set(ending)
    if clock_was_set:
        start = max(0, ending.end_unix_nano - ending.total_milliseconds * _NANOSECONDS_PER_MILLISECOND)
    else:
        start = _start_unix_nano(ending)
    turn = _turn_unix_nano(ending, start, None if clock_was_set else ending.routed_unix_micro)
    return Timeline(start, turn, ending.end_unix_nano, clock_was_set)


def _clock_was_set(ending: Ending) -> bool:
    """Whether the clock says another duration than the timer of the whole exchange.

    What was seen before 3.0 is the end of the headers: it may be any time later than the start.
    """
    total = ending.total_milliseconds * _NANOSECONDS_PER_MILLISECOND
    if total < 0:
        return False
    if ending.start_unix_micro is not None:
        elapsed = ending.end_unix_nano - ending.start_unix_micro * _NANOSECONDS_PER_MICROSECOND
        return abs(elapsed - total) > _SET_NANOSECONDS
    if ending.seen_unix_micro is not None:
        elapsed = ending.end_unix_nano - ending.seen_unix_micro * _NANOSECONDS_PER_MICROSECOND
        return not -_SET_NANOSECONDS <= elapsed <= total + _SET_NANOSECONDS
    return False


def _start_unix_nano(ending: Ending) -> int:
    """The first byte of the request, as exactly as HAProxy told it; never after the end.

    Before 3.0 only the end of the headers is known to the microsecond. They mostly come in one segment, then that is the start as
    well; if it took them longer, HAProxy's total time tells the start to the millisecond. (``TR`` would not do: it goes on while
    the agent is asked.)
    """
    if ending.start_unix_micro is not None:
        start = ending.start_unix_micro * _NANOSECONDS_PER_MICROSECOND
    else:
        start = ending.end_unix_nano - max(ending.total_milliseconds, 0) * _NANOSECONDS_PER_MILLISECOND
        if ending.seen_unix_micro is not None:
            seen = ending.seen_unix_micro * _NANOSECONDS_PER_MICROSECOND
            if seen - start < _NANOSECONDS_PER_MILLISECOND:
                start = seen
    return max(0, min(start, ending.end_unix_nano))


def _turn_unix_nano(ending: Ending, start_unix_nano: int, routed_unix_micro: int | None) -> int:
    """Never later than it was: our last rule's clock (rules behind it may take longer, which only ``TR`` knows), and timers."""
    turn = start_unix_nano + _at_least_nanoseconds(ending.request_milliseconds)
    if routed_unix_micro is not None:
        turn = max(turn, routed_unix_micro * _NANOSECONDS_PER_MICROSECOND)
    return min(turn + _at_least_nanoseconds(ending.queue_milliseconds), ending.end_unix_nano)


def _at_least_nanoseconds(timer_milliseconds: int) -> int:
    """A timer is the difference of two clocks that were both cut to milliseconds: it may be almost one too long (measured)."""
    return max(timer_milliseconds - 1, 0) * _NANOSECONDS_PER_MILLISECOND
