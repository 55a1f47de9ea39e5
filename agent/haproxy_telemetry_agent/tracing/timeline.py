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


class Timeline(msgspec.Struct, gc=False):
    """Moments, all Unix nanoseconds, none after the end."""

    start: int
    """First byte of the request."""
    turn: int
    """HAProxy turned to the server: its rules through, its queues left."""
    end: int
    earliest: int = 0
    """By HAProxy's timer of the whole exchange, and a second less."""

    def believes(self, clock_unix_nano: int) -> bool:
        """Whether a reading of the clock can be of this exchange: it is not, where the clock was set between it and the end."""
        return self.earliest <= clock_unix_nano <= self.end + _SET_NANOSECONDS

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
    end, total = ending.end_unix_nano, ending.total_milliseconds * _NANOSECONDS_PER_MILLISECOND
    times = Timeline(0, 0, end, max(0, end - total - _SET_NANOSECONDS) if total >= 0 else 0)
    times.start = _start_unix_nano(ending, times)
    times.turn = _turn_unix_nano(ending, times)
    return times


def _start_unix_nano(ending: Ending, times: Timeline) -> int:
    """The first byte of the request, as exactly as HAProxy told it; never after the end.

    Before 3.0 only the end of the headers is known to the microsecond. They mostly come in one segment, then that is the start as
    well; if it took them longer, HAProxy's total time tells the start to the millisecond. (``TR`` would not do: it goes on while
    the agent is asked.)
    """
    start = ending.end_unix_nano - max(ending.total_milliseconds, 0) * _NANOSECONDS_PER_MILLISECOND
    if ending.start_unix_micro is not None:
        told = ending.start_unix_micro * _NANOSECONDS_PER_MICROSECOND
        if times.believes(told) and (ending.total_milliseconds < 0 or told - start <= _SET_NANOSECONDS):
            start = told
    elif ending.seen_unix_micro is not None:
        seen = ending.seen_unix_micro * _NANOSECONDS_PER_MICROSECOND
        if times.believes(seen) and seen - start < _NANOSECONDS_PER_MILLISECOND:
            start = seen
    return max(0, min(start, ending.end_unix_nano))


def _turn_unix_nano(ending: Ending, times: Timeline) -> int:
    """Never later than it was: our last rule's clock (rules behind it may take longer, which only ``TR`` knows), and timers."""
    turn = times.start + _at_least_nanoseconds(ending.request_milliseconds)
    if ending.routed_unix_micro is not None:
        routed = ending.routed_unix_micro * _NANOSECONDS_PER_MICROSECOND
        if times.believes(routed):
            turn = max(turn, routed)
    return min(turn + _at_least_nanoseconds(ending.queue_milliseconds), ending.end_unix_nano)


def _at_least_nanoseconds(timer_milliseconds: int) -> int:
    """A timer is the difference of two clocks that were both cut to milliseconds: it may be almost one too long (measured)."""
    return max(timer_milliseconds - 1, 0) * _NANOSECONDS_PER_MILLISECOND
