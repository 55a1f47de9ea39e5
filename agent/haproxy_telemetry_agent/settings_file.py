"""The settings file of a running agent: read at start, and again whenever it is another one.

An editor may write it bit by bit, and half a YAML file is at times a valid one: a change counts when it has been the same for two
looks. Kubernetes swaps a symbolic link instead (``..data``): what is looked at is the file that the link leads to.
"""

from collections.abc import Mapping
from pathlib import Path

from .settings import Loaded, load_settings

__all__ = ["SettingsFile"]

_Signature = tuple[int, int, int, int] | None
"""Device, inode, size and modification time; None if there is none."""


class SettingsFile:
    """One settings file over the environment.

    Args:
        path: where it is; None if there is only the environment.
        environ: see ``load_settings``.
    """

    __slots__ = ("_environ", "_read", "_seen", "path", "settled")

    def __init__(self, path: Path | None, environ: Mapping[str, str]) -> None:
        self.path = path
        self._environ = environ
        self._read: _Signature = None
        """Of the file that was read last."""
        self._seen: _Signature = None
        """Of the one that was there at the last look."""
        self.settled = True
        """Whether the last two looks saw the same."""

    def load(self) -> Loaded:
        """Read it.

        Raises:
            SettingsError: it can't be used.
        """
        # Looked at before: a change in between is seen at the next look.
        self._read = self._seen = self._look()
        return load_settings(self.path, self._environ)

    def changed(self) -> bool:
        """Whether it is another one than was read last, and has been so for two looks."""
        before, self._seen = self._seen, self._look()
        self.settled = self._seen == before
        return self.settled and self._seen != self._read

    def _look(self) -> _Signature:
        if self.path is None:
            return None
        try:
            status = self.path.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
