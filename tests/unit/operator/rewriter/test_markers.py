"""What was inserted is found again, and leaves no trace."""

import pytest

from haproxy_telemetry_operator.rewriter.markers import BEGIN, END, Unmarked, enclosed, remove_marked


def test_marked_lines_go_and_all_others_stay() -> None:
    block = "".join(enclosed(["log x", "filter y"], "  "))
    assert block == f"  {BEGIN}\n  log x\n  filter y\n  {END}\n"
    text = "frontend a\r\n" + block + "\tbind :1 # x\n" + block + "last"
    assert remove_marked(text) == ("frontend a\r\n\tbind :1 # x\nlast", None)


@pytest.mark.parametrize(
    ("lines", "line"),
    [([BEGIN, "a"], 1), (["a", END], 2), ([BEGIN, BEGIN, END], 2), ([BEGIN, END, "a", END], 4), (["a", "  " + BEGIN], 2)],
)
def test_a_marker_without_its_other_is_damage(lines: list[str], line: int) -> None:
    text = "\n".join(lines) + "\n"
    assert remove_marked(text) == Unmarked(text, line)


def test_markers_do_no_harm_to_the_snippets_of_ingress_controllers() -> None:
    """haproxytech's kubernetes-ingress looks at a comment's second word."""
    for marker in (BEGIN, END):
        assert marker.split()[1] not in {"BEGIN", "END"}
        assert "config-snippet" not in marker
