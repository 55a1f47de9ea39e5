"""Markers: the two comments around whatever was inserted, by which it is found again.

Without the marked lines a text is, byte for byte, what it was before.
"""

from collections.abc import Iterable
from typing import NamedTuple

from .lines import split_lines

__all__ = ["BEGIN", "END", "Unmarked", "enclosed", "remove_marked"]

BEGIN = "# >>> haproxy-telemetry (inserted; do not edit)"
END = "# <<< haproxy-telemetry"


class Unmarked(NamedTuple):
    """A text without what was inserted into it."""

    text: str
    """The text as it was given, if its markers are damaged."""
    damaged_line: int | None = None
    """The number, from 1, of the marker that has no other; None if all have."""


def enclosed(lines: Iterable[str], indent: str = "") -> list[str]:
    """Lines with a marker before and behind them, each with its end."""
    return [f"{indent}{line}\n" for line in (BEGIN, *lines, END)]


def remove_marked(text: str) -> Unmarked:
    """Takes the marked lines out of a text, the markers with them."""
    kept: list[str] = []
    begin: int | None = None
    for number, line in enumerate(split_lines(text), 1):
        word = line.strip()
        if word == BEGIN:
            if begin is not None:
                return Unmarked(text, number)
            begin = number
        elif word == END:
            if begin is None:
                return Unmarked(text, number)
            begin = None
        elif begin is None:
            kept.append(line)
    return Unmarked(text, begin) if begin is not None else Unmarked("".join(kept))
