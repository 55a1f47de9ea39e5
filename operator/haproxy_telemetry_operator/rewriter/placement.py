"""Placement: the lines in a file between which a section's insertions go.

Rules for requests go in front of the first rule of the user's. That is the one place where no version of HAProxy warns that "a rule
placed after ... will still be processed before": behind all that comes before them in its order, in front of all that comes with
them or after. A rule under a condition counts as if it stood in place of the outermost ``.if``.
"""

from .lines import Line
from .sections import Section

__all__ = ["index_of_rules"]

_ORDER = (
    ("tcp-request", "connection"),
    ("tcp-request", "session"),
    ("tcp-request", "content"),
    ("monitor", "fail"),
    ("http-request",),
    ("redirect",),
    ("use_backend",),
    ("use-server",),
)
"""In this order HAProxy goes through the rules, and wants them written."""
_OURS = {"http": _ORDER.index(("http-request",)), "tcp": _ORDER.index(("tcp-request", "content"))}


def index_of_rules(section: Section, mode: str) -> int | None:
    """The line that our rules go in front of; None if there is no place where HAProxy would not warn of a line of the user's."""
    ours = _OURS[mode]
    first: int | None = None
    if_of_earlier: int | None = None
    is_warned = False
    for line, index_of_if in section.lines:
        place = _place(line)
        if place is None:
            continue
        if place >= ours:
            if first is None:
                if index_of_if is not None and index_of_if == if_of_earlier:
                    return None
                first = line.index if index_of_if is None else index_of_if
            is_warned = is_warned or index_of_if is None
        elif first is None:
            if_of_earlier = index_of_if
        elif not is_warned:
            return None
    return section.end + 1 if first is None else first


def _place(line: Line) -> int | None:
    """Its place in the order; None for whatever is no rule."""
    for place, words in enumerate(_ORDER):
        if line.texts[: len(words)] == words:
            return place
    return None
