"""Users' patterns: what is refused, and why the rest is harmless."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.patterns import MAX_PATTERN_CHARACTERS, MAX_SUBJECT_CHARACTERS, compile_pattern

PORTABLE = [
    "",
    "/healthz",
    "/healthz|/ready",
    "/healthz$|/readyz$",
    "^/api/v[0-9]+/",
    "^/users/[^/]+/orders$",
    "^/api/v[0-9]+/users/[^/]+/orders/[0-9]+$",
    "^/api/v[0-9]+/.*/orders/.*$",
    "^/api/.*/orders/.*$",
    "^/users/([^/]+)/orders/([^/]+)/items/([^/]+)$",
    r"\.(css|js|png)$",
    r".*\.(css|js|png|gif|jpg|svg)$",
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
]


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
        *PORTABLE,
    ],
)
def test_a_pattern_that_may_be_used(text: str) -> None:
    assert compile_pattern(text) == re.compile(text)


@pytest.mark.parametrize("text", PORTABLE)
def test_a_pattern_that_haproxy_understands_too(text: str) -> None:
    assert compile_pattern(text, portable=True) == re.compile(text, re.ASCII)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        # What HAProxy reads differently, or not at all.
        ("(?i)a", "has a group that is neither ( nor (?:"),
        ("(?i:a)", "has a group that is neither ( nor (?:"),
        ("(?=a)b", "has a group that is neither ( nor (?:"),
        ("(?<!a)b", "has a group that is neither ( nor (?:"),
        ("(?>a)b", "has a group that is neither ( nor (?:"),
        ("(?P<x>a)", "has a group that is neither ( nor (?:"),
        (r"(a)\1", r"has \1"),
        (r"a\Z", r"has \Z"),
        (r"\u0061", r"has \u"),
        ("a{,3}", "has {,3}, which HAProxy may read otherwise: write the lowest number"),
        ("a{1,2", "has {, which HAProxy may read otherwise"),
        ("[a[:alpha:]]", "has [a[:alpha:], which HAProxy may read otherwise: write ranges"),
    ],
)
def test_a_pattern_that_is_not_portable(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        compile_pattern(text, portable=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[", "is no regular expression"),
        ("(?P<a", "is no regular expression"),
        ("(", "is no regular expression: missing ), unterminated subpattern"),
        ("[a", "is no regular expression: unterminated character set"),
        ("*a", "is no regular expression: nothing to repeat"),
        ("a{2,1}", "is no regular expression: min repeat greater than max repeat"),
        ("a{99999999999}", "is no regular expression: the repetition number is too large"),
        ("a" * (MAX_PATTERN_CHARACTERS + 1), "is longer than 512 characters"),
        ("(a+)+", "must not repeat a group"),
        ("(a|a)*b", "must not repeat a group"),
        ("((a+))*", "must not repeat a group"),
        ("(a?){9}", "must not repeat a group"),
        ("([a-z]+x){2,}", "must not repeat a group"),
        ("(a+)+$", "must not repeat a group"),
        ("(?:a|a)*$", "must not repeat a group"),
        ("(a?a?)*$", "must not repeat a group"),
        ("((a*))*", "must not repeat a group"),
        ("^((a+)b)*", "must not repeat a group"),
        ("^(a{1,5}){3}", "must not repeat a group"),
        (r"(a)\1", "references to groups"),
        ("(?P<n>a)(?P=n)", "references to groups"),
        ("(a)?(?(1)b|c)", "references to groups"),
        ("(?x) a", "flag x"),
        ("(?x: a )", "flag x"),
        (".*.*", "too many unbounded repetitions"),
        ("^.*.*.*x", "too many unbounded repetitions"),
        ("^a|b*c*", "too many unbounded repetitions"),
        ("^a*[^/]+/.*", "too many unbounded repetitions"),
        ("^.*a.*b.*c", "too many unbounded repetitions"),
        (".*a.*b", "too many unbounded repetitions"),
        ("^a|.*a.*b", "too many unbounded repetitions"),
        # What may be missing ends nothing.
        ("^[^/]+a?[^/]+/?[^/]+x", "too many unbounded repetitions"),
        ("^[^/]+/?[^/]+/?[^/]+x", "too many unbounded repetitions"),
        ("^.*.*a?a", "too many unbounded repetitions"),
        # In any case, a is A.
        ("^(?i:a+A+a+A+)x", "too many unbounded repetitions"),
        # Every line's beginning is one.
        ("(?m)^.*.*x", "too many unbounded repetitions"),
        ("^(?#[)]|.*.*x", "comments"),
        (".*" + "a" * 33, "has more than 32 characters or choices beside a repetition"),
        (r"^.*.*(?:\w{10}){4}x", "has more than 32 characters or choices beside a repetition"),
        (r"(?:a|a|a|a)(?:a|a|a|a)[a-z]*\w{9}x", "has more than 32 characters or choices beside a repetition"),
        (".*(?:a|ab|b|c)" + "a" * 10, "has more than 32 characters or choices beside a repetition"),
        ("a?" * 20 + "a" * 20, "leaves more than 16 choices"),
        ("a?" * 25 + "a" * 25, "leaves more than 16 choices"),
        ("(a|b)" * 6, "leaves more than 16 choices"),
        ("a{0,40}", "leaves more than 16 choices"),
    ],
)
def test_a_pattern_that_is_refused(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=re.escape(reason)):
        compile_pattern(text)


def test_alternatives_of_which_one_can_match_are_no_choice() -> None:
    compile_pattern("^/(?:en|de|fr)/.*/(?:orders|items)/.*$")
    compile_pattern(".*(?:aa|ab|b|c)" + "a" * 10)


def test_what_stands_in_front_of_repetitions_may_be_long() -> None:
    compile_pattern("^" + "/abc" * 40 + "/.*/x/.*$")


def test_matched_at_the_beginning_only_more_is_allowed() -> None:
    assert compile_pattern(".*.*x", anchored=True)
    with pytest.raises(ValueError, match="too many"):
        compile_pattern(".*.*.*x", anchored=True)


ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", "(a|b)", "(ab)", "(?:a+)", "(a|ab)", "(?i:a+)A"])
REPEATS = st.sampled_from(["", "", "*", "+", "?", "*?", "+?", "{2}", "{0,3}", "{2,}", "{40}", "++", "|"])


@given(parts=st.lists(st.tuples(ATOMS, REPEATS), max_size=6), anchor=st.booleans(), text=st.sampled_from(["a", "ab", "b", "aab"]))
def test_what_is_not_refused_ends_soon(parts: list[tuple[str, str]], anchor: bool, text: str) -> None:
    try:
        pattern = compile_pattern("^" * anchor + "".join(atom + repeat for atom, repeat in parts) + "!")
    except ValueError:
        return
    subject = (text * MAX_SUBJECT_CHARACTERS)[:MAX_SUBJECT_CHARACTERS]
    # Takes some milliseconds; what is exponential would end no test.
    assert len(pattern.sub("", subject)) <= MAX_SUBJECT_CHARACTERS


PIECES = st.lists(
    st.sampled_from(["a", "b", "/", ".", "[^/]", "[ab]", "(", "(?:", ")", "|", "*", "+", "?", "{2}", "{1,9}", "{2,}", "^", "$"]),
    max_size=10,
).map("".join)


@given(text=PIECES, portable=st.booleans())
def test_any_text_is_taken_or_refused_in_words(text: str, portable: bool) -> None:
    fault = refusal(text, portable)
    assert fault is None or re.match(r"is no regular expression: |has |leaves |must ", fault)


def refusal(text: str, portable: bool) -> str | None:
    try:
        compile_pattern(text, portable=portable).search("a/b")
    except ValueError as error:
        return str(error)
    return None


@given(pattern=PIECES, text=st.text("ab/", min_size=1, max_size=3), end=st.sampled_from(["", "x", "/x", "bx"]))
def test_what_is_portable_ends_soon(pattern: str, text: str, end: str) -> None:
    """Nothing exponential passes: it would run into the time limit of the whole suite (2 ** 600 ways)."""
    try:
        compiled = compile_pattern(pattern, portable=True)
    except ValueError:
        return
    compiled.search(text * (600 // len(text)) + end)
