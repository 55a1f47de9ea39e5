"""Headers of export requests: from the settings, or each from a file of its own that may change while the agent runs.

Their values are secrets: no error and no log line ever shows one.
"""

import logging
from collections.abc import Mapping
from pathlib import Path

from .watched_files import WatchedFiles

__all__ = ["Headers", "HeadersError"]

_logger = logging.getLogger(__name__)

_MAX_VALUE_BYTES = 4096


class HeadersError(Exception):
    """The file of a header can't be used: which header, which file, why."""


class Headers:
    """The headers of one destination; names are given out in lower case.

    Args:
        values: name -> value.
        files: name -> path of the file with the value.

    Raises:
        HeadersError: a file can't be used.
    """

    __slots__ = ("_current", "_files", "_values", "_watched")

    def __init__(self, values: Mapping[str, str], files: Mapping[str, str]) -> None:
        self._values = {name.lower(): value for name, value in values.items()}
        self._files = {name.lower(): path for name, path in files.items()}
        self._watched = WatchedFiles(self._files.values())
        self._current = self._read()

    def current(self) -> Mapping[str, str]:
        """Name -> value, as of now; where a file has become unusable, all stay as they were."""
        if self._files and self._watched.changed():
            try:
                self._current = self._read()
            except HeadersError as error:
                _logger.warning("%s; the headers stay as they were", error)
        return self._current

    def _read(self) -> dict[str, str]:
        return self._values | {name: _read_value(name, path) for name, path in self._files.items()}


def _read_value(name: str, path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            raw = file.read(_MAX_VALUE_BYTES + 2)
    except OSError as error:
        raise HeadersError(f"header {name}: {path!r} can't be read: {error.strerror}") from None
    value = raw.decode("latin-1").removesuffix("\n").removesuffix("\r")
    if len(value) > _MAX_VALUE_BYTES:
        raise HeadersError(f"header {name}: {path!r} is longer than {_MAX_VALUE_BYTES} bytes")
    if not value.isascii() or not value.isprintable():
        raise HeadersError(f"header {name}: {path!r} must be one line of printable ASCII")
    return value
