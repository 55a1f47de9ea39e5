"""Sensitive query parameters."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.redaction import REDACTED, redact_query
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
