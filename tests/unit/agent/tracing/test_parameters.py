"""One parameter of a record at a time; whole records are in test_ending.py and test_connection_ending.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.parameters import number, peer_port, port, server_name, word


@pytest.mark.parametrize(("text", "read"), [("a", "a"), ("--", "--"), ("-", None), ("", None)])
def test_a_word(text: str, read: str | None) -> None:
    assert word(text) == read


@pytest.mark.parametrize(("text", "read"), [("0", 0), ("-1", -1), ("1795355434119025", 1_795_355_434_119_025), ("-", None)])
def test_a_number(text: str, read: int | None) -> None:
    assert number(text) == read


@pytest.mark.parametrize("text", ["", "x", "1.5", "--"])
def test_what_is_no_number(text: str) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        number(text)


@pytest.mark.parametrize(("text", "read"), [("443", 443), ("0", None), ("-", None), ("", None), ("-1", None)])
def test_a_port(text: str, read: int | None) -> None:
    assert port(text) == read
    assert peer_port("192.0.2.1", text) == read


@given(text=st.integers(0, 65_535).map(str))
def test_there_are_no_ports_on_a_unix_socket(text: str) -> None:
    assert peer_port("unix", text) is None


@pytest.mark.parametrize(("text", "read"), [("one", "one"), ("a>", "a>"), ("<NOSRV>", None), ("<lua.hello>", None)])
def test_a_server(text: str, read: str | None) -> None:
    assert server_name(text) == read
