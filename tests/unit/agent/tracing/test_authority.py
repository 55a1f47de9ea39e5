"""Host headers, good and bad."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

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
