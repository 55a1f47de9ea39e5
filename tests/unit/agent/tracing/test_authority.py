"""Host headers, good and bad."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing import authority as authority_module
from haproxy_telemetry_agent.tracing.authority import split_authority


@pytest.mark.parametrize(
    ("authority", "address", "port"),
    [
        ("example.com", "example.com", None),
        ("example.com:8443", "example.com", 8443),
        ("192.0.2.7:80", "192.0.2.7", 80),
        ("[2001:db8::1]", "2001:db8::1", None),
        ("[2001:db8::1]:8443", "2001:db8::1", 8443),
        ("user:secret@example.com:8443", "example.com", 8443),
        ("user:secret@[::1]", "::1", None),
        ("example.com:", "example.com", None),
        ("example.com:0", "example.com", None),
        ("example.com:1", "example.com", 1),
        ("example.com:65535", "example.com", 65_535),
        ("example.com:65536", "example.com", None),
        ("example.com:-1", "example.com", None),
        ("example.com:http", "example.com", None),
        ("example.com:\u0668\u0660", "example.com", None),
        ("[::1", "::1", None),
        ("", "", None),
        (":80", "", 80),
    ],
)
def test_split(authority: str, address: str, port: int | None) -> None:
    assert split_authority(authority) == (address, port)


@given(authority=st.one_of(st.text(max_size=30), st.text("a1:@[].", max_size=30)))
@example("a:" + "1" * 5000)
def test_any_text_gives_an_address_and_a_port_that_is_one(authority: str) -> None:
    _address, port = split_authority(authority)
    assert port is None or 0 < port < 65_536


def test_what_is_too_long_for_a_host_is_not_remembered() -> None:
    authority_module._remembered.cache_clear()
    assert split_authority("a" * 5000 + ":80") == ("a" * 5000, 80)
    assert authority_module._remembered.cache_info().currsize == 0
