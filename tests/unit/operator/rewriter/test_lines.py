"""Lines, their ends and their prefixes."""

from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_operator.rewriter.lines import read_line, split_lines


@given(st.text(alphabet="a\n\r\v\f\x85\u2028"))
def test_lines_are_all_of_a_text_and_only_a_line_feed_ends_one(text: str) -> None:
    lines = split_lines(text)
    assert "".join(lines) == text
    assert all(line.find("\n") in (-1, len(line) - 1) for line in lines)
    assert all(line.endswith("\n") for line in lines[:-1])
    assert "" not in lines


def test_a_prefix_is_no_keyword() -> None:
    line = read_line(3, "  no option httplog\n")
    assert line is not None
    assert (line.index, line.negated, line.keyword, line.texts) == (3, True, "option", ("option", "httplog"))


def test_a_word_that_is_not_there_is_empty() -> None:
    line = read_line(0, "# nothing\n")
    assert line is not None
    assert (line.keyword, line.text(7), line.negated, line.expands(0)) == ("", "", False, False)


def test_words_behind_a_list_of_words_may_be_anything() -> None:
    line = read_line(0, 'option "${LIST[*]}" x "$A" y')
    assert line is not None
    assert [line.expands(number) for number in range(5)] == [False, True, True, True, True]
    assert not line.expands(9) or line.words[1].splits


def test_a_variable_matters_to_its_own_word() -> None:
    line = read_line(0, 'option "$A" x')
    assert line is not None
    assert [line.expands(number) for number in range(4)] == [False, True, False, False]


def test_what_cannot_be_read_is_no_line() -> None:
    assert read_line(0, "acl x path '") is None


def test_a_variable_is_no_prefix() -> None:
    line = read_line(0, '"$A"no option')
    assert line is not None
    assert not line.negated
