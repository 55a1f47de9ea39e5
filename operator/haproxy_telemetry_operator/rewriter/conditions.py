"""Conditions: which section a line belongs to when ``.if`` and its like come between.

HAProxy skips lines by conditions that can't be decided here. A section that is opened between ``.if`` and ``.endif`` may go on
behind them, or the one that was open before may. So what is *open* is a set of possibilities: a branch begins with what was open at
its ``.if``, and behind ``.endif`` all that was open at the end of any branch may be.

The same is done for the ``defaults`` section that the following sections inherit from.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

__all__ = ["MAX_POSSIBILITIES", "NOTHING", "Conditions", "Possible"]

MAX_POSSIBILITIES = 8
"""More are no longer told apart, so that a text's length alone says how long it takes."""

NOTHING = -1
"""In place of a section's number: none."""
_NOTHING = frozenset((NOTHING,))


class Possible(NamedTuple):
    """What may be open at a line."""

    sections: frozenset[int] = _NOTHING
    """Numbers of sections, or NOTHING."""
    defaults: frozenset[int] = _NOTHING
    """The same of ``defaults`` sections; empty if there are too many to tell."""


@dataclass(slots=True)
class _Branches:
    index: int
    """The line of the ``.if``."""
    at_entry: Possible
    at_ends: Possible | None = None
    has_else: bool = False


@dataclass(slots=True)
class Conditions:
    """The conditions that a line stands under."""

    open: Possible = field(default_factory=Possible)
    lost: set[int] = field(default_factory=set)
    """Sections that may be open, among too many to tell."""
    _stack: list[_Branches] = field(default_factory=list)

    @property
    def depth(self) -> int:
        """How many there are."""
        return len(self._stack)

    def index_of_if(self, depth: int) -> int:
        """The line of the ``.if`` at a depth, from 0."""
        return self._stack[depth].index

    def enter(self, index: int) -> None:
        """``.if``."""
        self._stack.append(_Branches(index, self.open))

    def switch(self, *, is_else: bool) -> bool:
        """``.elif`` and ``.else``; False where there must be none."""
        if not self._stack or self._stack[-1].has_else:
            return False
        branches = self._stack[-1]
        branches.at_ends = self._joined(branches.at_ends, self.open)
        branches.has_else = is_else
        self.open = branches.at_entry
        return True

    def leave(self) -> bool:
        """``.endif``; False where there must be none."""
        if not self._stack:
            return False
        branches = self._stack.pop()
        self.open = self._joined(branches.at_ends, self.open)
        if not branches.has_else:
            self.open = self._joined(branches.at_entry, self.open)
        return True

    def _joined(self, one: Possible | None, other: Possible) -> Possible:
        if one is None or one == other:
            return other
        sections, defaults = one.sections | other.sections, one.defaults | other.defaults
        if len(sections) > MAX_POSSIBILITIES:
            self.lost |= sections
            sections = _NOTHING
        if not one.defaults or not other.defaults or len(defaults) > MAX_POSSIBILITIES:
            defaults = frozenset()
        return Possible(sections, defaults)
