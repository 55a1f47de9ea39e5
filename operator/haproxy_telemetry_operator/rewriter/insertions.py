"""Insertions: the lines that go into a configuration, sorted by the place where each must stand.

The agent's wiring writes them as one text for a frontend. In a section of a user's they part: what is no rule goes to its top,
where nothing warns; rules for requests in front of the user's own; rules for responses to its end, so that they see HAProxy's own
answers as well. The lines between ``.if`` and ``.endif`` stay together.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import Self

from haproxy_telemetry_agent.wiring import Plan, render_frontend, render_sections, render_tcp_frontend

from .lines import read_line

__all__ = ["Insertions", "Place", "SectionLines"]


class Place(Enum):
    """Where lines stand in a section."""

    TOP = "right behind the line that opens it"
    RULES = "in front of its first rule for requests"
    END = "behind its last line"


_PLACES = {
    "http-after-response": Place.END,
    "http-request": Place.RULES,
    "http-response": Place.END,
    "tcp-request": Place.RULES,
}
_KINDS_WITH_NAMES = frozenset(("backend", "defaults", "frontend", "listen", "ring"))


@dataclass(frozen=True, slots=True)
class SectionLines:
    """The lines for one kind of section; log targets apart, since a user's ``no log`` takes out all that are in front of it."""

    top: tuple[str, ...]
    targets: tuple[str, ...]
    rules: tuple[str, ...]
    end: tuple[str, ...]
    engines: frozenset[str]
    """Names of the SPOE engines in it; HAProxy refuses a second one of a name."""
    target_addresses: frozenset[str]

    @property
    def has_filter(self) -> bool:
        """Whether there is a filter among them."""
        return bool(self.engines)

    @classmethod
    def of(cls, text: str) -> Self:
        """Sorts the lines of a text."""
        places: dict[Place, list[str]] = {place: [] for place in Place}
        targets: list[str] = []
        engines: set[str] = set()
        addresses: set[str] = set()
        for group in _groups(text):
            lines = [line for raw in group if (line := read_line(0, raw)) is not None]
            keywords = [line.keyword for line in lines if not line.keyword.startswith(".")]
            engines |= {line.text(3) for line in lines if line.texts[:3] == ("filter", "spoe", "engine")}
            addresses |= {line.text(1) for line in lines if line.keyword == "log"}
            if "log" in keywords:
                targets += group
            else:
                places[next((_PLACES[keyword] for keyword in keywords if keyword in _PLACES), Place.TOP)] += group
        return cls(
            tuple(places[Place.TOP]),
            tuple(targets),
            tuple(places[Place.RULES]),
            tuple(places[Place.END]),
            frozenset(engines),
            frozenset(addresses),
        )


@dataclass(frozen=True)
class Insertions:
    """All that may be inserted, as the agent's wiring writes it."""

    frontend: str
    """For sections with ``mode http``."""
    tcp_frontend: str
    """For sections with ``mode tcp``; empty: these are left alone."""
    sections: str
    """The sections behind all others."""

    @classmethod
    def of_plan(cls, plan: Plan, *, with_tcp: bool = True) -> Self:
        """What a plan of the agent's asks for."""
        return cls(render_frontend(plan), render_tcp_frontend() if with_tcp else "", render_sections(plan))

    @cached_property
    def by_mode(self) -> dict[str, SectionLines]:
        """The lines for a section, by its mode."""
        texts = {"http": self.frontend, "tcp": self.tcp_frontend}
        return {mode: SectionLines.of(text) for mode, text in texts.items() if text.strip()}

    @cached_property
    def section_names(self) -> frozenset[str]:
        """The names of the sections, which nobody else's may have."""
        lines = (read_line(0, raw) for raw in self.sections.splitlines())
        return frozenset(line.text(1) for line in lines if line is not None and line.keyword in _KINDS_WITH_NAMES)


def _groups(text: str) -> Iterator[list[str]]:
    """Single lines, and lines from ``.if`` to ``.endif``."""
    group: list[str] = []
    depth = 0
    for raw in text.splitlines():
        if not raw.strip():
            continue
        group.append(raw.strip())
        directive = group[-1].split()[0]
        depth += (directive == ".if") - (directive == ".endif")
        if depth <= 0:
            yield group
            group, depth = [], 0
    if group:
        yield group
