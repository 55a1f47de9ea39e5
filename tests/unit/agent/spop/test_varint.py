"""Variable-length integers against the table of HAProxy's doc/SPOE.txt, section 3.1."""

from bisect import bisect_right

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.spop.errors import InvalidFrame
from haproxy_telemetry_agent.spop.varint import decode_varint, encode_varint

UINT64 = st.integers(0, 2**64 - 1)

# The first and the last number of each length.
VECTORS = [
    (0, "00"),
    (1, "01"),
    (239, "ef"),
    (240, "f0 00"),
    (255, "ff 00"),
    (256, "f0 01"),
    (2287, "ff 7f"),
    (2288, "f0 80 00"),
    (264_431, "ff ff 7f"),
    (264_432, "f0 80 80 00"),
    (33_818_863, "ff ff ff 7f"),
    (33_818_864, "f0 80 80 80 00"),
    (4_328_786_159, "ff ff ff ff 7f"),
    (4_328_786_160, "f0 80 80 80 80 00"),
    (2**63, "f0 f1 fe fe fe fe fe fe fe 06"),
    (2**64 - 1, "ff f0 fe fe fe fe fe fe fe 0e"),
]

FIRST_OF_NEXT_LENGTH = [240 + sum(16 * 128**group for group in range(1, size)) for size in range(1, 11)]
"""240, 2288, 264432, 33818864, 4328786160 and so on: one byte, then four bits and groups of seven."""


@pytest.mark.parametrize(("number", "wire"), VECTORS)
def test_known_vector(number: int, wire: str) -> None:
    encoded = bytes.fromhex(wire)
    assert encode_varint(number) == encoded
    assert decode_varint(encoded, 0) == (number, len(encoded))


@pytest.mark.parametrize(("number", "wire"), VECTORS)
def test_cut_anywhere_is_invalid(number: int, wire: str) -> None:
    encoded = bytes.fromhex(wire)
    for size in range(len(encoded)):
        with pytest.raises(InvalidFrame, match="data end"):
            decode_varint(encoded[:size], 0)


@given(number=UINT64, before=st.binary(max_size=8), behind=st.binary(max_size=8))
def test_round_trip_in_the_middle_of_other_data(number: int, before: bytes, behind: bytes) -> None:
    encoded = encode_varint(number)
    assert decode_varint(before + encoded + behind, len(before)) == (number, len(before) + len(encoded))


@given(number=UINT64)
def test_length_is_that_of_the_table(number: int) -> None:
    assert len(encode_varint(number)) == 1 + bisect_right(FIRST_OF_NEXT_LENGTH, number)


@pytest.mark.parametrize("number", [-1, 2**64])
def test_only_unsigned_64_bit_numbers_are_encoded(number: int) -> None:
    with pytest.raises(ValueError, match="64-bit"):
        encode_varint(number)


@pytest.mark.parametrize(
    ("wire", "reason"),
    [
        pytest.param("f0 f1 fe fe fe fe fe fe fe 0f", "64 bits", id="2**64"),
        pytest.param("ff ff ff ff ff ff ff ff ff 7f", "64 bits", id="the largest of ten bytes"),
        pytest.param("f0" + "80" * 9 + "00", "longer than 10 bytes", id="eleven bytes"),
        pytest.param("ff" * 65_536, "longer than 10 bytes", id="no end in sight"),
    ],
)
def test_more_than_64_bits_are_invalid(wire: str, reason: str) -> None:
    with pytest.raises(InvalidFrame, match=reason):
        decode_varint(bytes.fromhex(wire), 0)


@given(data=st.binary(max_size=12))
def test_any_bytes_are_a_number_or_invalid(data: bytes) -> None:
    try:
        number, end = decode_varint(data, 0)
    except InvalidFrame:
        return
    assert 0 <= number < 2**64
    assert 1 <= end <= len(data)
