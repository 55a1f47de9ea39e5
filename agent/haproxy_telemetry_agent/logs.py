"""The agent's own log, on standard error: console or JSON lines, with repeated warnings held back.

What a peer does wrong it may do for every request: each message (its text before its arguments) is let through a few times in a
while, and what was held back is said with the next one.
"""

import json
import logging
import time
from collections.abc import Callable
from typing import TextIO

__all__ = ["configure_logging"]

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}
_MAX_PER_INTERVAL = 5
_INTERVAL_SECONDS = 60.0
_MAX_MESSAGES = 256


class RateLimit(logging.Filter):
    """Lets a message of level WARNING or above through ``_MAX_PER_INTERVAL`` times an interval.

    Args:
        monotonic_seconds: the clock.
    """

    def __init__(self, monotonic_seconds: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._monotonic_seconds = monotonic_seconds
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record goes out; one that does says how many like it did not."""
        if record.levelno < logging.WARNING:
            return True
        key = (record.name, str(record.msg))
        now_seconds = self._monotonic_seconds()
        start_seconds, count = self._seen.get(key, (now_seconds, 0))
        if now_seconds - start_seconds >= _INTERVAL_SECONDS:
            held_back = count - _MAX_PER_INTERVAL
            if held_back > 0:
                record.msg = f"{record.msg} (and {held_back} more like it)"
            start_seconds, count = now_seconds, 0
        if key not in self._seen and len(self._seen) >= _MAX_MESSAGES:
            self._seen.clear()
        self._seen[key] = (start_seconds, count + 1)
        return count < _MAX_PER_INTERVAL


class JsonFormatter(logging.Formatter):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """See ``logging.Formatter``."""
        entry = {
            "timestamp": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "severity": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False)


def configure_logging(*, level: str, format: str, stream: TextIO) -> None:  # noqa: A002 - the setting's own name
    """Set the root logger up, once."""
    handler = logging.StreamHandler(stream)
    formatter: logging.Formatter = (
        JsonFormatter() if format == "json" else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    formatter.converter = time.gmtime
    handler.setFormatter(formatter)
    handler.addFilter(RateLimit())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[level])
    # asyncio logs a warning of its own for each slow callback in debug mode only; its errors are ours to see.
    logging.getLogger("asyncio").setLevel(logging.WARNING)
