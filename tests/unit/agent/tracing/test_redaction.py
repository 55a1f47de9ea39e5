"""What must not leave with a span: queries, paths, URLs in headers, headers."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.patterns import MAX_SUBJECT_CHARACTERS
from haproxy_telemetry_agent.tracing.redaction import (
    REDACTED,
    Redactor,
    is_sensitive_header,
    redact_query,
    redact_query_except,
)
from haproxy_telemetry_agent.tracing.semconv import SENSITIVE_QUERY_PARAMETERS

KEYS = st.text("abcsig-", max_size=4)
SENSITIVE = frozenset({"sig", "a"})


@pytest.mark.parametrize(
    ("query", "redacted"),
    [
        ("", ""),
        ("a=1&b=2", "a=1&b=2"),
        ("sig=secret", "sig=REDACTED"),
        ("a=1&sig=secret&b=2", "a=1&sig=REDACTED&b=2"),
        ("sig=one&sig=two", "sig=REDACTED&sig=REDACTED"),
        ("sig=se=cret==", "sig=REDACTED"),
        ("sig=", "sig=REDACTED"),
        # There is no value to hide.
        ("sig", "sig"),
        ("sig&a=1", "sig&a=1"),
        # Keys match exactly, case included.
        ("Sig=x", "Sig=x"),
        ("sign=x&mysig=x", "sign=x&mysig=x"),
        ("a=sig&b=1", "a=sig&b=1"),
        ("&&=&sig=x&", "&&=&sig=REDACTED&"),
        # However it is encoded: servers decode it.
        ("s%69g=secret&%73ig=x&s%6=1", "s%69g=REDACTED&%73ig=REDACTED&s%6=1"),
    ],
)
def test_default_list(query: str, redacted: str) -> None:
    assert redact_query(query, SENSITIVE_QUERY_PARAMETERS) == redacted


@pytest.mark.parametrize("key", sorted(SENSITIVE_QUERY_PARAMETERS))
def test_every_key_of_the_list(key: str) -> None:
    assert redact_query(f"a=1&{key}=secret", SENSITIVE_QUERY_PARAMETERS) == f"a=1&{key}={REDACTED}"


def test_an_empty_list_redacts_nothing() -> None:
    assert redact_query("sig=secret", frozenset()) == "sig=secret"


@given(pairs=st.lists(st.tuples(KEYS, st.text("xy=%", max_size=4)), max_size=6))
def test_every_parameter_keeps_its_place_and_only_sensitive_values_change(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{key}={value}" for key, value in pairs)
    expected = "&".join(f"{key}={REDACTED if key in SENSITIVE else value}" for key, value in pairs)
    assert redact_query(query, SENSITIVE) == expected


@pytest.mark.parametrize(
    ("query", "redacted"),
    [
        ("page=1&q=x", "page=1&q=REDACTED"),
        ("q=x&page=1&page=2", "q=REDACTED&page=1&page=2"),
        ("secret", "REDACTED"),
        ("page", "page"),
        ("p%61ge=1", "p%61ge=REDACTED"),
        ("&=x&&", "&=REDACTED&&"),
        ("", ""),
    ],
)
def test_all_but_a_list(query: str, redacted: str) -> None:
    assert redact_query_except(query, frozenset({"page"})) == redacted
    assert Redactor(allowed=frozenset({"page"})).query(query) == redacted


@given(pairs=st.lists(st.tuples(KEYS, st.text("xy=%", max_size=4)), max_size=6))
def test_all_but_a_list_keeps_keys_and_order(pairs: list[tuple[str, str]]) -> None:
    query = "&".join(f"{key}={value}" for key, value in pairs)
    expected = "&".join(f"{key}={value if key in SENSITIVE else REDACTED}" for key, value in pairs)
    assert redact_query_except(query, SENSITIVE) == (expected if pairs else "")


class TestRedactor:
    def test_by_default_it_redacts_the_conventions_list_and_no_path(self) -> None:
        redactor = Redactor()
        assert redactor.query("sig=x&a=1") == "sig=REDACTED&a=1"
        assert redactor.query("") == ""
        path = "/users/42" * 1000
        assert redactor.path(path) is path

    def test_rules_for_paths_are_applied_one_after_the_other(self) -> None:
        redactor = Redactor(scrubs=[(r"^/users/[^/]+", "/users/ID"), (r"/(ID)/(\w+)", r"/\2/\1"), (r"\d+", "N")])
        assert redactor.path("/users/ann/orders/7/8") == "/users/orders/ID/N/N"
        assert redactor.path("/users/ann/orders/7/8") == "/users/orders/ID/N/N"
        assert redactor.path("/other") == "/other"

    def test_what_the_rules_have_not_seen_is_not_shown(self) -> None:
        redactor = Redactor(scrubs=[("secret", "")])
        assert redactor.path("/" + "a" * MAX_SUBJECT_CHARACTERS + "secret") == "/" + "a" * (MAX_SUBJECT_CHARACTERS - 1)

    def test_rules_can_make_a_path_longer_but_not_without_end(self) -> None:
        redactor = Redactor(scrubs=[("a", "a" * 200), ("a", "a" * 200)])
        assert len(redactor.path("/" + "a" * 1000)) <= 2 * MAX_SUBJECT_CHARACTERS

    @pytest.mark.parametrize(
        ("pattern", "replacement", "reason"),
        [
            ("(", "", "is no regular expression"),
            ("(a+)+", "", "must not repeat"),
            ("a", r"\1", "the replacement does not fit the pattern"),
            ("a", r"\g<x>", "the replacement does not fit the pattern"),
            ("a", r"\q", "the replacement does not fit the pattern"),
        ],
    )
    def test_refuses_rules_that_can_not_be_used(self, pattern: str, replacement: str, reason: str) -> None:
        with pytest.raises(ValueError, match=re.escape(reason)):
            Redactor(scrubs=[(pattern, replacement)])

    @pytest.mark.parametrize(
        ("url", "redacted"),
        [
            ("https://ann:pw@shop.example/users/ann?sig=x&a=1#top", "https://shop.example/users/ID?sig=REDACTED&a=1"),
            ("/users/ann?sig=x", "/users/ID?sig=REDACTED"),
            ("https://shop.example", "https://shop.example"),
            ("//ann:pw@shop.example/users/ann", "//shop.example/users/ID"),
            ("https://a@b:pw@shop.example?sig=x", "https://shop.example?sig=REDACTED"),
            ("/r?to=https://a:b@c/", "/r?to=https://a:b@c/"),
            ("?sig=x", "?sig=REDACTED"),
            ("/a?b=/users/ann", "/a?b=/users/ann"),
            ("", ""),
        ],
    )
    def test_url(self, url: str, redacted: str) -> None:
        assert Redactor(scrubs=[("^/users/[^/]+", "/users/ID")]).url(url) == redacted


@pytest.mark.parametrize(
    "name",
    [
        "Authorization",
        "proxy-authorization",
        "cookie",
        "Set-Cookie",
        "x-api-key",
        "apikey",
        "X-Auth-Token",
        "x-amz-security-token",
        "x-session-id",
        "auth",
        "x-auth",
        "x-hub-signature-256",
    ],
)
def test_headers_that_carry_secrets(name: str) -> None:
    assert is_sensitive_header(name)


@pytest.mark.parametrize("name", ["content-type", "x-author", "accept", "x-request-id", "www-authenticate", "cache-control", "key"])
def test_headers_that_do_not(name: str) -> None:
    assert not is_sensitive_header(name)
