"""Rewrite reports: what became of a pod's configuration, as a line of JSON for programs and as lines for people."""

from collections.abc import Iterator, Sequence
from enum import Enum

import msgspec

from .rewriter import Rewriting

__all__ = ["Doubt", "ReportedSection", "RewriteReport"]


class Doubt(Enum):
    """Why a configuration was copied as it is, before any of its lines was looked at; the rewriter's own reasons stand beside."""

    PLAN_MISSING = "There is no plan: the payload was deleted, or the pod was made without it."
    PLAN_UNREADABLE = "The plan can't be read."
    FILE_OUT_OF_REACH = "HAProxy reads a file that is on no volume of the pod, or behind a link that leaves it."
    FILE_MISSING = "HAProxy is given a path where there is nothing."
    FILE_UNREADABLE = "A configuration file can't be read."
    FILE_GIVEN_TWICE = "HAProxy is given a file twice."
    FILE_NAME = "The name of a configuration file has a line feed in it."
    TOO_LARGE = "The configuration is too large to be rewritten."
    NO_FILES = "HAProxy is given a folder without configuration files."
    DISK_FULL = "The rewritten files could not be written."
    INTERNAL_ERROR = "The rewriter failed: please report it."

    @property
    def code(self) -> str:
        """Such as ``PlanMissing``."""
        return "".join(word.capitalize() for word in self.name.split("_"))


class _Struct(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    pass


class ReportedSection(_Struct, frozen=True):
    """A ``frontend`` or ``listen`` section."""

    kind: str
    name: str
    file: str
    """Its path in HAProxy's container."""
    line: int
    """In the user's own file, from 1."""
    reason: str = ""
    """The code of why it is not traced; empty if it is."""
    message: str = ""
    remarks: tuple[str, ...] = ()
    """Codes of what its traces will show."""


class RewriteReport(_Struct, frozen=True):
    """All of it."""

    rewritten: tuple[str, ...]
    """The files with lines of ours in them, by their paths in HAProxy's container."""
    traced: int = 0
    """How many sections are."""
    reason: str = ""
    """The code of why nothing was rewritten at all; empty if the sections say it."""
    message: str = ""
    sections: tuple[ReportedSection, ...] = ()
    omitted: int = 0
    """Sections that there was no room for."""

    @classmethod
    def left_alone(cls, doubt: Doubt, detail: str = "") -> "RewriteReport":
        """Nothing was looked at."""
        return cls((), reason=doubt.code, message=_text(f"{doubt.value} ({detail})" if detail else doubt.value))

    @classmethod
    def of(cls, rewriting: Rewriting, paths: Sequence[str], rewritten: Sequence[str]) -> "RewriteReport":
        """What the rewriter says; ``paths`` are those of the files it was given."""
        problem = rewriting.problem
        if problem is not None:
            message = f"{paths[problem.file]}:{problem.line}: {problem.kind.sentence}"
            return cls((), reason=problem.kind.code, message=_text(message))
        sections = tuple(
            ReportedSection(
                section.kind,
                _text(section.name),
                _text(paths[section.file]),
                section.line,
                section.reason.code if section.reason else "",
                section.reason.sentence if section.reason else "",
                tuple(remark.code for remark in section.remarks),
            )
            for section in rewriting.sections
        )
        return cls(tuple(map(_text, rewritten)), len(rewriting.traced), sections=sections)

    def lines(self) -> Iterator[str]:
        """For people."""
        if self.reason:
            yield f"nothing is traced, every file is as it was: {self.reason}: {self.message}"
            return
        for section in self.sections:
            what = f"{section.file}:{section.line}: {section.kind} {section.name or '-'}"
            if section.reason:
                yield f"{what} is not traced: {section.reason}: {section.message}"
            else:
                yield f"{what} is traced{''.join(f'; {remark}' for remark in section.remarks)}"
        if not self.traced:
            yield "nothing is traced, every file is as it was"

    def json(self, limit_bytes: int | None = None) -> bytes:
        """A line of JSON, without its end; as many sections as there is room for, those that are not traced first."""
        data = msgspec.json.encode(self)
        if limit_bytes is None or len(data) <= limit_bytes:
            return data
        kept = sorted(self.sections, key=lambda section: not section.reason)
        shorter = msgspec.structs.replace(self, rewritten=self.rewritten[:3], message=self.message[:500])
        while True:
            kept = kept[: len(kept) // 2]
            shorter = msgspec.structs.replace(shorter, sections=tuple(kept), omitted=len(self.sections) - len(kept))
            data = msgspec.json.encode(shorter)
            if len(data) <= limit_bytes or not kept:
                return data


def _text(text: str) -> str:
    """Names of files and sections may be any bytes; a report is text."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
