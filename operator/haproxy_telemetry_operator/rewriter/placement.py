"""Placement: the lines in a file between which a section's insertions go.

Rules for requests go in front of the first rule of the user's. That is the one place where no version of HAProxy warns that "a rule
placed after ... will still be processed before": behind ``tcp-request`` and ``monitor fail``, in front of ``http-request``,
``redirect``, ``use_backend`` and ``use-server``. A rule under a condition counts as if it stood in place of the outermost ``.if``.
"""

from .lines import Line
from .sections import Section

__all__ = ["index_of_rules"]

_SWITCHING = frozenset(("use-server", "use_backend", "redirect", "http-request"))
_EARLY_TCP = frozenset(("connection", "session"))


def index_of_rules(section: Section, mode: str) -> int | None:
    """The line that our rules go in front of; None if there is no place where HAProxy would not warn of a line of the user's."""
    first: int | None = None
    warned = False
    for line, index_of_if in section.lines:
        if _is_rule(line, mode):
            if first is None:
                first = line.index if index_of_if is None else index_of_if
            warned = warned or index_of_if is None
        elif first is not None and not warned and _comes_before_rules(line, mode):
            return None
    return section.end + 1 if first is None else first


def _is_rule(line: Line, mode: str) -> bool:
    return line.keyword in _SWITCHING or (mode == "tcp" and line.keyword == "tcp-request" and line.text(1) == "content")


def _comes_before_rules(line: Line, mode: str) -> bool:
    if line.keyword == "monitor":
        return line.text(1) == "fail"
    return line.keyword == "tcp-request" and (line.text(1) in _EARLY_TCP or (mode == "http" and line.text(1) == "content"))
