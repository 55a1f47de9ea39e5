"""A clock that can be set, for the programs that are started under it and for nobody else: by libfaketime, a library that is put in
front of the C library. What it lies about is the wall clock; the monotonic one goes on, as it does where an administrator or a bad
time server sets a machine's clock.
"""

import os
from pathlib import Path

__all__ = ["WallClock", "library_path"]

_ROOTS = (Path(__file__).resolve().parents[2] / ".cache" / "faketime", Path("/"))


def library_path() -> Path | None:
    """This machine's, or the one that `make faketime` unpacks."""
    found = (path for root in _ROOTS for path in sorted(root.glob("usr/lib/*/faketime/libfaketimeMT.so.1")))
    return next(found, None)


class WallClock:
    """Right at first; `environment` is for the programs that are to believe it."""

    def __init__(self, library: Path, folder: Path) -> None:
        self._file = folder / "wall-clock"
        self.set(0)
        self.environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }

    def set(self, ahead_seconds: int) -> None:
        """Sets it so far ahead of this machine's clock, or behind."""
        # Replaced as a whole: it is read at any time.
        new = self._file.with_suffix(".new")
        new.write_text(f"{ahead_seconds:+d}s\n")
        new.replace(self._file)
