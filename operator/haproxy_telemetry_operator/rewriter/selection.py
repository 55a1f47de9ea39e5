"""Selection: which sections were chosen, by globs of their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

__all__ = ["Selection"]


@dataclass(frozen=True, slots=True)
class Selection:
    """Globs such as ``public-*``; ``*`` is everything."""

    include: Sequence[str] = ("*",)
    exclude: Sequence[str] = ()

    @property
    def is_everything(self) -> bool:
        """Whether no name matters."""
        return "*" in self.include and not self.exclude

    def takes(self, name: str) -> bool:
        """Whether a section of this name is chosen."""
        return any(fnmatchcase(name, glob) for glob in self.include) and not any(fnmatchcase(name, glob) for glob in self.exclude)
