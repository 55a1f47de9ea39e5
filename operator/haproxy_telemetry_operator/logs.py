"""Logging: lines for people or JSON for machines, on standard error; a warning of one kind only now and then."""

import json
import logging
import sys
import time
from typing import Any

__all__ = ["RateLimited", "configure_logging"]

_EVERY_SECONDS = 60.0
_BURST = 5
_STANDARD = frozenset(vars(logging.makeLogRecord({})))


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S") + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)

    converter = staticmethod(time.gmtime)


def configure_logging(*, level: str, log_format: str) -> None:
    """All of the process's logging."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _JsonFormatter() if log_format == "json" else logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel({"debug": logging.DEBUG, "info": logging.INFO, "warn": logging.WARNING, "error": logging.ERROR}[level])


class RateLimited:
    """At most five warnings of a kind in a minute; the next one says how many were held back."""

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger
        self._kinds: dict[str, tuple[float, int]] = {}
        """Kind -> when its minute began (monotonic), and how many there were in it."""

    def warning(self, kind: str, text: str, *arguments: object) -> None:
        """Logs it, or counts it. Kinds must be few."""
        now = time.monotonic()
        begin, count = self._kinds.get(kind, (now, 0))
        if now - begin >= _EVERY_SECONDS:
            held_back = count - _BURST
            begin, count = now, 0
            if held_back > 0:
                self._logger.warning("%d warnings like the next one were held back", held_back)
        self._kinds[kind] = (begin, count + 1)
        if count < _BURST:
            self._logger.warning(text, *arguments)
