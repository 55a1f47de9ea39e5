"""Tree copies: what was mounted for HAProxy, once more, in a folder that can be written to.

Links that stay within the tree are followed: a ConfigMap's files are links through ``..data``. All other links are kept as links,
for what they lead to is in HAProxy's image and not in ours. Sockets, fifos and devices are left out and counted. What is too big
is refused, never cut.
"""

import os
import stat
from dataclasses import dataclass, field
from pathlib import Path

__all__ = ["Bounds", "CopyError", "TreeCopy", "remove"]

_CHUNK_BYTES = 1 << 20
_DATA_LINK = "..data"
_TRIES = 3


class CopyError(Exception):
    """There is no complete copy; the message is one line for people."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is too big for a copy."""

    entries: int = 50_000
    depth: int = 32
    total_bytes: int = 512 << 20


@dataclass(slots=True)
class TreeCopy:
    """One copy, and what is known of it afterwards."""

    source: Path
    """A folder, or a single file."""
    target: Path
    """A folder that exists and is empty; or, for a single file, the file that is to be made."""
    hidden: frozenset[str] = frozenset()
    """Names at the top that begin with two dots and are copied none the less; Kubernetes keeps its versions under such names."""
    bounds: Bounds = field(default_factory=Bounds)
    kept: Path | None = None
    """What stays in the target when a copy is made again, and is never copied over."""
    left_out: int = 0
    """Sockets, fifos and devices."""
    _root: Path = field(init=False)
    _entries: int = field(init=False, default=0)
    _bytes: int = field(init=False, default=0)

    def run(self) -> None:
        """Makes the copy. Raises CopyError.

        Kubernetes exchanges a ConfigMap's files all at once, by a link: a copy of which one half is old is made again.
        """
        for _ in range(_TRIES):
            self._entries = self._bytes = self.left_out = 0
            try:
                before = self._version()
                self._root = self.source.resolve(strict=True)
                self._copy_root()
                if self._version() == before:
                    return
                self._clear()
            except FileNotFoundError:
                self._clear()
            except (OSError, RuntimeError) as error:
                raise CopyError(self._words(error)) from None
        raise CopyError(f"{self.source} is not there, or changes faster than it can be copied")

    def _copy_root(self) -> None:
        if self._root.is_file():
            self._file(self._root, self.target, self._root.stat())
            return
        for path in sorted(self._root.iterdir()):
            target = self.target / path.name
            if target != self.kept and (not path.name.startswith("..") or path.name in self.hidden):
                self._entry(path, target, (self._root,))

    def _entry(self, source: Path, target: Path, above: tuple[Path, ...]) -> None:
        self._entries += 1
        if self._entries > self.bounds.entries:
            raise CopyError(f"{self.source} has more than {self.bounds.entries} files: mount only what HAProxy needs")
        if source.is_symlink():
            real = self._within(source)
            if real is None or real in above:
                target.symlink_to(source.readlink())
                return
            source = real
        status = source.stat()
        if stat.S_ISDIR(status.st_mode):
            if len(above) > self.bounds.depth:
                raise CopyError(f"{self.source} has folders within more than {self.bounds.depth} others")
            target.mkdir(mode=0o700)
            for path in sorted(source.iterdir()):
                self._entry(path, target / path.name, (*above, source))
            _keep(status, target)
        elif stat.S_ISREG(status.st_mode):
            self._file(source, target, status)
        else:
            self.left_out += 1

    def _file(self, source: Path, target: Path, status: os.stat_result) -> None:
        with source.open("rb") as reader, target.open("xb") as writer:
            while chunk := reader.read(_CHUNK_BYTES):
                self._bytes += len(chunk)
                if self._bytes > self.bounds.total_bytes:
                    limit = f"{self.bounds.total_bytes >> 20} MiB"
                    raise CopyError(f"{self.source} has more than {limit}: mount only what HAProxy needs")
                writer.write(chunk)
        _keep(status, target)

    def _within(self, link: Path) -> Path | None:
        try:
            real = link.resolve(strict=True)
        except (OSError, RuntimeError):  # it leads nowhere, or round in a circle
            return None
        return real if real.is_relative_to(self._root) else None

    def _version(self) -> Path | None:
        data = self.source / _DATA_LINK
        return data.readlink() if data.is_symlink() else None

    def _clear(self) -> None:
        if self.target.is_dir():
            for path in self.target.iterdir():
                if path != self.kept:
                    remove(path)
        else:
            self.target.unlink(missing_ok=True)

    def _words(self, error: Exception) -> str:
        if isinstance(error, PermissionError):
            uid = os.geteuid()
            return f"{error.filename}: not allowed for uid {uid}: let this container run as the uid that HAProxy's runs as"
        if isinstance(error, OSError):
            return f"{self.source} can't be copied to {self.target}: {error.strerror or error}"
        return f"{self.source} can't be copied: {error}"


def remove(path: Path) -> None:
    """Removes a file, a link or a folder with all that is in it; links are not followed."""
    if path.is_symlink() or not path.is_dir():
        path.unlink()
        return
    for below in path.iterdir():
        remove(below)
    path.rmdir()


def _keep(status: os.stat_result, target: Path) -> None:
    """Gives a copy the owner, the mode and the time of its original.

    Where the owner can't be given away, whoever could read the original as its owner has to be one of all others now. Only
    containers of the pod that mount the volume see it.
    """
    mode = stat.S_IMODE(status.st_mode) & 0o777
    try:
        os.chown(target, status.st_uid, status.st_gid)
    except OSError:
        owners = mode >> 6 & 0o5
        mode |= owners << 3 | owners
    if stat.S_ISDIR(status.st_mode):
        mode |= 0o700  # a folder that we can't write to could not be rewritten or cleared
    target.chmod(mode)
    os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))
