"""Users' patterns: what is refused, and why the rest is harmless."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.patterns import MAX_PATTERN_CHARACTERS, MAX_SUBJECT_CHARACTERS, compile_pattern


@pytest.mark.parametrize(
    "text",
    [
        r"^/users/[^/]+",
        r"/users/\d+",
        r"^/v1/users/[^/]+/orders/[^/]+/items/[^/]+$",
        r"/[0-9a-f]{8}-[0-9a-f]{4}-",
        r"/\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3}",
        r"(?i)^/x/[^/]++/y",
        r"(?:en|de|fr)/x?",
        r"^.*.*x",
        r"a*b|c*d",
        r"(?:\d{4})+",
        r"(?P<id>\d+)$",
        r"(?=/a)/a",
        r"[]*]a",
        r"[^]]+\]",
        "a{1,2",
        "x{}",
        r"\.\*+x",
        "",
    ],
)
def test_a_pattern_that_may_be_used(text: str) -> None:
    assert compile_pattern(text) == re.compile(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "is no regular expression"),
        ("(?P<a", "is no regular expression"),
        ("a" * (MAX_PATTERN_CHARACTERS + 1), "is longer than 512 characters"),
        ("(a+)+", "must not repeat a group"),
        ("(a|a)*b", "must not repeat a group"),
        ("((a+))*", "must not repeat a group"),
        ("(a?){9}", "must not repeat a group"),
        ("([a-z]+x){2,}", "must not repeat a group"),
        (r"(a)\1", "references to groups"),
        ("(?P<n>a)(?P=n)", "references to groups"),
        ("(a)?(?(1)b|c)", "references to groups"),
        ("(?x) a", "flag x"),
        ("(?x: a )", "flag x"),
        (".*.*", "too many unbounded repetitions"),
        ("^.*.*.*x", "too many unbounded repetitions"),
        ("^a|b*c*", "too many unbounded repetitions"),
        ("^a*[^/]+/.*", "too many unbounded repetitions"),
        ("a?" * 25 + "a" * 25, "leaves more than 16 choices"),
        ("(a|b)" * 6, "leaves more than 16 choices"),
        ("a{0,40}", "leaves more than 16 choices"),
    ],
)
def test_a_pattern_that_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        compile_pattern(text)


def test_matched_at_the_beginning_only_more_is_allowed() -> None:
    assert compile_pattern(".*.*x", anchored=True)
    with pytest.raises(ValueError, match="too many"):
        compile_pattern(".*.*.*x", anchored=True)


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", "(a|b)", "(ab)", "(?:a+)", "(a|ab)"])
REPEATS = st.sampled_from(["", "", "*", "+", "?", "*?", "+?", "{2}", "{0,3}", "{2,}", "++", "|"])


@given(parts=st.lists(st.tuples(ATOMS, REPEATS), max_size=6), anchor=st.booleans(), text=st.sampled_from(["a", "ab", "b", "aab"]))
def test_what_is_not_refused_ends_soon(parts: list[tuple[str, str]], anchor: bool, text: str) -> None:
    try:
        pattern = compile_pattern("^" * anchor + "".join(atom + repeat for atom, repeat in parts) + "!")
    except ValueError:
        return
    subject = (text * MAX_SUBJECT_CHARACTERS)[:MAX_SUBJECT_CHARACTERS]
    # Takes some milliseconds; what is exponential would end no test.
    assert len(pattern.sub("", subject)) <= MAX_SUBJECT_CHARACTERS
