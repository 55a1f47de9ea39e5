"""Traits: what the lines of a section, and of the ``defaults`` it inherits from, say about mode, logs and filters.

Whatever stands under a condition may hold or not. So the traits are what is possible: a set of modes, a set of things that may be,
and whether a log format is there for certain, perhaps, or not at all.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, auto
from functools import reduce

from .conditions import NOTHING
from .lines import Line
from .sections import Section, SectionLine

__all__ = ["NO_TRAITS", "UNKNOWN", "Certainty", "May", "Traits", "resolve_traits"]

UNKNOWN = "?"
"""A mode that can't be told."""


class Certainty(Enum):
    """Whether something holds."""

    NO = auto()
    PERHAPS = auto()
    YES = auto()


class May(Enum):
    """What may be so."""

    LOG = auto()
    """There is a log target of the user's."""
    LOG_GLOBAL = auto()
    """The targets of the ``global`` sections are among them."""
    LOG_RFC5424 = auto()
    """One of them gets what ``log-format-sd`` says."""
    LOG_FORMAT_SD = auto()
    LOG_STEPS = auto()
    """Others than the end."""
    DONTLOG_NORMAL = auto()
    LOGASAP = auto()
    SET_LOG_LEVEL = auto()
    """Of some requests, to one that our target does not get."""
    COMPRESS = auto()
    HAVE_UNKNOWN_KEYWORD = auto()
    HAVE_UNKNOWN_DEFAULTS = auto()


@dataclass(frozen=True, slots=True)
class Traits:
    """What a section, or one of several, says and inherits."""

    modes: frozenset[str] = frozenset(("tcp",))
    log_format: Certainty = Certainty.NO
    may: frozenset[May] = frozenset()

    def joined(self, other: "Traits") -> "Traits":
        """Either of two."""
        log_format = self.log_format if self.log_format is other.log_format else Certainty.PERHAPS
        return Traits(self.modes | other.modes, log_format, self.may | other.may)

    def adding(self, *may: May) -> "Traits":
        """The same, and these may be so."""
        return replace(self, may=self.may.union(may))

    def taking(self, *may: May) -> "Traits":
        """The same, but these are not so."""
        return replace(self, may=self.may.difference(may))


NO_TRAITS = Traits()
"""Of a section that says nothing and inherits nothing."""

_UNKNOWN_DEFAULTS = Traits(modes=frozenset((UNKNOWN,)), may=frozenset((May.HAVE_UNKNOWN_DEFAULTS,)))
_LOG_FORMATS = frozenset(("httplog", "httpslog", "tcplog"))
_FLAGS = {"dontlog-normal": May.DONTLOG_NORMAL, "logasap": May.LOGASAP}
_RULES = frozenset(("http-after-response", "http-request", "http-response", "tcp-request"))
_ABOUT_SECOND_WORD = frozenset(("filter", "http-request", "http-response", "monitor", "option", "tcp-request"))
"""Keywords of which the second word matters here."""


def resolve_traits(sections: Iterable[Section]) -> dict[int, Traits]:
    """The traits of all ``defaults``, ``frontend`` and ``listen`` sections, by number."""
    sections = tuple(sections)
    rings = frozenset(section.name for section in sections if section.kind == "ring" and _is_rfc5424_ring(section))
    global_lines = (line for section in sections if section.kind == "global" for line in section.lines)
    of_global = _traits_of(global_lines, NO_TRAITS, rings)
    resolved: dict[int, Traits] = {}
    for section in sections:
        if section.kind in ("defaults", "frontend", "listen"):
            # One only inherits from what stands before it.
            traits = _traits_of(section.lines, _inherited(section, resolved), rings)
            resolved[section.number] = _UNKNOWN_DEFAULTS if section.kind == "defaults" and section.is_shared else traits
    return {number: _with_global(traits, of_global) for number, traits in resolved.items()}


def _is_rfc5424_ring(section: Section) -> bool:
    return section.is_shared or any(
        line.expands(0) or (line.keyword == "format" and (line.text(1) == "rfc5424" or line.expands(1)))
        for line, _ in section.lines
    )


def _inherited(section: Section, resolved: dict[int, Traits]) -> Traits:
    if not section.parents:
        return _UNKNOWN_DEFAULTS
    return reduce(Traits.joined, (NO_TRAITS if parent == NOTHING else resolved[parent] for parent in sorted(section.parents)))


def _with_global(traits: Traits, of_global: Traits) -> Traits:
    return traits.adding(*of_global.may & {May.LOG, May.LOG_RFC5424}) if May.LOG_GLOBAL in traits.may else traits


def _traits_of(lines: Iterable[SectionLine], traits: Traits, rings: frozenset[str]) -> Traits:
    for line, index_of_if in lines:
        traits = _with_line(traits, line, rings, certain=index_of_if is None)
    return traits


def _with_line(traits: Traits, line: Line, rings: frozenset[str], *, certain: bool) -> Traits:
    if line.expands(0) or (line.keyword in _ABOUT_SECOND_WORD and line.expands(1)):
        return traits.adding(May.HAVE_UNKNOWN_KEYWORD)
    match line.keyword:
        case "mode":
            mode = frozenset((UNKNOWN if line.expands(1) else line.text(1),))
            return replace(traits, modes=mode if certain else traits.modes | mode)
        case "log" if line.negated:
            return traits.taking(May.LOG, May.LOG_GLOBAL, May.LOG_RFC5424) if certain else traits
        case "log" if line.texts[1:] == ("global",) and not line.expands(1):
            return traits.adding(May.LOG_GLOBAL)
        case "log":
            return traits.adding(May.LOG, *((May.LOG_RFC5424,) if _is_rfc5424_target(line, rings) else ()))
        case "log-format-sd":
            return traits.adding(May.LOG_FORMAT_SD)
        case "log-steps":
            only_the_end = line.texts[1:] == ("close",) and not line.expands(1)
            return _with_flag(traits, May.LOG_STEPS, is_set=not only_the_end, certain=certain)
        case "compression":
            return traits.adding(May.COMPRESS)
        case "log-format":
            return _with_log_format(traits, certain=certain)
        case "option" if line.text(1) in _LOG_FORMATS:
            return _with_log_format(traits, certain=certain)
        case "option" if line.text(1) in _FLAGS:
            return _with_flag(traits, _FLAGS[line.text(1)], is_set=not line.negated, certain=certain)
        case rule if rule in _RULES and _hides_records(line):
            return traits.adding(May.SET_LOG_LEVEL)
    return traits


def _hides_records(line: Line) -> bool:
    words = line.texts[2:] if line.text(1) == "content" else line.texts[1:]
    return words[:2] in (("set-log-level", "silent"), ("set-log-level", "debug"))


def _is_rfc5424_target(line: Line, rings: frozenset[str]) -> bool:
    """Whether a ``log`` line may be of a target with ``format rfc5424``. A ring's own format counts, whatever the line says."""
    formats = [number + 1 for number, word in enumerate(line.texts) if word == "format"]
    return (
        any(word.splits for word in line.words)
        or any(line.text(number) == "rfc5424" or line.expands(number) for number in formats)
        or (bool(rings) and line.expands(1))
        or (line.text(1).startswith("ring@") and line.text(1).removeprefix("ring@") in rings)
    )


def _with_flag(traits: Traits, flag: May, *, is_set: bool, certain: bool) -> Traits:
    if is_set:
        return traits.adding(flag)
    return traits.taking(flag) if certain else traits


def _with_log_format(traits: Traits, *, certain: bool) -> Traits:
    if certain:
        return replace(traits, log_format=Certainty.YES)
    return replace(traits, log_format=Certainty.PERHAPS) if traits.log_format is Certainty.NO else traits
