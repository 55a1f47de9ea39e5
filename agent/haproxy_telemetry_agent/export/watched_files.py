"""Files that somebody else replaces at any time: certificates that are renewed, secrets of a volume.

Looking costs one ``stat`` a file; it is done once a batch, so nothing has to poll.
"""

from collections.abc import Iterable
from pathlib import Path

__all__ = ["WatchedFiles"]

_Signature = tuple[int, int, int]
"""Modification time, inode and size."""


class WatchedFiles:
    """Tells when one of some files is another one.

    Args:
        paths: where they are; they may be symbolic links that change, as in a Kubernetes volume.
    """

    __slots__ = ("_paths", "_signatures")

    def __init__(self, paths: Iterable[str]) -> None:
        self._paths = [Path(path) for path in paths]
        self._signatures = self._look()

    def changed(self) -> bool:
        """Whether any of them is another one than when last asked.

        To be asked before the files are read: what changes in between is then seen the next time.
        """
        before, self._signatures = self._signatures, self._look()
        return before != self._signatures

    def _look(self) -> list[_Signature | None]:
        return [_signature(path) for path in self._paths]


def _signature(path: Path) -> _Signature | None:
    """None if there is no such file, or none that may be looked at."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_ino, status.st_size
