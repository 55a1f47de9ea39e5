"""Words of HAProxy's configuration: quoted where they must be, and what is quoted is read as it was meant."""

import shlex

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.wiring.words import plain_or_quoted, quoted


@pytest.mark.parametrize(
    "text", ["/etc/haproxy-telemetry/spoe.cfg", "127.0.0.1:12345", "[::1]:12345", "unix@/run/a.sock", "a=b,c+d%"]
)
def test_what_means_nothing_else_stays_plain(text: str) -> None:
    assert plain_or_quoted(text) == text


@pytest.mark.parametrize(
    ("text", "word"),
    [("", "''"), ("a b", "'a b'"), ("#1", "'#1'"), ("$HOME", "'$HOME'"), ("a\\b", "'a\\b'"), ('"', "'\"'"), ("it's", r"'it'\''s'")],
)
def test_the_rest_is_quoted(text: str, word: str) -> None:
    assert plain_or_quoted(text) == quoted(text) == word


@given(text=st.text(st.characters(codec="ascii", exclude_characters="\n\r\0")))
def test_it_is_one_word_with_the_meaning_of_the_text(text: str) -> None:
    """A shell's rules, which HAProxy's are for single quotes and for a backslash outside of them."""
    assert shlex.split(quoted(text)) == shlex.split(plain_or_quoted(text)) == [text]
