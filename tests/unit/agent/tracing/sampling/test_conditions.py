"""Conditions, each against the plainest way to say the same."""

import fnmatch

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.request import NO_REQUEST, Request
from haproxy_telemetry_agent.tracing.sampling.conditions import (
    MAX_PATH_CHARACTERS,
    Condition,
    frontend_condition,
    glob,
    header_condition,
    host_condition,
    method_condition,
    network_condition,
    path_condition,
    path_matcher,
)


class TestGlob:
    @pytest.mark.parametrize(
        ("pattern", "text", "fits"),
        [
            ("", "", True),
            ("*", "", True),
            ("*", "/a/b", True),
            ("/a", "/a", True),
            ("/a", "/ab", False),
            ("/a*", "/ab/c", True),
            ("*.css", "/a.css", True),
            ("*.css", "/a.css.map", False),
            ("/a*b", "/a", False),
            ("ab*ba", "aba", False),
            ("a*b*c", "aXbYc", True),
            ("a*b*c", "acb", False),
            ("a**c", "ac", True),
            ("a?[b]", "a?[b]", True),
            ("a?", "ab", False),
        ],
    )
    def test_examples(self, pattern: str, text: str, fits: bool) -> None:
        assert glob(pattern)(text) is fits

    @given(pattern=st.text("ab/*", max_size=8), text=st.text("ab/", max_size=10))
    def test_is_that_of_fnmatch(self, pattern: str, text: str) -> None:
        assert glob(pattern)(text) is fnmatch.fnmatchcase(text, pattern)

    def test_a_text_made_to_be_slow_is_not(self) -> None:
        """Twenty wildcards that go back would not end."""
        assert not glob("*a" * 20 + "*b")("a" * 100_000)


class TestRegex:
    def test_is_found_anywhere(self) -> None:
        matches = path_matcher("regex", "/b/")
        assert matches("/a/b/c")
        assert not matches("/a/c")

    def test_only_the_beginning_of_a_long_text_is_looked_at(self) -> None:
        matches = path_matcher("regex", "x")
        assert matches("a" * (MAX_PATH_CHARACTERS - 1) + "x")
        assert not matches("a" * MAX_PATH_CHARACTERS + "x")

    def test_must_be_safe_and_haproxys_too(self) -> None:
        for pattern in ("(a+)+", "(?i)a"):
            with pytest.raises(ValueError, match=r".+"):
                path_matcher("regex", pattern)


@pytest.mark.parametrize(
    ("condition", "request_", "holds"),
    [
        (path_condition("prefix", "/a"), Request(path="/ab"), True),
        (path_condition("prefix", "/a"), Request(path="/b/a"), False),
        (path_condition("prefix", "/*"), Request(path="/ab"), False),
        (path_condition("glob", "/a/*/c"), Request(path="/a/b/b/c"), True),
        (path_condition("glob", "/a/*/c"), Request(path="/a/b/c/d"), False),
        (path_condition("regex", "^/v[0-9]/"), Request(path="/v1/x"), True),
        (path_condition("regex", "^/v[0-9]/"), Request(path="/vx/x"), False),
        (host_condition("Example.com"), Request(host="eXample.com:8080"), True),
        (host_condition("example.com"), Request(host="a.example.com"), False),
        (host_condition("*.example.com"), Request(host="A.b.Example.com"), True),
        (host_condition("*.example.com"), Request(host="example.com"), False),
        (host_condition("*.example.com"), Request(host="badexample.com"), False),
        (method_condition("GET"), Request(method="GET"), True),
        (method_condition("GET"), Request(method="get"), False),
        (frontend_condition("public-*"), Request(frontend="public-http"), True),
        (frontend_condition("public-*"), Request(frontend="private"), False),
        (header_condition("X-Tenant", "a"), Request(headers={"x-tenant": "a"}), True),
        (header_condition("X-Tenant", "a"), Request(headers={"x-tenant": "A"}), False),
        (header_condition("X-Tenant", None), Request(headers={"x-tenant": ""}), True),
        (header_condition("X-Tenant", None), Request(headers={"x-other": "a"}), False),
        (network_condition(["10.0.0.0/8", "::1"]), Request(client_address="10.1.2.3"), True),
        (network_condition(["10.0.0.0/8", "::1"]), Request(client_address="::1"), True),
        (network_condition(["10.0.0.0/8", "::1"]), Request(client_address="11.1.2.3"), False),
    ],
)
def test_condition(condition: Condition, request_: Request, holds: bool) -> None:
    assert condition(request_) is holds


@pytest.mark.parametrize(
    "condition",
    [
        path_condition("prefix", ""),
        path_condition("glob", "*"),
        path_condition("regex", ""),
        host_condition("*.com"),
        method_condition("GET"),
        frontend_condition("*"),
        header_condition("a", None),
        network_condition(["0.0.0.0/0", "::/0"]),
    ],
)
def test_what_is_not_known_fulfils_nothing(condition: Condition) -> None:
    assert not condition(NO_REQUEST)
