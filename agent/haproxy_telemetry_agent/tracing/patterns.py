r"""Regular expressions that users write and clients' texts are matched with: those that could take too long are refused.

Python's matcher, like PCRE, tries every way to match, one after the other. How many ways there are for a text of n characters can
be told from the pattern, roughly and from above: a repeated group that holds a choice of its own has exponentially many, every
``*`` that leaves a choice has n, one that starts anywhere has n more. A repetition that what follows it ends (``[^/]+/``) leaves no
choice, and costs n where it is tried again and again. What has more than about n * n is refused: with the longest text that is
matched, that is milliseconds, and a tenth of a second at the very worst.

What HAProxy has to understand as well, be it built with PCRE or with POSIX expressions, must be portable: no look-around, no
references, no flags, no named groups.
"""

import re
from dataclasses import dataclass, field
from itertools import pairwise

__all__ = ["MAX_PATTERN_CHARACTERS", "MAX_SUBJECT_CHARACTERS", "compile_pattern"]

MAX_PATTERN_CHARACTERS = 512
MAX_SUBJECT_CHARACTERS = 1024
"""The longest text to match: what HAProxy logs of a request line."""
_MAX_POWERS = 2
_OPTIONAL_POWERS = 0.25
"""What a repetition counts that has few choices: ``?``, ``{1,3}``."""
_MAX_CHOICES = 16
_MAX_STEPS_OF_SQUARES = 32
_TOO_LONG = "that may take too long"
_OTHERWISE = "which HAProxy may read otherwise"
_REFUSED = f"must have neither references to groups nor comments nor the flag x, {_TOO_LONG}: write out what they stand for"
_TOKEN = re.compile(
    r"(?P<escape>\\.)|(?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])"
    r"|(?P<open>\((?:\?(?:P<\w+>|P=|\(|<?[=!]|>|\#|[aiLmsux-]*:))?)"
    r"|(?P<close>\))|(?P<repeat>[*+?]|\{\d*,\d*\}|\{\d+\})|(?P<either>\|)|(?P<other>.)",
    re.DOTALL,
)
_LEADING_FLAGS = re.compile(r"\(\?[aiLmsu]+\)")
_UNPORTABLE_ESCAPE = re.compile(r"\\[0-9ZzuUNv]")
_POSIX_CLASS = re.compile(r"\[[:.=]")
_FLAGS = (0, re.ASCII, re.IGNORECASE | re.DOTALL, re.IGNORECASE | re.DOTALL | re.ASCII)
_Token = tuple[str, str]
_NOTHING: _Token = ("", "")


def compile_pattern(text: str, *, anchored: bool = False, portable: bool = False) -> re.Pattern[str]:
    """The compiled pattern.

    Args:
        text: the pattern.
        anchored: whether it will only be matched at the beginning of a text.
        portable: whether HAProxy has to understand it, too; what ``\\w`` and the like mean is ASCII then.

    Raises:
        ValueError: it is no regular expression, or one that may take too long, or not portable; says why and what to write instead.
    """
    if len(text) > MAX_PATTERN_CHARACTERS:
        raise ValueError(f"is longer than {MAX_PATTERN_CHARACTERS} characters: write two that are shorter")
    try:
        compiled = re.compile(text, re.ASCII if portable else 0)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"is no regular expression: {error}") from None
    if portable:
        _check_portable([(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(text)])
    if compiled.flags & re.VERBOSE:
        raise ValueError(_REFUSED)
    tokens = [(match.lastgroup or "", match[0]) for match in _TOKEN.finditer(_LEADING_FLAGS.sub("", text, count=1))]
    cost = _Cost(tokens)
    # With the flag m, ^ is the beginning of every line.
    begins = tokens[:1] == [("other", "^")] and not cost.groups[0].bars and not compiled.flags & re.MULTILINE
    cost.check(anchored=anchored or begins)
    return compiled


def _check_portable(tokens: list[_Token]) -> None:
    for index, (kind, token) in enumerate(tokens):
        if kind == "open" and (token not in ("(", "(?:") or tokens[index + 1 : index + 2] == [("repeat", "?")]):
            raise ValueError(f"has a group that is neither ( nor (?:, {_OTHERWISE}: write one of these; for any case, write [aA]")
        if kind == "escape" and _UNPORTABLE_ESCAPE.fullmatch(token):
            raise ValueError(f"has {token}, {_OTHERWISE}: write the character itself, $ for the end, and a group's text again")
        if kind == "set" and _POSIX_CLASS.search(token, 1):
            raise ValueError(f"has {token}, {_OTHERWISE}: write ranges such as [a-z0-9], and [ as \\[")
        if token.startswith("{,") or (kind, token) == ("other", "{"):
            raise ValueError(f"has {token}, {_OTHERWISE}: write the lowest number, as in {{0,3}}, and \\{{ for the character")


@dataclass(slots=True)
class _Group:
    """An open group, or the pattern as a whole."""

    bars: int = 0
    repeats: bool = False
    length: int = 0
    """Characters, as often as they are repeated at least; those of all alternatives."""
    texts: list[str | None] = field(default_factory=lambda: [""])
    """The alternatives; None for one that is not plain text."""

    def leaves_choice(self) -> bool:
        """Whether more than one of the alternatives may match: not if they are texts of which none begins with another."""
        texts = sorted(text.lower() for text in self.texts if text is not None)
        return len(texts) < len(self.texts) or any(after.startswith(text) for text, after in pairwise(texts))


@dataclass(slots=True)
class _Cost:
    """What matching may cost."""

    tokens: list[_Token]
    groups: list[_Group] = field(default_factory=lambda: [_Group()])
    closed: _Group = field(default_factory=_Group)
    """The group that was closed last."""
    ambiguous: int = 0
    """Unbounded repetitions that can end anywhere."""
    optional: int = 0
    """Bounded ones."""
    definite: bool = False
    """Whether there are unbounded repetitions that end where the next character stands."""
    tried_again: bool = False
    """Whether one of them stands behind an ambiguous one."""
    choices: int = 1
    ways: int = 1
    """Choices less those between alternatives of which only one can match."""
    length: int = 0
    """Characters behind the first ambiguous one: each way to match has to pass them."""

    def __post_init__(self) -> None:
        for index, (kind, token) in enumerate(self.tokens):
            if kind == "open":
                if token in ("(?P=", "(?(", "(?#") or ("x" in token and token.endswith(":")):
                    raise ValueError(_REFUSED)
                self.groups[-1].texts[-1] = None
                self.groups.append(_Group())
            elif kind == "close":
                self.closed = self.groups.pop()
                self.groups[-1].repeats |= self.closed.repeats or self.closed.bars > 0
                self.groups[-1].length += self.closed.length
                self.choices *= self.closed.bars + 1
                self.ways *= self.closed.bars + 1 if self.closed.leaves_choice() else 1
            elif kind == "either":
                self.groups[-1].bars += 1
                self.groups[-1].texts.append("")
            elif kind == "escape" and token[1].isdigit():
                raise ValueError(_REFUSED)
            elif kind != "repeat":
                self._lengthen(1)
                self._write(token)
            elif self._at(index - 1)[0] != "repeat":
                self._repeat(index)

    def check(self, *, anchored: bool) -> None:
        """Refuse what costs too much."""
        if self.choices > _MAX_CHOICES:
            raise ValueError(f"leaves more than {_MAX_CHOICES} choices, {_TOO_LONG}: have fewer of | and ?, or narrower counts")
        anywhere = 0 if anchored else 1
        powers = self.ambiguous + anywhere
        again = self.tried_again or (self.definite and not anchored)
        if powers + max(again, self.optional * _OPTIONAL_POWERS) > _MAX_POWERS:
            raise ValueError(
                f"has too many unbounded repetitions, {_TOO_LONG}: begin it with ^, have at most two of * and +, and no ? beside "
                "two; those that end at the next character, such as [^/]+/, count once"
            )
        if powers == _MAX_POWERS and self.ways * max(self.length, 1) > _MAX_STEPS_OF_SQUARES:
            raise ValueError(
                f"has more than {_MAX_STEPS_OF_SQUARES} characters or choices beside a repetition, {_TOO_LONG}: begin it "
                "with ^, or have fewer of * and +"
            )

    def _at(self, index: int) -> _Token:
        return self.tokens[index] if 0 <= index < len(self.tokens) else _NOTHING

    def _repeat(self, index: int) -> None:
        lowest, most = _counts(self.tokens[index][1])
        is_group = self._at(index - 1)[0] == "close"
        if is_group and (self.closed.repeats or self.closed.bars) and most != 1:
            raise ValueError(
                f"must not repeat a group that holds a repetition or alternatives, {_TOO_LONG}: repeat a set such as [a-z/]+, "
                "or write the group as often as it may stand there"
            )
        self._lengthen((lowest - 1) * (self.closed.length if is_group else 1))
        self.groups[-1].repeats |= most != lowest
        self.groups[-1].texts[-1] = None
        suffix = self._at(index + 1)
        if suffix == ("repeat", "+") or self._is_ended(index, index + (2 if suffix == ("repeat", "?") else 1)):
            self.definite |= most is None
            self.tried_again |= most is None and self.ambiguous > 0
        elif most is None:
            self.ambiguous += 1
        else:
            self.optional += most != lowest
            self.choices *= most - lowest + 1
            self.ways *= most - lowest + 1

    def _lengthen(self, characters: int) -> None:
        self.groups[-1].length += characters
        if self.ambiguous:
            self.length += characters

    def _write(self, token: str) -> None:
        """One more character of an alternative."""
        text = self.groups[-1].texts[-1]
        plain = token not in {".", "^", "$"} if len(token) == 1 else len(token) == 2 and not token[1].isalnum()
        self.groups[-1].texts[-1] = text + token[-1] if text is not None and plain else None

    def _is_ended(self, index: int, behind: int) -> bool:
        """Whether what is repeated can't be the character behind it."""
        kind, atom = self._at(index - 1)
        if kind not in ("set", "escape", "other"):
            return False
        while self._at(behind)[0] == "close":
            behind += 1
        kind, token = self._at(behind)
        if kind == "escape" and not token[1].isalnum():
            character = token[1]
        elif kind == "other" and token not in {".", "^", "$"}:
            character = token
        else:
            return False
        kind, repeat = self._at(behind + 1)
        if kind == "repeat" and _counts(repeat)[0] == 0:
            return False
        # Whatever the flags are here.
        return not any(re.fullmatch(atom, character, flags) for flags in _FLAGS)


def _counts(repeat: str) -> tuple[int, int | None]:
    if repeat in "*+":
        return int(repeat == "+"), None
    if repeat == "?":
        return 0, 1
    lowest, comma, most = repeat[1:-1].partition(",")
    return int(lowest or 0), int(most) if most else None if comma else int(lowest)
