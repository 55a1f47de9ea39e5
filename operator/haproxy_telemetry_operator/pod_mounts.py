"""Mounts: where a path that HAProxy is given lies, in the volume it came from and in the one that takes its place. Pure paths."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from posixpath import normpath

__all__ = ["Mount", "Place", "place_of"]


@dataclass(frozen=True, slots=True)
class Mount:
    """A mount of HAProxy's container that is replaced by a volume of ours at the same path."""

    path: PurePosixPath
    """Where it is in HAProxy's container."""
    source: PurePosixPath
    """Where what was mounted there is in this container: a folder, or a single file (``subPath``)."""
    destination: PurePosixPath
    """The folder of this container that is the volume of ours. A single file is copied into it under its name in ``path``."""

    @classmethod
    def of(cls, path: str, source: str, destination: str) -> "Mount":
        """From the three paths. Raises ValueError, which names the one that is not absolute."""
        return cls(_absolute(path), _absolute(source), _absolute(destination))


@dataclass(frozen=True, slots=True)
class Place:
    """Something below a mount, or the mount itself."""

    mount: Mount
    below: PurePosixPath
    """Relative to the mount; ``.`` for the mount itself."""

    @property
    def source(self) -> PurePosixPath:
        """Where the original is."""
        return self.mount.source / self.below


def place_of(mounts: Sequence[Mount], path: str) -> Place | None:
    """The place of a path of HAProxy's container, in the mount that is nearest to it; None if it is in none of them.

    Raises ValueError if the path is not absolute.
    """
    wanted = _absolute(path)
    nearest: Mount | None = None
    for mount in mounts:
        if wanted.is_relative_to(mount.path) and (nearest is None or len(mount.path.parts) > len(nearest.path.parts)):
            nearest = mount
    return None if nearest is None else Place(nearest, wanted.relative_to(nearest.path))


def _absolute(path: str) -> PurePosixPath:
    if not path.startswith("/") or "\0" in path:
        raise ValueError(f"{path!r}: expected an absolute path")
    return PurePosixPath("/" + normpath(path).lstrip("/"))
