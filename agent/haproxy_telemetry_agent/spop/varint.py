"""SPOP's variable-length integers: small numbers in one byte, 64-bit ones in up to ten.

Values below 240 are one byte. Above, the first byte is ``11110000 | low 4 bits`` and what is left (after ``- 240``) follows in
groups of seven bits, the top bit of each byte but the last set. Source: HAProxy doc/SPOE.txt, section 3.1.
"""

from .errors import InvalidFrame
from .limits import MAX_VARINT_BYTES

__all__ = ["decode_varint", "encode_varint"]

_ONE_BYTE = [bytes((number,)) for number in range(240)]
_UINT64_MAX = (1 << 64) - 1


def encode_varint(number: int) -> bytes:
    """Encode ``0 <= number < 2**64``; raises ``ValueError`` outside of that."""
    if 0 <= number < 240:
        return _ONE_BYTE[number]
    if not 0 <= number <= _UINT64_MAX:
        raise ValueError(f"{number} does not fit in an unsigned 64-bit integer")
    encoded = bytearray((number & 0xFF | 0xF0,))
    number = (number - 240) >> 4
    while number >= 128:
        encoded.append(number & 0xFF | 0x80)
        number = (number - 128) >> 7
    encoded.append(number)
    return bytes(encoded)


def decode_varint(data: bytes, offset: int) -> tuple[int, int]:
    """Decode the number at ``offset`` into ``(number, offset behind it)``.

    Raises:
        InvalidFrame: the data end within the number, or it does not fit in 64 bits.
    """
    try:
        number = data[offset]
        offset += 1
        if number < 240:
            return number, offset
        last = offset + MAX_VARINT_BYTES - 1
        shift = 4
        while True:
            byte = data[offset]
            offset += 1
            number += byte << shift
            if byte < 128:
                break
            shift += 7
            if offset >= last:
                raise InvalidFrame(f"varint at byte {offset} is longer than {MAX_VARINT_BYTES} bytes")
    except IndexError:
        raise InvalidFrame(f"data end at byte {len(data)}, within a varint") from None
    if number > _UINT64_MAX:
        raise InvalidFrame("varint does not fit in 64 bits")
    return number, offset
