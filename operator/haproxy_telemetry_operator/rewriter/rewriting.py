"""Rewriting: a configuration with the agent's lines in it, and a report of what was done.

Whole lines are inserted, between markers; no line of the user's is changed or moved. What was inserted before is taken out first,
so that doing it twice, or with other insertions, is the same as doing it once. Where there is any doubt a section is left as it is,
and where HAProxy would refuse a file everything is.

Texts are decoded so that any bytes survive: ``data.decode("utf-8", "surrogateescape")``, and encoded likewise.
"""

from collections.abc import Iterable, Sequence

from .insertions import Insertions, SectionLines
from .judgement import Judgement, judge
from .markers import enclosed, remove_marked
from .placement import index_of_rules
from .report import Problem, ProblemKind, Reason, Rewriting, SectionReport
from .sections import Configuration, Section, read_configuration
from .selection import Selection
from .traits import Traits, resolve_traits

__all__ = ["rewrite"]

_INDENT = "    "
_TRACEABLE = frozenset(("frontend", "listen"))
_NAMED = frozenset(("backend", "defaults", "frontend", "listen", "ring"))
_ALL = Selection()

_Block = tuple[int, list[str]]
"""The line that a block goes in front of, and its lines. Those of a file are in order."""


def rewrite(texts: Sequence[str], insertions: Insertions, selection: Selection = _ALL) -> Rewriting:
    """Inserts what is to be inserted into the files of a configuration, given in the order in which HAProxy reads them.

    The sections behind all others go to the end of the last file; with no section to be traced nothing is inserted anywhere.
    """
    unmarked = [remove_marked(text) for text in texts]
    for file, (_, damaged_line) in enumerate(unmarked):
        if damaged_line is not None:
            return Rewriting(tuple(texts), problem=Problem(ProblemKind.MARKERS_DAMAGED, file, damaged_line))
    plain = tuple(text for text, _ in unmarked)
    configuration = read_configuration(plain)
    problem = configuration.problem or _taken_name(configuration, insertions)
    if problem is not None:
        return Rewriting(plain, problem=problem)

    traits = resolve_traits(configuration.sections)
    reports: list[SectionReport] = []
    blocks: list[list[_Block]] = [[] for _ in plain]
    for section in configuration.sections:
        if section.kind in _TRACEABLE:
            judgement, section_blocks = _section(section, traits[section.number], insertions, selection)
            reports.append(
                SectionReport(section.kind, section.name, section.file, section.index + 1, judgement.reason, judgement.remarks)
            )
            blocks[section.file] += section_blocks
    if any(report.reason is None for report in reports):
        blocks[-1].append((len(configuration.files[-1]), enclosed(insertions.sections.splitlines())))
    files = zip(configuration.files, blocks, strict=True)
    return Rewriting(tuple(_with_blocks(lines, file_blocks) for lines, file_blocks in files), tuple(reports))


def _section(section: Section, traits: Traits, insertions: Insertions, selection: Selection) -> tuple[Judgement, list[_Block]]:
    if not selection.is_everything:
        if section.names_variable:
            return Judgement(Reason.NAME_UNKNOWN), []
        if not selection.takes(section.name):
            return Judgement(Reason.EXCLUDED), []
    judgement = judge(section, traits, insertions.by_mode)
    if judgement.reason is not None:
        return judgement, []
    rules_index = index_of_rules(section, judgement.mode)
    if rules_index is None:
        return Judgement(Reason.RULES_CONDITIONAL), []
    return judgement, _blocks_of(section, judgement, insertions.by_mode[judgement.mode], rules_index)


def _blocks_of(section: Section, judgement: Judgement, lines: SectionLines, rules_index: int) -> list[_Block]:
    """What goes where; lines for the same place go into one block."""
    at_top = () if judgement.targets_at_end else lines.targets
    at_end = lines.targets if judgement.targets_at_end else ()
    blocks: dict[int, list[str]] = {}
    for index, block in (
        (section.index + 1, (*at_top, *lines.top, *judgement.top)),
        (rules_index, lines.rules),
        (section.end + 1, (*lines.end, *judgement.end, *at_end)),
    ):
        if block:
            blocks.setdefault(index, []).extend(block)
    return [(index, enclosed(block, _INDENT)) for index, block in blocks.items()]


def _taken_name(configuration: Configuration, insertions: Insertions) -> Problem | None:
    for section in configuration.sections:
        if section.kind in _NAMED and section.name in insertions.section_names:
            return Problem(ProblemKind.NAME_TAKEN, section.file, section.index + 1)
    return None


def _with_blocks(lines: Sequence[str], blocks: Iterable[_Block]) -> str:
    parts: list[str] = []
    position = 0
    for index, block in blocks:
        parts += lines[position:index]
        parts += block
        position = index
    parts += lines[position:]
    return "".join(parts)
