"""Judgement: whether a section can be traced without harm, and what it needs for that beyond the common lines.

* HAProxy adds a filter by itself for ``compression`` and for a cache, but only where there is no other filter. So where ours comes,
  theirs must be written out: a cache's first, compression behind all others.
* Without a log format a section logs the accept of a connection and nothing else. A format can be added where nobody else listens.
* ``log-format-sd`` goes to all targets with ``format rfc5424``; the user's must not get ours.
"""

from typing import NamedTuple

from .insertions import SectionLines
from .report import Reason, Remark
from .sections import Section, SectionLine
from .traits import UNKNOWN, Certainty, May, Traits

__all__ = ["Judgement", "judge"]

_LOG_FORMATS = {"http": "option httplog", "tcp": "option tcplog"}
_CACHE_RULES = frozenset(("cache-store", "cache-use"))
_REMARKS = (
    (May.DONTLOG_NORMAL, Remark.DONTLOG_NORMAL),
    (May.LOGASAP, Remark.LOGASAP),
    (May.SET_LOG_LEVEL, Remark.SET_LOG_LEVEL),
)


class Judgement(NamedTuple):
    """What is to be done to a section."""

    reason: Reason | None = None
    """Why nothing is."""
    mode: str = ""
    top: tuple[str, ...] = ()
    """Lines to add at its top, behind our filter."""
    end: tuple[str, ...] = ()
    """Lines to add at its end, behind all other filters."""
    targets_at_end: bool = False
    """Whether our log target must stand there: a ``no log`` takes out all that are in front of it."""
    remarks: tuple[Remark, ...] = ()


def judge(section: Section, traits: Traits, lines_by_mode: dict[str, SectionLines]) -> Judgement:
    """Looks at one ``frontend`` or ``listen`` section; ``lines_by_mode`` are those to insert."""
    reason = _uncertain(section, traits)
    if reason is not None:
        return Judgement(reason)
    (mode,) = traits.modes
    lines = lines_by_mode.get(mode)
    if lines is None:
        return Judgement(Reason.TCP_NOT_WANTED if mode == "tcp" else Reason.OTHER_MODE)
    if any(_is_ours(own, lines_by_mode) for own in section.lines):
        return Judgement(Reason.ALREADY_TRACED)
    reason = _log_conflict(traits)
    if reason is not None:
        return Judgement(reason)
    judgement = _with_filters(section, traits) if lines.has_filter else Judgement()
    if judgement.reason is not None:
        return judgement
    return judgement._replace(
        mode=mode,
        top=(*judgement.top, *(() if traits.log_format is Certainty.YES else (_LOG_FORMATS[mode],))),
        targets_at_end=any(line.keyword == "log" and line.negated for line, _ in section.lines),
        remarks=tuple(remark for may, remark in _REMARKS if may in traits.may),
    )


def _uncertain(section: Section, traits: Traits) -> Reason | None:
    if section.is_shared or section.ends_in_condition:
        return Reason.LINES_SHARED
    if May.HAVE_UNKNOWN_KEYWORD in traits.may or not (section.name or section.names_variable):
        return Reason.LINE_UNKNOWN
    if May.HAVE_UNKNOWN_DEFAULTS in traits.may:
        return Reason.DEFAULTS_UNKNOWN
    return Reason.MODE_UNKNOWN if len(traits.modes) != 1 or UNKNOWN in traits.modes else None


def _is_ours(own: SectionLine, lines_by_mode: dict[str, SectionLines]) -> bool:
    words = own.line.texts
    return any(
        (words[:2] == ("filter", "spoe") and not lines.engines.isdisjoint(words[2:]))
        or (words[:1] == ("log",) and not lines.target_addresses.isdisjoint(words[1:2]))
        for lines in lines_by_mode.values()
    )


def _log_conflict(traits: Traits) -> Reason | None:
    if May.LOG_FORMAT_SD in traits.may:
        return Reason.LOG_FORMAT_SD
    if May.LOG_RFC5424 in traits.may:
        return Reason.LOG_TARGET_RFC5424
    if May.LOG_STEPS in traits.may:
        return Reason.LOG_STEPS
    if May.LOG in traits.may and traits.log_format is not Certainty.YES:
        return Reason.NO_LOG_FORMAT if traits.log_format is Certainty.NO else Reason.LOG_FORMAT_CONDITIONAL
    return None


def _with_filters(section: Section, traits: Traits) -> Judgement:
    """The filters that HAProxy would have added by itself."""
    explicit: set[tuple[str, ...]] = set()
    caches: dict[str, None] = {}
    for line, index_of_if in section.lines:
        words = line.texts
        if words[:1] == ("use-fcgi-app",):
            return Judgement(Reason.FCGI)
        is_filter = words[:2] in (("filter", "cache"), ("filter", "compression"))
        uses_cache = words[:1] in (("http-request",), ("http-response",)) and words[1:2] and words[1] in _CACHE_RULES
        if (is_filter or uses_cache) and (index_of_if is not None or line.expands(2)):
            return Judgement(Reason.FILTER_CONDITIONAL)
        if is_filter:
            explicit.add(words[1:2] if words[1] == "compression" else words[1:3])
        elif uses_cache:
            caches[line.text(2)] = None
    return Judgement(
        top=tuple(f"filter cache {name}" for name in caches if ("cache", name) not in explicit),
        end=("filter compression",) if May.COMPRESS in traits.may and ("compression",) not in explicit else (),
    )
