"""RFC 3339 time stamps, as HAProxy writes them in front of a record, to nanoseconds since the epoch.

``2026-11-22T13:50:34.119025+00:00``: local time with its offset, always with microseconds. Records come in bunches of the same
second, so the part up to the second is worked out once and remembered.
"""

from datetime import datetime
from functools import lru_cache

__all__ = ["timestamp_unix_nano"]


def timestamp_unix_nano(text: bytes) -> int:
    """Nanoseconds since the epoch; raises ``ValueError`` for anything else than RFC 3339 with an offset, from 1970 to 2262."""
    if len(text) == 32 and text[19] == 0x2E and text[20:26].isdigit():
        return _second_unix_nano(text[:19], text[26:]) + int(text[20:26]) * 1000
    moment = datetime.fromisoformat(text.decode("ascii"))
    if moment.tzinfo is None:
        raise ValueError(f"time stamp without offset: {text!r}")
    return _second_unix_nano(text[:19], moment.strftime("%z").encode()) + moment.microsecond * 1000


_END_OF_TIME_UNIX_NANO = (1 << 63) - 1_000_000_000


@lru_cache(maxsize=64)
def _second_unix_nano(second: bytes, offset: bytes) -> int:
    moment = datetime.fromisoformat((second + offset).decode("ascii"))
    if moment.tzinfo is None:
        raise ValueError(f"time stamp without offset: {second!r}")
    unix_nano = int(moment.timestamp()) * 1_000_000_000
    if not 0 <= unix_nano < _END_OF_TIME_UNIX_NANO:
        raise ValueError(f"{second!r} does not fit in OTLP's nanoseconds")
    return unix_nano
