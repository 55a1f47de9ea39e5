"""Regular expressions that users write and clients' texts are matched with: those that could take too long are refused.

Python's matcher tries every way to match, one after the other. How many ways there are for a text of n characters can be told from
the pattern, roughly and from above: a repeated group that holds a choice of its own has exponentially many, every ``*`` that leaves
a choice has n, one that starts anywhere has n more. What has more than about n * n is refused: with the longest text that is
matched, that is milliseconds, and a tenth of a second at the very worst.
"""

import re
from dataclasses import dataclass, field

__all__ = ["MAX_PATTERN_CHARACTERS", "MAX_SUBJECT_CHARACTERS", "compile_pattern"]

MAX_PATTERN_CHARACTERS = 512
MAX_SUBJECT_CHARACTERS = 1024
"""The longest text to match: what HAProxy logs of a request line."""
_MAX_EXPONENT = 2
_MAX_CHOICES = 16
_TOO_LONG = "that may take too long"
_REFUSED = f"must have neither references to groups nor the flag x, {_TOO_LONG}"
_TOKEN = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<open>\((?:\?(?:P<\w+>|P=|\(|<?[=!]|>|\#|[aiLmsux-]*:))?)"
    r"|(?P<close>\))|(?P<repeat>[*+?]|\{\d*,\d*\}|\{\d+\})|(?P<either>\|)|(?P<other>.)",
    re.DOTALL,
)
_LEADING_FLAGS = re.compile(r"\(\?[aiLmsu]+\)")


def compile_pattern(text: str, *, anchored: bool = False) -> re.Pattern[str]:
    """The compiled pattern.

    Args:
        text: the pattern.
        anchored: whether it will only be matched at the beginning of a text.

    Raises:
        ValueError: it is no regular expression, or one that may take too long; says why.
    """
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise ValueError(f"is longer than {MAX_PATTERN_CHARACTERS} characters")
    try:
        compiled = re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from None
    if compiled.flags & re.VERBOSE:
        raise ValueError(_REFUSED)
    tokens = [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(_LEADING_FLAGS.sub("", text, count=1))]
    cost = _Cost(flags=compiled.flags)
    for index, (kind, token) in enumerate(tokens):
        cost.add(kind, token, tokens[index - 1] if index else ("", ""), tokens[index + 1 : index + 3])
    anchored = anchored or (tokens[:1] == [("other", "^")] and not cost.groups[0].bars)
    if cost.ambiguous + min(cost.definite, 1) + (0 if anchored else 1) > _MAX_EXPONENT:
        raise ValueError(
            f"has too many unbounded repetitions, {_TOO_LONG}: begin it with ^, and have at most two of * and + (those that end at "
            "the next character, such as [^/]+/, count as one)"
        )
    if cost.choices > _MAX_CHOICES:
        raise ValueError(f"leaves more than {_MAX_CHOICES} choices, {_TOO_LONG}: have fewer of | and ?, or narrower counts")
    return compiled


@dataclass(slots=True)
class _Group:
    """An open group."""

    bars: int = 0
    repeats: bool = False


@dataclass(slots=True)
class _Cost:
    """What the tokens so far may cost."""

    flags: int
    groups: list[_Group] = field(default_factory=lambda: [_Group()])
    closed: _Group = field(default_factory=_Group)
    """The group that was closed last."""
    ambiguous: int = 0
    """Unbounded repetitions that can end anywhere."""
    definite: int = 0
    """Unbounded repetitions that end where the next character stands."""
    choices: int = 1

    def add(self, kind: str, token: str, before: tuple[str, str], behind: list[tuple[str, str]]) -> None:
        if kind == "open":
            if token in ("(?P=", "(?(") or ("x" in token and token.endswith(":")):
                raise ValueError(_REFUSED)
            self.groups.append(_Group())
        elif kind == "close":
            self.closed = self.groups.pop()
            self.groups[-1].repeats |= self.closed.repeats or self.closed.bars > 0
            self.choices *= self.closed.bars + 1
        elif kind == "either":
            self.groups[-1].bars += 1
        elif kind == "escape" and token[1].isdigit():
            raise ValueError(_REFUSED)
        elif kind == "repeat" and before[0] != "repeat":
            self._repeat(token, before, behind)

    def _repeat(self, token: str, before: tuple[str, str], behind: list[tuple[str, str]]) -> None:
        lowest, most = _counts(token)
        if before[0] == "close" and (self.closed.repeats or self.closed.bars) and most != 1:
            raise ValueError(f"must not repeat a group that holds a repetition or alternatives, {_TOO_LONG}")
        self.groups[-1].repeats |= most != lowest
        possessive = behind[:1] == [("repeat", "+")]
        lazy = behind[:1] == [("repeat", "?")]
        if possessive or self._ends_at(before, behind[1 if lazy else 0 :][:1]):
            self.definite += most is None
        elif most is not None:
            self.choices *= most - lowest + 1
        else:
            self.ambiguous += 1

    def _ends_at(self, atom: tuple[str, str], behind: list[tuple[str, str]]) -> bool:
        """Whether what is repeated can't be the character behind it."""
        if atom[0] not in ("set", "escape", "other") or not behind:
            return False
        kind, token = behind[0]
        if kind == "escape" and not token[1].isalnum():
            character = token[1]
        elif kind == "other" and token not in {".", "^", "$"}:
            character = token
        else:
            return False
        return re.fullmatch(atom[1], character, self.flags & (re.IGNORECASE | re.ASCII)) is None


def _counts(repeat: str) -> tuple[int, int | None]:
    if repeat in "*+":
        return 0, None
    if repeat == "?":
        return 0, 1
    lowest, comma, most = repeat[1:-1].partition(",")
    return int(lowest or 0), int(most) if most else None if comma else int(lowest)
