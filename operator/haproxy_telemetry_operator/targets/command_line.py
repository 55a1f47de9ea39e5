"""Command lines of containers, as their authors wrote them: ``--name=value``, ``--name value``, and HAProxy's ``-f``."""

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["config_paths", "option_values", "words"]

_TAKE_A_VALUE = frozenset(("-f", "-C", "-L", "-m", "-M", "-N", "-n", "-p", "-S", "-x"))
"""HAProxy's options whose next word is no option's name; a value of ``-S`` may look like anything. ``-sf`` and ``-st`` take any
number of process ids, or none."""


def words(container: Mapping[str, Any]) -> list[str]:
    """Command and arguments in one list."""
    return [*(container.get("command") or ()), *(container.get("args") or ())]


def option_values(arguments: Sequence[str], name: str) -> list[str]:
    """Values of a long option, in both spellings; with one dash as well, as Go's flags have it."""
    values: list[str] = []
    for index, word in enumerate(arguments):
        stripped = "--" + word.lstrip("-") if word.startswith("-") else word
        if stripped.startswith(f"{name}="):
            values.append(stripped.partition("=")[2])
        elif stripped == name and index + 1 < len(arguments):
            values.append(arguments[index + 1])
    return values


def config_paths(arguments: Sequence[str]) -> list[str]:
    """What HAProxy is told to read, in order: the value of each ``-f``, and what stands behind ``--``."""
    paths: list[str] = []
    position = 0
    while position < len(arguments):
        word = arguments[position]
        if word == "--":
            return [*paths, *arguments[position + 1 :]]
        if word == "-f" and position + 1 < len(arguments):
            paths.append(arguments[position + 1])
            position += 2
        else:
            position += 2 if word in _TAKE_A_VALUE else 1
    return paths
