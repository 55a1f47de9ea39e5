"""Regular expressions that are safe to run on what clients send.

Python's matcher, like PCRE, goes back and tries again, and some expressions make it try for longer than anybody waits: ``(a+)+$``
on forty letters is enough. Two things keep a match within some ten milliseconds at the very worst: the text is cut at
``MAX_TEXT_CHARACTERS``, and an expression is refused if the ways through it may be more than the square of the text's length.

The ways are counted piece by piece. A repeated group must hold nothing that could match in two ways. Each repetition outside one
counts as a power of the length, unless what follows tells where it ends (``[^/]+/``, ``[0-9]+$``); each optional part as a fourth
root of it; an expression without ``^`` begins anywhere, which is a power as well. Only what HAProxy's regular expressions mean
too is taken: no look-around, no back-references, no flags.
"""

import re
from collections.abc import Callable

__all__ = ["MAX_TEXT_CHARACTERS", "compile_search", "regex_fault"]

MAX_TEXT_CHARACTERS = 2048
_MAX_POWERS = 2.0
_OPTIONAL_POWERS = 0.25

_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[]", re.DOTALL)
_QUANTIFIER = re.compile(r"([*+?]|\{[0-9]*(?:,[0-9]*)?\})([?+]?)")
_EXACT = re.compile(r"\{[0-9]+\}")
_SPECIAL = frozenset("^$.|()[{*+?")
_OPENING = re.compile(r"\((\?(?!:))?(?:\?:)?")


def regex_fault(pattern: str) -> str | None:
    """Why ``pattern`` is not taken; None if it is."""
    try:
        re.compile(pattern, re.ASCII)
    except (re.error, OverflowError, RecursionError) as error:
        return f"is no regular expression: {error}"
    return _Scanner(pattern).fault()


def compile_search(pattern: str) -> Callable[[str], bool]:
    """Whether ``pattern``, one without a fault, is found anywhere in the beginning of a text."""
    search = re.compile(pattern, re.ASCII).search

    def matches(text: str) -> bool:
        return search(text[:MAX_TEXT_CHARACTERS]) is not None

    return matches


class _Fault(Exception):
    """The pattern is not taken, for this reason."""


class _Scanner:
    """Goes once over a pattern that is known to be well-formed."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._powers = 0.0
        self._ambiguous = [False]
        """For the pattern and each open group: whether it can match one text in several ways."""
        self._top_level_choice = False

    def fault(self) -> str | None:
        position = 0
        try:
            while position < len(self._pattern):
                position = self._step(position)
        except _Fault as fault:
            return str(fault)
        if not self._pattern.startswith("^") or self._top_level_choice:
            self._powers += 1
        if self._powers > _MAX_POWERS:
            return (
                "may take too long: too many repetitions whose end nothing tells; begin with ^, "
                "and let what follows a repetition be something that it can't match, as in [^/]+/"
            )
        return None

    def _step(self, position: int) -> int:
        character = self._pattern[position]
        if character == "(":
            opening = _OPENING.match(self._pattern, position)
            if opening is None or opening[1]:
                raise _Fault("has a group that is neither ( nor (?:, which HAProxy may read otherwise")
            self._ambiguous.append(False)
            return opening.end()
        if character == "|":
            self._ambiguous[-1] = True
            self._top_level_choice |= len(self._ambiguous) == 1
            return position + 1
        if character in "^$":
            return position + 1
        if character == ")":
            ambiguous = self._ambiguous.pop()
            end = self._quantifier(position + 1, atom=None, ambiguous=ambiguous)
            self._ambiguous[-1] |= ambiguous
            return end
        match = _ATOM.match(self._pattern, position)
        if match is None or re.fullmatch(r"\\[1-9ZzuUN]", match[0]):
            raise _Fault(rf"has {self._pattern[position : position + 2]}, which HAProxy may read otherwise")
        return self._quantifier(match.end(), atom=match[0], ambiguous=False)

    def _quantifier(self, position: int, *, atom: str | None, ambiguous: bool) -> int:
        """Count what stands behind an atom, or behind a group (``atom`` is None) that may be ambiguous itself."""
        quantifier = _QUANTIFIER.match(self._pattern, position)
        if quantifier is None:
            return position
        optional = quantifier[1] == "?"
        if atom is None and ambiguous and not optional:
            raise _Fault("may take too long: a repeated group holds repetitions or alternatives")
        exact = _EXACT.fullmatch(quantifier[1]) is not None
        self._ambiguous[-1] |= not exact
        if not exact and quantifier[2] != "+" and not self._end_is_told(atom, quantifier.end()):
            self._powers += _OPTIONAL_POWERS if optional else 1
        return quantifier.end()

    def _end_is_told(self, atom: str | None, position: int) -> bool:
        """Whether what follows a repeated atom can't be matched by it."""
        if atom is None:
            return False
        rest = self._pattern[position:].lstrip(")")
        if rest == "" or rest.startswith("$"):
            return True
        match = re.match(r"\\[^A-Za-z0-9]|[^\\]", rest, re.DOTALL)
        if match is None or match[0] in _SPECIAL or rest[match.end() : match.end() + 1] in ("*", "?", "{"):
            return False
        return re.fullmatch(atom, match[0][-1], re.ASCII) is None
