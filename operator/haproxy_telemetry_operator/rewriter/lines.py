"""Lines: a configuration file as HAProxy goes through it, line by line."""

from dataclasses import dataclass

from .tokens import Word, read_words

__all__ = ["Line", "read_line", "split_lines"]

_PREFIXES = frozenset(("default", "no"))


@dataclass(frozen=True, slots=True)
class Line:
    """One line that HAProxy can read."""

    index: int
    """Its place in the file, from 0."""
    words: tuple[Word, ...]
    """Without a prefix ``no`` or ``default``; empty for blank lines and comments."""
    negated: bool = False
    """Whether there was such a prefix."""

    @property
    def keyword(self) -> str:
        """The first word; empty if there is none."""
        return self.text(0)

    def text(self, number: int) -> str:
        """A word, from 0; empty if there is none."""
        return self.words[number].text if number < len(self.words) else ""

    def expands(self, number: int) -> bool:
        """Whether a word is, or may be, made of an environment variable."""
        return any(word.splits for word in self.words[:number]) or (number < len(self.words) and self.words[number].expands)

    @property
    def texts(self) -> tuple[str, ...]:
        """All words."""
        return tuple(word.text for word in self.words)


def split_lines(text: str) -> list[str]:
    """The lines with their ends; only a line feed ends one."""
    lines = [line + "\n" for line in text.split("\n")]
    last = lines.pop()[:-1]
    return [*lines, last] if last else lines


def read_line(index: int, text: str) -> Line | None:
    """A line taken apart; None if HAProxy can't read it."""
    words = read_words(text)
    if words is None:
        return None
    if words and words[0].text in _PREFIXES and not words[0].expands:
        return Line(index, words[1:], negated=True)
    return Line(index, words)
