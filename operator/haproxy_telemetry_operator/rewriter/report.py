"""Reports: what was done to each section, or why it was left as it is; in words for whoever wrote the configuration."""

from dataclasses import dataclass
from enum import Enum

__all__ = ["Problem", "ProblemKind", "Reason", "Remark", "Rewriting", "SectionReport"]


class _Said(Enum):
    """Members have a name for machines and a sentence for people."""

    @property
    def code(self) -> str:
        """Such as ``NoLogFormat``."""
        return "".join(word.capitalize() for word in self.name.split("_"))

    @property
    def sentence(self) -> str:
        """What it means, and what can be done."""
        return str(self.value)


class Reason(_Said):
    """Why a section is not traced."""

    EXCLUDED = "It is not among the frontends that were chosen."
    OTHER_MODE = "Its mode is neither http nor tcp."
    TCP_NOT_WANTED = "Its mode is tcp, and only HTTP is to be traced."
    ALREADY_TRACED = "It has lines for the agent that somebody else put there: take them out, or leave it so."
    NAME_UNKNOWN = "Its name comes from an environment variable, so it can't be told whether it was chosen."
    LINE_UNKNOWN = "One of its lines, or of its `defaults`, gets its keyword from an environment variable."
    DEFAULTS_UNKNOWN = "It can't be told which `defaults` section it inherits from: name one, in front of it, with `from`."
    MODE_UNKNOWN = "Its mode depends on a condition or on an environment variable: write it in a line of its own."
    LINES_SHARED = "Depending on a condition, lines belong to it or to another section: write each section within one `.if`."
    FCGI = "It uses a FastCGI application, and HAProxy before 3.2 allows no other filter beside it: use it in a `backend`."
    FILTER_CONDITIONAL = "It has a filter, or a cache, under a condition, and a second filter needs to know whether it is there."
    RULES_CONDITIONAL = "It has `tcp-request` or `monitor fail` lines behind rules that stand under a condition: put them in front."
    NO_LOG_FORMAT = "It logs without a log format, so requests leave no record: add `option httplog` (in mode tcp `option tcplog`)."
    LOG_FORMAT_CONDITIONAL = "Whether it has a log format depends on a condition: write one without a condition."
    LOG_FORMAT_SD = "It has a `log-format-sd` of its own, and HAProxy knows but one in each section."
    LOG_TARGET_RFC5424 = "It has a log target with `format rfc5424`, which would get our records as well: give it another format."
    LOG_STEPS = "It has `log-steps` other than `close`, and a record is needed exactly once, at the end."


class Remark(_Said):
    """What a traced section does that its traces will show."""

    DONTLOG_NORMAL = "`option dontlog-normal` takes the records of all that goes well: only errors have spans."
    LOGASAP = "`option logasap` sends the record before the end: spans end too early."
    SET_LOG_LEVEL = "`set-log-level silent` or `debug` takes the records of the requests that it is for: they have no spans."


class ProblemKind(_Said):
    """Why nothing was rewritten at all."""

    MARKERS_DAMAGED = "A marker of an earlier rewriting has no counterpart: take out the markers and what is between them."
    UNREADABLE_LINE = "HAProxy can't read this line: an open quote or brace, a wrong escape, a NUL."
    NO_LINE_FEED = "The last line has no line feed: HAProxy refuses such a file."
    CONDITIONS = "`.if`, `.elif`, `.else` and `.endif` do not fit together here."
    NAME_TAKEN = "A section has the name that one of ours must have: rename it, or take it out if it was made for the agent."


@dataclass(frozen=True, slots=True)
class Problem:
    """Why nothing was rewritten, and where."""

    kind: ProblemKind
    file: int
    """Number of the file, from 0."""
    line: int
    """Number of the line, from 1."""


@dataclass(frozen=True, slots=True)
class SectionReport:
    """One ``frontend`` or ``listen`` section."""

    kind: str
    name: str
    file: int
    """Number of the file, from 0."""
    line: int
    """Number of its first line, from 1, in the text without anything inserted."""
    reason: Reason | None = None
    """Why it is not traced; None if it is."""
    remarks: tuple[Remark, ...] = ()


@dataclass(frozen=True, slots=True)
class Rewriting:
    """What became of a configuration."""

    texts: tuple[str, ...]
    """The files, as many as there were."""
    sections: tuple[SectionReport, ...] = ()
    """In their order; none if there is a problem."""
    problem: Problem | None = None

    @property
    def traced(self) -> tuple[SectionReport, ...]:
        """The sections that are traced."""
        return tuple(section for section in self.sections if section.reason is None)
