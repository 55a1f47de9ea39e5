"""Typed data against HAProxy's doc/SPOE.txt, section 3.1."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.spop.errors import InvalidFrame, LocalProtocolError
from haproxy_telemetry_agent.spop.values import Value, decode_string, decode_value, encode_string, encode_value

INT64_MIN = -(2**63)
UINT64_MAX = 2**64 - 1

VALUES: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(INT64_MIN, UINT64_MAX),
    st.text(),
    st.binary(),
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
)

# What goes out as these bytes comes in as the same value.
BOTH_WAYS: list[tuple[str, Value]] = [
    ("00", None),
    ("01", False),
    ("11", True),
    ("04 00", 0),
    ("04 ef", 239),
    ("04 f0 00", 240),
    ("04 ff f0 fe fe fe fe fe fe fe 0e", -1),
    ("04 f0 f1 fe fe fe fe fe fe fe 06", INT64_MIN),
    ("04 ff f0 fe fe fe fe fe fe fe 06", 2**63 - 1),
    ("05 f0 f1 fe fe fe fe fe fe fe 06", 2**63),
    ("05 ff f0 fe fe fe fe fe fe fe 0e", UINT64_MAX),
    ("06 7f 00 00 01", IPv4Address("127.0.0.1")),
    ("07 20 01 0d b8 00 00 00 00 00 00 00 00 00 00 00 01", IPv6Address("2001:db8::1")),
    ("08 00", ""),
    ("08 05 68 65 6c 6c 6f", "hello"),
    ("08 02 c3 a9", "é"),
    ("09 00", b""),
    ("09 02 ff fe", b"\xff\xfe"),
]

# What we never write, but a peer may.
ONLY_IN: list[tuple[str, Value]] = [
    ("02 00", 0),
    # A negative int32 with its sign in 32 or in 64 bits: the specification does not say which.
    ("02 ff f0 fe fe 3e", 2**31 - 1),
    ("02 f0 f1 fe fe 3e", -(2**31)),
    ("02 f0 f1 fe fe be fe fe fe fe 0e", -(2**31)),
    ("02 ff f0 fe fe 7e", -1),
    ("02 ff f0 fe fe fe fe fe fe fe 0e", -1),
    ("03 00", 0),
    ("03 f0 f1 fe fe 3e", 2**31),
    ("03 ff f0 fe fe 7e", 2**32 - 1),
    ("05 00", 0),
    ("08 01 ff", "\ufffd"),
    # The upper four bits are flags; only a boolean has one.
    ("f1", True),
    ("e1", False),
    ("f0", None),
    ("14 07", 7),
    ("18 01 61", "a"),
]


@pytest.mark.parametrize(("wire", "value"), BOTH_WAYS)
def test_encode(wire: str, value: Value) -> None:
    assert encode_value(value) == bytes.fromhex(wire)


@pytest.mark.parametrize(("wire", "value"), BOTH_WAYS + ONLY_IN)
def test_decode(wire: str, value: Value) -> None:
    encoded = bytes.fromhex(wire)
    decoded, end = decode_value(encoded + b"\xaa", 0)
    assert (decoded, type(decoded), end) == (value, type(value), len(encoded))


@pytest.mark.parametrize(("wire", "value"), BOTH_WAYS + ONLY_IN)
def test_cut_anywhere_is_invalid(wire: str, value: Value) -> None:
    encoded = bytes.fromhex(wire)
    for size in range(len(encoded)):
        with pytest.raises(InvalidFrame):
            decode_value(encoded[:size], 0)


@given(value=VALUES, before=st.binary(max_size=4), behind=st.binary(max_size=4))
def test_round_trip_in_the_middle_of_other_data(value: Value, before: bytes, behind: bytes) -> None:
    encoded = encode_value(value)
    decoded, end = decode_value(before + encoded + behind, len(before))
    assert (decoded, type(decoded), end) == (value, type(value), len(before) + len(encoded))


@pytest.mark.parametrize("kind", range(10, 16))
@pytest.mark.parametrize("flags", [0x00, 0x10, 0xF0])
def test_reserved_types_are_invalid(kind: int, flags: int) -> None:
    with pytest.raises(InvalidFrame, match=f"unknown data type {kind}"):
        decode_value(bytes((kind | flags, 0, 0, 0)), 0)


@pytest.mark.parametrize("value", [INT64_MIN - 1, UINT64_MAX + 1, 1.5, ["a"]])
def test_what_spop_has_no_word_for_is_refused(value: Value) -> None:
    with pytest.raises(LocalProtocolError):
        encode_value(value)


@given(text=st.text(), behind=st.binary(max_size=4))
def test_bare_string_round_trip(text: str, behind: bytes) -> None:
    encoded = encode_string(text)
    assert decode_string(encoded + behind, 0) == (text, len(encoded))


@pytest.mark.parametrize("text", ["hello", "x" * 300])
def test_bare_string_cut_anywhere_is_invalid(text: str) -> None:
    encoded = encode_string(text)
    for size in range(len(encoded)):
        with pytest.raises(InvalidFrame):
            decode_string(encoded[:size], 0)


@given(data=st.binary(max_size=24))
def test_any_bytes_are_a_value_or_invalid(data: bytes) -> None:
    try:
        _, end = decode_value(data, 0)
    except InvalidFrame:
        return
    assert 1 <= end <= len(data)
