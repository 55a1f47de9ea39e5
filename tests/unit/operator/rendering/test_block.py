"""The block: nothing of the user's ever changes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_operator.rendering.block import BEGIN, END, Text, guarded, render_block, with_block, without_block

BLOCK = render_block(["filter spoe engine haproxy-telemetry", "log ring@haproxy-telemetry"])
lines = st.text(st.sampled_from("ab #\t\r\n\x1c\u2028é")) | st.text()
texts = lines.filter(lambda text: BEGIN not in text and END not in text)


def test_text() -> None:
    assert BLOCK == (
        "# >>> haproxy-telemetry (managed by haproxy-telemetry-operator; do not edit)\n"
        ".if defined(HAPROXY_TELEMETRY)\n"
        "filter spoe engine haproxy-telemetry\n"
        "log ring@haproxy-telemetry\n"
        ".endif\n"
        "# <<< haproxy-telemetry\n"
    )
    assert guarded("a\n\n") == ".if defined(HAPROXY_TELEMETRY)\na\n.endif\n"


def test_no_line_is_a_marker_to_kubernetes_ingress() -> None:
    assert "config-snippet" not in BLOCK
    assert all(line.split()[1] not in ("BEGIN", "END") for line in (BEGIN, END))


@given(texts)
def test_without_the_block_a_text_is_what_it_was(text: str) -> None:
    assert without_block(with_block(text, BLOCK).text) == Text(text)


@given(texts)
def test_without_a_block_nothing_is_taken_away(text: str) -> None:
    assert without_block(text) == Text(text)


@given(texts)
def test_twice_is_once_and_another_block_takes_its_place(text: str) -> None:
    once = with_block(text, render_block(["other"]))
    assert with_block(once.text, BLOCK) == with_block(text, BLOCK)
    assert with_block(with_block(text, BLOCK).text, BLOCK) == with_block(text, BLOCK)


@given(texts, texts)
def test_what_the_user_writes_below_it_stays(above: str, below: str) -> None:
    if above and not above.endswith("\n"):
        above += "\n"
    assert without_block(with_block(above, BLOCK).text + below) == Text(above + below)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (f"a\n{BEGIN}\nb\n", 2),
        (f"a\n{END}\nb\n", 2),
        (f"{BEGIN}\n{BEGIN}\n{END}\n", 2),
        (f"{BEGIN}\n{END}\n{END}\n", 3),
        (f"{BEGIN}\r\nb", 1),
    ],
)
def test_a_marker_without_its_counterpart_is_left_to_the_user(text: str, line: int) -> None:
    assert without_block(text) == Text(text, line)
    assert with_block(text, BLOCK) == Text(text, line)


def test_indented_by_a_tool_it_is_still_found() -> None:
    indented = "".join(f"  {line}\r\n" for line in BLOCK.splitlines())
    assert without_block(f"a\n{indented}b\n") == Text("a\nb\n")
