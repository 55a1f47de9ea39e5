"""What is taken as a regular expression, and that what is taken ends soon."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.regex import MAX_TEXT_CHARACTERS, compile_search, regex_fault


@pytest.mark.parametrize(
    "pattern",
    [
        "",
        "/healthz",
        "/healthz|/ready",
        "^/api/v[0-9]+/users/[^/]+/orders/[0-9]+$",
        "^/api/.*/orders/.*$",
        r"\.(css|js|png)$",
        "^/([^/]+)/b$",
        "^/(?:a|b)?/c",
        "^/v[0-9]{1,3}/",
        "^/[]x]+[^]]",
        "^(/x)*y",
        "^(?:[0-9]){4}-",
        r"^/a\(b\)\*$",
        "^/.*+$",
        "^/a??b",
        r"\w+@",
        r"\.(css|js|png|svg|woff2?|ico|map)$",
        "^/(a|b)/.*x[0-9]+$",
        "/users/[0-9]+/orders/[0-9]+$",
    ],
)
def test_taken(pattern: str) -> None:
    assert regex_fault(pattern) is None


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(", "is no regular expression: missing ), unterminated subpattern"),
        ("[a", "is no regular expression: unterminated character set"),
        ("*a", "is no regular expression: nothing to repeat"),
        ("a{2,1}", "is no regular expression: min repeat greater than max repeat"),
        ("a{99999999999}", "is no regular expression: the repetition number is too large"),
        # As many ways as subsets.
        ("(a+)+$", "a repeated group holds repetitions or alternatives"),
        ("(?:a|a)*$", "a repeated group holds repetitions or alternatives"),
        ("(a?a?)*$", "a repeated group holds repetitions or alternatives"),
        ("((a*))*", "a repeated group holds repetitions or alternatives"),
        ("^((a+)b)*", "a repeated group holds repetitions or alternatives"),
        ("^(a{1,5}){3}", "a repeated group holds repetitions or alternatives"),
        ("a?" * 20 + "a" * 20, "too many repetitions"),
        # Cubes and more.
        ("^(?:a|aa)(?:a|aa)" + "(a|aa|aaa)" * 20, "too many repetitions"),
        ("^.*a.*b.*c", "too many repetitions"),
        ("^.*a.*b[^/]+/", "too many repetitions"),
        ("aa*a+?/", "too many repetitions"),
        (".*a[0-9]{9}", "too many repetitions"),
        (".*a.*b", "too many repetitions"),
        ("^a|.*a.*b", "too many repetitions"),
        ("^[^/]+a?[^/]+/?[^/]+x", "too many repetitions"),
        # What PCRE knows too, but differently, or not at all.
        ("(?i)a", "has a group that is neither ( nor (?:"),
        ("(?=a)b", "has a group that is neither ( nor (?:"),
        ("(?P<x>a)", "has a group that is neither ( nor (?:"),
        (r"(a)\1", r"has \1"),
        (r"a\Z", r"has \Z"),
        (r"\u0061", r"has \u"),
        ("^/[[:alpha:]]+$", "has what HAProxy may read otherwise: Possible nested set"),
    ],
)
def test_refused(pattern: str, reason: str) -> None:
    assert reason in (regex_fault(pattern) or "taken")


def test_is_found_anywhere() -> None:
    matches = compile_search("/b/")
    assert matches("/a/b/c")
    assert not matches("/a/c")


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    matches = compile_search("x")
    assert matches("a" * (MAX_TEXT_CHARACTERS - 1) + "x")
    assert not matches("a" * MAX_TEXT_CHARACTERS + "x")


PIECES = st.lists(
    st.sampled_from(["a", "b", "/", ".", "[^/]", "[ab]", "(", "(?:", ")", "|", "*", "+", "?", "{2}", "{1,9}", "{2,}", "^", "$"]),
    max_size=10,
).map("".join)


@given(pattern=PIECES)
def test_any_text_is_taken_or_refused_in_words(pattern: str) -> None:
    fault = regex_fault(pattern)
    if fault is None:
        compile_search(pattern)("a/b")
    else:
        assert re.match(r"is no regular expression: |may take too long: |has ", fault)


@given(pattern=PIECES, text=st.text("ab/", min_size=1, max_size=3), end=st.sampled_from(["", "x", "/x", "bx"]))
def test_what_is_taken_ends_soon(pattern: str, text: str, end: str) -> None:
    """Nothing exponential passes: it would run into the time limit of the whole suite (2 ** 600 ways)."""
    if regex_fault(pattern) is None:
        compile_search(pattern)(text * (600 // len(text)) + end)
