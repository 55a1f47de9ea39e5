"""The rewriter: a plain HAProxy's configuration in, the same with the agent's lines in it out. Pure text."""

from .insertions import Insertions
from .markers import remove_marked
from .report import Problem, ProblemKind, Reason, Remark, Rewriting, SectionReport
from .rewriting import rewrite
from .selection import Selection

__all__ = [
    "Insertions",
    "Problem",
    "ProblemKind",
    "Reason",
    "Remark",
    "Rewriting",
    "SectionReport",
    "Selection",
    "remove_marked",
    "rewrite",
]
