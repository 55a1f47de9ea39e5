"""Words as HAProxy reads them; each row was tried with a real one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_operator.rewriter.tokens import Word, read_words


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", []),
        ("\n", []),
        ("  \t\v\f\r\n", []),
        ("# comment", []),
        ("frontend web", ["frontend", "web"]),
        ("\tfrontend\t web \r\n", ["frontend", "web"]),
        ("frontend web\r all of this is behind the end\n", ["frontend", "web"]),
        ("frontend web \r all of this is not\r\n", ["frontend", "web", "all", "of", "this", "is", "not"]),
        (" \r\rfrontend web", ["frontend", "web"]),
        ("frontend web#not a name", ["frontend", "web"]),
        ("acl a path '#' \"# x\" \\# # comment", ["acl", "a", "path", "#", "# x", "#"]),
        ("a\\ b c", ["a b", "c"]),
        ("a'b c'd\"e f\"g", ["ab cde fg"]),
        ("'a\"b' \"a'b\" 'a\\' b", ['a"b', "a'b", "a\\", "b"]),
        ("\\\" \\' \\\\ \\q \\", ['"', "'", "\\", "\\q", "\\"]),
        ("a\\\n", ["a\\"]),
        ('"a\\"b" "\\$HOME" "\\q"', ['a"b', "$HOME", "\\q"]),
        ("\\x6dode \\r\\n\\t", ["mode", "\r\n\t"]),
        ("'$HOME' $HOME ${HOME}", ["$HOME", "$HOME", "${HOME}"]),
        ('a "" b', ["a"]),
        ("'' a", []),
    ],
)
def test_words(line: str, words: list[str]) -> None:
    assert read_words(line) == tuple(map(Word, words))


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('"$HOME"', Word("", expands=True)),
        ('a"${HOME}"b', Word("ab", expands=True)),
        ('"${HOME-a b}c"', Word("c", expands=True)),
        ('"${.FILE}"', Word("", expands=True)),
        ('"${LIST[*]}"', Word("", expands=True, splits=True)),
        ('"${LIST[*]}""$A"', Word("", expands=True, splits=True)),
    ],
)
def test_a_word_with_a_variable_is_marked(line: str, word: Word) -> None:
    assert read_words(f"bind {line} x") == (Word("bind"), word, Word("x"))


@pytest.mark.parametrize(
    "line",
    [
        "'",
        "a'b",
        '"',
        'a"b\\"',
        '"${HOME"',
        '"${1}"',
        '"$"',
        '"a$ b"',
        "\\x",
        "\\x6",
        "\\xzz",
        '"\\xzz"',
        "'\r'",
        '"\r"',
        '"${A-\r}"',
    ],
)
def test_what_haproxy_cannot_read(line: str) -> None:
    assert read_words(line) is None


def test_a_carriage_return_behind_a_variable_is_read_only_at_the_end() -> None:
    """Whether HAProxy takes it for the end depends on the variable's being empty."""
    assert read_words('bind "$A"\r\n') == (Word("bind"), Word("", expands=True))
    assert read_words('bind "$A"\r x') is None
    assert read_words('bind "$A" \r x') == (Word("bind"), Word("", expands=True), Word("x"))


@given(st.text(alphabet=" \t\r\n#'\"\\$x{}[]*-6ab"))
def test_any_text_is_words_or_none(line: str) -> None:
    words = read_words(line)
    assert words is None or all(word.text or word.expands for word in words)


@given(st.lists(st.text(min_size=1).filter(lambda text: not set("'\n\r") & set(text))))
def test_quoted_words_come_back(texts: list[str]) -> None:
    assert read_words(" ".join(f"'{text}'" for text in texts)) == tuple(map(Word, texts))
