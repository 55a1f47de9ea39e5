"""The block: what a ConfigMap of an ingress controller gets, between two markers and within a guard.

All pods of a controller read the same ConfigMap, traced or not: ``.if defined(HAPROXY_TELEMETRY)`` makes it nothing in those that
the injector has not been at. The user's text is never touched: without the block it is, byte for byte, what it was.

kubernetes-ingress reads comments for markers of its own: no line may have ``config-snippet`` in it, and no comment ``BEGIN`` or
``END`` as its second word.
"""

from collections.abc import Iterable
from typing import NamedTuple

from ..names import FIELD_MANAGER, GUARD_VARIABLE, OWN_PREFIX

__all__ = ["BEGIN", "END", "Text", "guarded", "render_block", "with_block", "without_block"]

BEGIN = f"# >>> {OWN_PREFIX} (managed by {FIELD_MANAGER}; do not edit)"
END = f"# <<< {OWN_PREFIX}"


class Text(NamedTuple):
    """A value of a ConfigMap, and whether its markers are whole."""

    text: str
    damaged_line: int | None = None
    """The number, from 1, of a marker without its counterpart: then ``text`` is as it was given."""


def guarded(text: str) -> str:
    """The same, for traced pods only."""
    return f".if defined({GUARD_VARIABLE})\n{text.rstrip()}\n.endif\n"


def render_block(lines: Iterable[str]) -> str:
    """Lines within guard and markers; ends with a line feed."""
    return f"{BEGIN}\n{guarded(chr(10).join(lines))}{END}\n"


def with_block(text: str, block: str) -> Text:
    """The text with this block and no other at its end.

    Behind the user's own lines: kubernetes-ingress has its rules in front of both, and an ``http-request`` line of ours in front of
    a ``tcp-request`` line of the user's would be worth a warning.
    """
    plain = without_block(text)
    if plain.damaged_line is not None:
        return plain
    if plain.text and not plain.text.endswith("\n"):
        # The line feed that is missing there is missing behind the block: so it is known whose the one between them is.
        return Text(f"{plain.text}\n{block.removesuffix(chr(10))}")
    return Text(plain.text + block)


def without_block(text: str) -> Text:
    """The text as it was before ``with_block``; unchanged if it has no block."""
    kept: list[str] = []
    begin: int | None = None
    for number, line in enumerate(text.split("\n"), 1):
        word = line.strip()
        if word == BEGIN:
            if begin is not None:
                return Text(text, number)
            begin = number
        elif word == END:
            if begin is None:
                return Text(text, number)
            begin = None
        elif begin is None:
            kept.append(line)
    return Text(text, begin) if begin is not None else Text("\n".join(kept))
