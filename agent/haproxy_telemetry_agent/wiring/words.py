"""Words of HAProxy's configuration: what a space, a quote or a dollar would break, within quotes.

Source: HAProxy doc/configuration.txt, 2.2 "Quoting and escaping".
"""

import re

__all__ = ["plain_or_quoted", "quoted"]

_PLAIN = re.compile(r"[A-Za-z0-9_./:@%+,\[\]=-]+")


def quoted(text: str) -> str:
    """One word: nothing means anything within single quotes, not even a backslash."""
    return "'" + text.replace("'", r"'\''") + "'"


def plain_or_quoted(text: str) -> str:
    """The same, without quotes where none are needed."""
    return text if _PLAIN.fullmatch(text) else quoted(text)
