"""Words: one line of HAProxy's configuration, taken apart as HAProxy does it.

Blanks part words. A backslash takes the meaning from a blank, ``#``, a quote or itself, and makes control characters. Within ``"``
environment variables are put in, within ``'`` nothing means anything. ``#`` ends the line wherever it is not quoted, even within a
word. A carriage return behind a word does so, too; among blanks it is one of them, and within quotes an error. There is no
continuation: a backslash at the end is one more character. An empty word ends the line as well.

What an environment variable holds is not known here: a word with one in it is marked, and whoever reads it takes care.

Source: HAProxy doc/configuration.txt, 2.2 "Quoting and escaping", 2.3 "Environment variables"; each rule was tried on 2.6 to 3.2.
"""

import re
from typing import NamedTuple

__all__ = ["Word", "read_words"]

_PLAIN = re.compile(r"[^ \t\n\v\f\r\\\"'#]+")
_PLAIN_WITHIN_WEAK_QUOTES = re.compile(r"[^\\\"$\r]+")
_BLANK = re.compile(r"[ \t\n\v\f\r]*")
_BLANKS = " \t\v\f"
_ENDS = "\r\n#"
_HEXADECIMAL = re.compile(r"x([0-9A-Fa-f]{2})")
_VARIABLE = re.compile(r"\$(?:[A-Za-z_.][A-Za-z0-9_.]*|\{(?P<braced>[A-Za-z_.][^}\r]*)\})")
_CONTROL = {"r": "\r", "n": "\n", "t": "\t"}


class Word(NamedTuple):
    """One word, without its quotes."""

    text: str
    """Of environment variables there is nothing in it."""
    expands: bool = False
    """Whether an environment variable is put in."""
    splits: bool = False
    """Whether it may become several words (``"${NAME[*]}"``)."""


def read_words(line: str) -> tuple[Word, ...] | None:
    """The words of a line; None if HAProxy can't read it: an open quote, an unfinished variable or escape.

    Also None where what it reads depends on a variable's being empty: before a carriage return that does not end the line.
    """
    words: list[Word] = []
    text: list[str] = []
    within = expands = splits = False
    position = _end_of(_BLANK, line, 0)
    while position < len(line):
        character = line[position]
        if character in _ENDS or character in _BLANKS:
            if character == "\r" and expands and line[position:].strip("\r\n"):
                return None
            if within:
                words.append(Word("".join(text), expands, splits))
                text, within, expands, splits = [], False, False, False
            if character in _ENDS:
                break
            position = _end_of(_BLANK, line, position)
            continue
        within = True
        if character == "'":
            end = line.find("'", position + 1)
            if end < 0 or "\r" in line[position:end]:
                return None
            text.append(line[position + 1 : end])
            position = end + 1
        elif character == '"':
            weak = _read_weak_quotes(line, position + 1)
            if weak is None:
                return None
            part, position, with_variable, with_list = weak
            text.append(part)
            expands, splits = expands or with_variable, splits or with_list
        elif character == "\\":
            escape = _read_escape(line, position, " \\#\"'")
            if escape is None:
                return None
            text.append(escape[0])
            position = escape[1]
        else:
            start, position = position, _end_of(_PLAIN, line, position)
            text.append(line[start:position])
    else:
        if within:
            words.append(Word("".join(text), expands, splits))
    return _up_to_an_empty_one(words)


def _end_of(run: re.Pattern[str], line: str, position: int) -> int:
    """Where a run of characters that all match ends."""
    match = run.match(line, position)
    return position if match is None else match.end()


def _read_weak_quotes(line: str, position: int) -> tuple[str, int, bool, bool] | None:
    """What stands up to the closing ``"``, the position behind it, whether there is a variable, whether one of several words."""
    text: list[str] = []
    expands = splits = False
    while position < len(line):
        character = line[position]
        if character == '"':
            return "".join(text), position + 1, expands, splits
        if character == "\r":
            return None
        if character == "\\":
            escape = _read_escape(line, position, " \\#\"'$")
            if escape is None:
                return None
            text.append(escape[0])
            position = escape[1]
        elif character == "$":
            variable = _VARIABLE.match(line, position)
            if variable is None:
                return None
            expands, splits = True, splits or "[*]" in (variable["braced"] or "")
            position = variable.end()
        else:
            start, position = position, _end_of(_PLAIN_WITHIN_WEAK_QUOTES, line, position)
            text.append(line[start:position])
    return None


def _read_escape(line: str, position: int, escaped: str) -> tuple[str, int] | None:
    """The character that a backslash at a position makes, and the position behind it; a backslash that makes none is itself."""
    following = line[position + 1 : position + 2]
    if following and following in escaped:
        return following, position + 2
    if following in _CONTROL:
        return _CONTROL[following], position + 2
    if following == "x":
        digits = _HEXADECIMAL.match(line, position + 1)
        return None if digits is None else (chr(int(digits[1], 16)), digits.end())
    return "\\", position + 1


def _up_to_an_empty_one(words: list[Word]) -> tuple[Word, ...]:
    for number, word in enumerate(words):
        if not word.text and not word.expands:
            return tuple(words[:number])
    return tuple(words)
