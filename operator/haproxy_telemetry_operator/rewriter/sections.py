"""Sections: the files of a configuration as HAProxy goes through them, and the lines that belong to each section.

A line whose first word is a section's keyword opens a section, wherever it stands, and ends the one before; so does the end of a
file. A ``frontend`` without ``from`` inherits from the last ``defaults`` section so far, be it in an earlier file.

Source: HAProxy doc/configuration.txt, 2.1 "Configuration file format", 2.4 "Conditional blocks", 4 "Proxies".
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from .conditions import MAX_POSSIBILITIES, NOTHING, Conditions, Possible
from .lines import Line, read_line, split_lines
from .report import Problem, ProblemKind

__all__ = ["SECTION_KEYWORDS", "Configuration", "Section", "SectionLine", "read_configuration"]

SECTION_KEYWORDS = frozenset(
    (
        "acme",
        "backend",
        "cache",
        "crt-store",
        "defaults",
        "fcgi-app",
        "frontend",
        "global",
        "healthcheck",
        "http-errors",
        "listen",
        "log-forward",
        "log-profile",
        "mailers",
        "namespace_list",
        "peers",
        "program",
        "resolvers",
        "ring",
        "traces",
        "userlist",
    )
)
_KEPT = frozenset(("defaults", "frontend", "global", "listen", "ring"))
"""Sections whose lines matter here."""
_BRANCHES = {".elif": False, ".else": True}


class SectionLine(NamedTuple):
    """A line of a section."""

    line: Line
    index_of_if: int | None = None
    """The line of the outermost ``.if`` within the section that it stands under."""


@dataclass(slots=True)
class Section:
    """A section, and what is certain about its lines."""

    number: int
    kind: str
    name: str
    file: int
    index: int
    """The line that opens it."""
    depth: int
    """Conditions that it stands under."""
    parents: frozenset[int]
    """The ``defaults`` sections of which it inherits from one, or NOTHING; empty if that can't be told."""
    names_variable: bool = False
    """Whether its name comes from an environment variable."""
    lines: list[SectionLine] = field(default_factory=list)
    end: int = 0
    """Its last line that is under no condition within it."""
    is_shared: bool = False
    """Whether lines may belong to it or to another section, depending on a condition."""

    @property
    def ends_in_condition(self) -> bool:
        """Whether its last lines stand under a condition that another section comes under as well."""
        return bool(self.lines) and self.lines[-1].line.index > self.end


@dataclass(slots=True)
class Configuration:
    """All sections of all files, in order."""

    files: list[list[str]] = field(default_factory=list)
    """Lines with their ends."""
    sections: list[Section] = field(default_factory=list)
    problem: Problem | None = None
    """What HAProxy will not read."""


def read_configuration(texts: Sequence[str]) -> Configuration:
    """Reads files in their order, up to the first line that HAProxy would refuse them for."""
    configuration = Configuration([split_lines(text) for text in texts])
    reader = _Reader(configuration)
    for number, lines in enumerate(configuration.files):
        configuration.problem = reader.read_file(number, lines)
        if configuration.problem is not None:
            break
    return configuration


@dataclass(slots=True)
class _Reader:
    configuration: Configuration
    defaults: frozenset[int] = Possible().defaults
    named_defaults: dict[str, frozenset[int]] = field(default_factory=dict)

    def read_file(self, file: int, lines: list[str]) -> Problem | None:
        conditions = Conditions(Possible(defaults=self.defaults))
        for index, text in enumerate(lines):
            line = read_line(index, text)
            if line is None or "\0" in text:
                return Problem(ProblemKind.UNREADABLE_LINE, file, index + 1)
            if not text.endswith("\n"):
                return Problem(ProblemKind.NO_LINE_FEED, file, index + 1)
            if not line.words:
                continue
            if line.keyword.startswith(".") and not line.expands(0):
                if not self._directive(conditions, line):
                    return Problem(ProblemKind.CONDITIONS, file, index + 1)
            elif line.keyword in SECTION_KEYWORDS and not line.negated and not line.expands(0):
                self._open(conditions, file, line)
            else:
                self._add(conditions, line)
        for number in conditions.lost:
            self._share(number)
        self.defaults = conditions.open.defaults
        return Problem(ProblemKind.CONDITIONS, file, conditions.index_of_if(0) + 1) if conditions.depth else None

    def _directive(self, conditions: Conditions, line: Line) -> bool:
        if line.keyword == ".if":
            conditions.enter(line.index)
            return True
        if line.keyword in _BRANCHES:
            return conditions.switch(is_else=_BRANCHES[line.keyword])
        if line.keyword != ".endif":
            return True
        if not conditions.leave():
            return False
        section = self._only(conditions)
        if section is not None and section.depth == conditions.depth:
            section.end = line.index
        return True

    def _open(self, conditions: Conditions, file: int, line: Line) -> None:
        number = len(self.configuration.sections)
        name, parents = self._name_and_parents(conditions, line)
        section = Section(number, line.keyword, name, file, line.index, conditions.depth, parents, line.expands(1), end=line.index)
        self.configuration.sections.append(section)
        defaults = conditions.open.defaults
        if section.kind == "defaults":
            defaults = frozenset((number,))
            if name:
                named = self.named_defaults.get(name, frozenset()) | defaults
                self.named_defaults[name] = named if len(named) <= MAX_POSSIBILITIES else frozenset((NOTHING,))
        conditions.open = Possible(frozenset((number,)), defaults)

    def _name_and_parents(self, conditions: Conditions, line: Line) -> tuple[str, frozenset[int]]:
        words = line.texts[1:]
        if line.keyword == "defaults" and words[:1] == ("from",):
            words = ("", *words)
        name = words[0] if words else ""
        if words[1:2] == ("from",):
            parent = words[2] if len(words) > 2 else ""
            named = self.named_defaults.get(parent, frozenset())
            return name, frozenset() if NOTHING in named or line.expands(3) else named
        return name, frozenset((NOTHING,)) if line.keyword == "defaults" else conditions.open.defaults

    def _add(self, conditions: Conditions, line: Line) -> None:
        section = self._only(conditions)
        if section is None:
            for number in conditions.open.sections:
                self._share(number)
            # What comes next is no more certain than this was.
            conditions.open = Possible(defaults=conditions.open.defaults)
            return
        under = conditions.depth - section.depth
        if section.kind in _KEPT:
            index_of_if = conditions.index_of_if(section.depth) if under else None
            section.lines.append(SectionLine(line, index_of_if))
        if not under:
            section.end = line.index

    def _only(self, conditions: Conditions) -> Section | None:
        """The section that is open for certain."""
        (number, *others) = conditions.open.sections
        return None if others or number == NOTHING else self.configuration.sections[number]

    def _share(self, number: int) -> None:
        if number != NOTHING:
            self.configuration.sections[number].is_shared = True
