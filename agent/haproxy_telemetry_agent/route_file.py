"""The file of routes: read at start, and again whenever it is another one.

Whoever writes it (an operator, a ConfigMap's volume) replaces it at any time. A file that can't be used is refused with its error,
and the table that was there before stays.
"""

import os
from pathlib import Path

import msgspec
import yaml

from .tracing.routes import NO_ROUTES, RoutesError, RouteTable, parse_routes

__all__ = ["RouteFile"]

MAX_FILE_BYTES = 32 * 1024 * 1024
_Signature = tuple[int, int, int]
"""Modification time, inode and size."""


class RouteFile:
    """One file of routes, YAML or JSON.

    Args:
        path: where it is; it may be a symbolic link that changes.
    """

    __slots__ = ("_path", "_signature", "error", "table")

    def __init__(self, path: Path) -> None:
        self._path = path
        self._signature: _Signature | None = None
        self.table: RouteTable = NO_ROUTES
        """The last table that could be used."""
        self.error: str | None = None
        """Why the file, as it is now, can't be used; None if it can."""

    def load(self) -> None:
        """Read the file.

        Raises:
            RoutesError: it can't be used; ``table`` stays as it was.
        """
        try:
            with self._path.open("rb") as file:
                self._signature = _signature(os.fstat(file.fileno()))
                data = file.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            self._signature = None
            raise self._refuse(f"can't be read: {error.strerror}") from None
        if len(data) > MAX_FILE_BYTES:
            raise self._refuse(f"is larger than {MAX_FILE_BYTES} bytes")
        try:
            document = _parse(data)
        except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
            raise self._refuse(f"is neither YAML nor JSON: {' '.join(str(error).split())}") from None
        try:
            self.table = parse_routes(document)
        except RoutesError as error:
            raise self._refuse(str(error)) from None
        self.error = None

    def poll(self) -> bool:
        """Read the file again if it is another one; whether there is a new table or a new ``error``."""
        try:
            signature = _signature(self._path.stat())
        except OSError as error:
            reason = f"{self._path}: can't be read: {error.strerror}"
            changed, self.error, self._signature = self.error != reason, reason, None
            return changed
        if signature == self._signature:
            return False
        before = self.error
        try:
            self.load()
        except RoutesError:
            return self.error != before
        return True

    def _refuse(self, reason: str) -> RoutesError:
        self.error = f"{self._path}: {reason}"
        return RoutesError(self.error)


def _parse(data: bytes) -> object:
    """JSON is YAML as well, but read a hundred times faster by itself."""
    if data.lstrip()[:1] == b"{":
        try:
            return msgspec.json.decode(data)
        except msgspec.DecodeError:
            pass
    return yaml.load(data, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - a safe loader


def _signature(status: os.stat_result) -> _Signature:
    return status.st_mtime_ns, status.st_ino, status.st_size
