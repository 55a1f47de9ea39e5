"""Stamps: when each of HAProxy's SPOE events was, as a state token carries it in profile Full.

A list with a place for each of ``wiring.SPOE_EVENTS``. The first stamp that was set is microseconds since the epoch, all others are
microseconds since then, which keeps the token short; None is an event that never came, or that nobody answered.
"""

from collections.abc import Sequence

__all__ = ["EVENT_COUNT", "add_stamp", "stamps_unix_micro"]

EVENT_COUNT = 8
_LEAST_UNIX_MICRO = 1_000_000_000_000_000
"""2001: no exchange lasts as long, no clock is as wrong."""
_END_UNIX_MICRO = 1 << 53
"""2255."""


def add_stamp(stamps: Sequence[int | None] | None, event: int, now_unix_micro: int) -> list[int | None]:
    """``stamps`` with the time of event number ``event``; an event that comes again keeps its first time.

    What is no time of these years is not taken: HAProxy never sends it, and not all of it fits in a token.
    """
    added: list[int | None] = [None] * EVENT_COUNT if stamps is None else [*stamps]
    if _LEAST_UNIX_MICRO <= now_unix_micro < _END_UNIX_MICRO and event < len(added) and added[event] is None:
        origin = _origin(added)
        added[event] = now_unix_micro if origin is None else now_unix_micro - origin
    return added


def stamps_unix_micro(stamps: Sequence[int | None]) -> list[int | None]:
    """Absolute times, ``EVENT_COUNT`` of them; all None if the list is none of ours."""
    origin = _origin(stamps)
    if origin is None or len(stamps) != EVENT_COUNT:
        return [None] * EVENT_COUNT
    return [None if stamp is None else stamp if stamp >= _LEAST_UNIX_MICRO else origin + stamp for stamp in stamps]


def _origin(stamps: Sequence[int | None]) -> int | None:
    return next((stamp for stamp in stamps if stamp is not None and _LEAST_UNIX_MICRO <= stamp < _END_UNIX_MICRO), None)
