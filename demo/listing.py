"""A listing is rows of words under each other; the last word of a row may be longer than the terminal, for it can be copied."""

from collections.abc import Sequence

__all__ = ["listing"]

_GAP = "  "


def listing(rows: Sequence[Sequence[str]]) -> list[str]:
    """The rows as lines; every column but the last as wide as its longest word."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [_GAP.join(word.ljust(width) for word, width in zip(row, [*widths[:-1], 0], strict=True)) for row in rows]
