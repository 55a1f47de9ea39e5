"""Which lines belong to which section, and what each inherits from."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_operator.rewriter.conditions import MAX_POSSIBILITIES, NOTHING
from haproxy_telemetry_operator.rewriter.report import ProblemKind
from haproxy_telemetry_operator.rewriter.sections import Configuration, Section

Read = Callable[..., Configuration]


def by_name(configuration: Configuration) -> dict[str, Section]:
    assert configuration.problem is None
    return {section.name: section for section in configuration.sections}


def test_a_section_has_the_lines_up_to_the_next(read: Read) -> None:
    web, app = read("# head\nfrontend web\n  bind :1\n\n  mode http # x\n# end\nbackend app\n  server a :2\n").sections
    assert (web.kind, web.name, web.file, web.index, web.end) == ("frontend", "web", 0, 1, 4)
    assert [line.keyword for line, _ in web.lines] == ["bind", "mode"]
    assert (app.kind, app.lines, app.end) == ("backend", [], 7)


def test_a_section_ends_with_its_file(read: Read) -> None:
    configuration = read("frontend web\n", "bind :1\nbackend app\n")
    assert [(section.name, section.file, section.is_shared) for section in configuration.sections] == [
        ("web", 0, False),
        ("app", 1, False),
    ]
    assert configuration.sections[0].lines == []


def test_what_a_section_inherits_from(read: Read) -> None:
    sections = by_name(
        read(
            "frontend none\n"
            "defaults a\nfrontend last\nfrontend named from b\ndefaults b from a\n"
            "defaults from b\nfrontend nameless\nfrontend of-b from b\n",
            'frontend next\nfrontend unknown from "$X"\nfrontend from\nfrontend incomplete from\n',
        )
    )
    parents = {name: section.parents for name, section in sections.items()}
    a, b, nameless = (sections[name].number for name in ("a", "b", ""))
    assert parents == {
        "none": {NOTHING},
        "a": {NOTHING},
        "last": {a},
        "named": set(),
        "b": {a},
        "": {b},
        "nameless": {nameless},
        "of-b": {b},
        "next": {nameless},
        "unknown": set(),
        "from": {nameless},
        "incomplete": set(),
    }


def test_a_name_from_the_environment(read: Read) -> None:
    (section,) = read('frontend "web-$NAME"\n').sections
    assert (section.name, section.names_variable) == ("web-", True)


def test_no_prefix_and_no_variable_opens_a_section(read: Read) -> None:
    (section,) = read('frontend web\nno backend app\n"$A"backend app\n').sections
    assert [line.keyword for line, _ in section.lines] == ["backend", "backend"]


def test_lines_under_a_condition_know_its_outermost_if(read: Read) -> None:
    (section,) = read("frontend web\n.if 1\n.if 1\nbind :1\n.endif\nbind :2\n.else\nbind :3\n.endif\nbind :4\n").sections
    assert [index for _, index in section.lines] == [1, 1, 1, None]
    assert section.end == 9
    (section,) = read(".if 1\nfrontend web\nbind :1\n.if 1\nbind :2\n.endif\n.endif\n").sections
    assert [index for _, index in section.lines] == [None, 3]
    assert section.end == 5


@pytest.mark.parametrize(
    ("text", "shared"),
    [
        (".if 1\nfrontend a\n.else\nfrontend b\n.endif\nbind :1\n", {"a", "b"}),
        (".if 1\nfrontend a\nbind :1\n.else\nfrontend b\nbind :2\n.endif\nbackend c\n", set()),
        ("frontend a\n.if 1\nfrontend b\n.endif\nbind :1\nbind :2\nfrontend c\nbind :3\n", {"a", "b"}),
        ("frontend a\n.if 1\nfrontend b\n.endif\nfrontend c\nbind :3\n", set()),
        (".if 1\nfrontend a\n.endif\nbind :1\n", {"a"}),
        (".if 1\nfrontend a\n.endif\n.notice x\n# comment\n", set()),
    ],
)
def test_lines_that_may_belong_to_several_sections(read: Read, text: str, shared: set[str]) -> None:
    assert {section.name for section in read(text).sections if section.is_shared} == shared


def test_a_section_that_ends_under_a_condition(read: Read) -> None:
    a, b = read("frontend a\nbind :1\n.if 1\nbind :2\nfrontend b\n.endif\n").sections
    assert a.ends_in_condition
    assert a.end == 1
    assert not b.ends_in_condition


def test_more_possibilities_than_are_told_apart(read: Read) -> None:
    branches = "".join(f".elif {number}\nfrontend f{number}\n" for number in range(3 * MAX_POSSIBILITIES))
    sections = read(f".if 1\n{branches}.endif\n").sections
    assert {section.is_shared for section in sections[: MAX_POSSIBILITIES + 1]} == {True}
    defaults = "".join(f".elif {number}\ndefaults d\n" for number in range(3 * MAX_POSSIBILITIES))
    web, named = read(f".if 1\n{defaults}.endif\nfrontend web\nfrontend named from d\n").sections[-2:]
    assert (web.parents, named.parents) == (set(), set())


@pytest.mark.parametrize(
    ("texts", "kind", "file", "line"),
    [
        (("frontend a\n", "frontend b\nbind '\n"), ProblemKind.UNREADABLE_LINE, 1, 2),
        (("frontend a\n\0\n",), ProblemKind.UNREADABLE_LINE, 0, 2),
        (("frontend a\n  bind",), ProblemKind.NO_LINE_FEED, 0, 2),
        (("#", "x"), ProblemKind.NO_LINE_FEED, 0, 1),
        (("a\n.if 1\n.if 2\n.endif\n", ".endif\n"), ProblemKind.CONDITIONS, 0, 2),
        ((".endif\n",), ProblemKind.CONDITIONS, 0, 1),
        ((".elif 1\n",), ProblemKind.CONDITIONS, 0, 1),
    ],
)
def test_what_haproxy_will_not_read(read: Read, texts: tuple[str, ...], kind: ProblemKind, file: int, line: int) -> None:
    problem = read(*texts).problem
    assert problem is not None
    assert (problem.kind, problem.file, problem.line) == (kind, file, line)


def test_nothing_is_a_configuration(read: Read) -> None:
    assert (read().sections, read("").sections, read("", "\n").problem) == ([], [], None)
