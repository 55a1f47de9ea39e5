"""Regular expressions that are safe to run on what clients send.

Python's matcher, like PCRE, goes back and tries again, and some expressions make it try for longer than anybody waits: ``(a+)+$``
on forty letters is enough. Two things keep a match within some tens of milliseconds at the very worst: the text is cut at
``MAX_TEXT_CHARACTERS``, and an expression is refused if the steps to match it may be many more than the square of that.

The steps are counted as powers of the text's length. An expression without ``^`` begins anywhere: one. So does each repetition
that may end at several places; one that what follows it ends for certain (``[^/]+/``, ``[0-9]+$``) is a mere scan, and all scans
behind the first power are another. A choice of k is the logarithm of k. A repeated group must hold no repetitions or choices.

Only what HAProxy's regular expressions mean too is taken: no look-around, no back-references, no flags.
"""

import math
import re
import warnings
from collections.abc import Callable
from enum import Enum

__all__ = ["MAX_TEXT_CHARACTERS", "compile_search", "regex_fault"]

MAX_TEXT_CHARACTERS = 1024
"""No more of a path is in HAProxy's records."""
_MAX_POWERS = 2.3
_FEW_CHOICES = 0.5
"""Powers of choices that do not make scans behind them expensive."""

_ATOM = re.compile(r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|[^\\\[]", re.DOTALL)
_QUANTIFIER = re.compile(r"([*+?]|\{[0-9]*(?:,[0-9]*)?\})([?+]?)")
_EXACT = re.compile(r"\{[0-9]+\}")
_SPECIAL = frozenset("^$.|()[{*+?")
_OPENING = re.compile(r"\((\?(?!:))?(?:\?:)?")
_FOREIGN_ESCAPE = re.compile(r"\\[1-9ZzuUN]")


def regex_fault(pattern: str) -> str | None:
    """Why ``pattern`` is not taken; None if it is."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", FutureWarning)
            re.compile(pattern, re.ASCII)
    except FutureWarning as warning:
        # [[:alpha:]] is a class of PCRE's and none of Python's.
        return f"has what HAProxy may read otherwise: {warning}"
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


class _Repetition(Enum):
    OPEN = "may end at several places"
    SCAN = "ends at one"


class _Scanner:
    """Goes once over a pattern that is known to be well-formed."""

    def __init__(self, pattern: str) -> None:
        self._pattern = pattern
        self._repetitions: list[_Repetition] = []
        self._choices = 0.0
        """Powers."""
        self._alternatives = [1]
        """Of the pattern and of each open group."""
        self._ambiguous = [False]
        """The same: whether it can match one text in several ways."""

    def fault(self) -> str | None:
        """Why the pattern is not taken."""
        position = 0
        try:
            while position < len(self._pattern):
                position = self._step(position)
        except _Fault as fault:
            return str(fault)
        if self._powers() > _MAX_POWERS:
            return (
                "may take too long: too many repetitions that may end anywhere; begin with ^, "
                "and let what follows a repetition be something that it can't match, as in [^/]+/"
            )
        return None

    def _powers(self) -> float:
        repetitions = self._repetitions
        if not self._pattern.startswith("^") or self._alternatives[0] > 1:
            repetitions = [_Repetition.OPEN, *repetitions]
        powers = repetitions.count(_Repetition.OPEN) + self._choices
        first = 0 if self._choices > _FEW_CHOICES else _index(repetitions, _Repetition.OPEN)
        return powers + 1 if _Repetition.SCAN in repetitions[first:] else powers

    def _step(self, position: int) -> int:
        character = self._pattern[position]
        if character == "(":
            opening = _OPENING.match(self._pattern, position)
            if opening is None or opening[1]:
                raise _Fault("has a group that is neither ( nor (?:, which HAProxy may read otherwise")
            self._ambiguous.append(False)
            self._alternatives.append(1)
            return opening.end()
        if character == "|":
            self._ambiguous[-1] = True
            self._alternatives[-1] += 1
            return position + 1
        if character in "^$":
            return position + 1
        if character == ")":
            self._choose(self._alternatives.pop())
            ambiguous = self._ambiguous.pop()
            self._ambiguous[-1] |= ambiguous
            return self._quantifier(position + 1, atom=None, ambiguous=ambiguous)
        match = _ATOM.match(self._pattern, position)
        if match is None or _FOREIGN_ESCAPE.fullmatch(match[0]):
            raise _Fault(f"has {self._pattern[position : position + 2]}, which HAProxy may read otherwise")
        return self._quantifier(match.end(), atom=match[0], ambiguous=False)

    def _choose(self, number: int) -> None:
        self._choices += math.log(number, MAX_TEXT_CHARACTERS)

    def _quantifier(self, position: int, *, atom: str | None, ambiguous: bool) -> int:
        """Count what stands behind an atom, or behind a group (``atom`` is None) that may be ambiguous itself."""
        quantifier = _QUANTIFIER.match(self._pattern, position)
        if quantifier is None:
            return position
        end = quantifier.end()
        self._ambiguous[-1] = True
        if quantifier[1] == "?":
            self._choose(2)
        elif ambiguous:
            raise _Fault("may take too long: a repeated group holds repetitions or alternatives")
        elif _EXACT.fullmatch(quantifier[1]) or quantifier[2] == "+" or self._end_is_told(atom, end):
            self._repetitions.append(_Repetition.SCAN)
        else:
            self._repetitions.append(_Repetition.OPEN)
        return end

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


def _index(repetitions: list[_Repetition], wanted: _Repetition) -> int:
    return repetitions.index(wanted) if wanted in repetitions else len(repetitions)
