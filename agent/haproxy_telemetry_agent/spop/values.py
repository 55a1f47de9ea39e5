"""SPOP's typed data and their Python values.

========  ==============================  ==========================================
type      wire                            Python
========  ==============================  ==========================================
0 null    nothing                         ``None``
1 bool    flag ``0x10`` of the type byte  ``bool``
2 int32   varint, two's complement        ``int``
3 uint32  varint                          ``int``
4 int64   varint, two's complement        ``int``
5 uint64  varint                          ``int``
6 ipv4    4 bytes                         ``ipaddress.IPv4Address``
7 ipv6    16 bytes                        ``ipaddress.IPv6Address``
8 string  varint length, bytes            ``str`` (bytes that are no UTF-8 become U+FFFD)
9 binary  varint length, bytes            ``bytes``
========  ==============================  ==========================================

Source: HAProxy doc/SPOE.txt, section 3.1.
"""

from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

from .errors import InvalidFrame, LocalProtocolError
from .varint import decode_varint, encode_varint

__all__ = ["Value", "decode_string", "decode_value", "encode_string", "encode_value"]

Value = None | bool | int | str | bytes | IPv4Address | IPv6Address

_REMEMBERED_ADDRESSES = 4096
_TRUE = b"\x11"
_FALSE = b"\x01"
_UINT64_MASK = (1 << 64) - 1


def encode_string(text: str) -> bytes:
    """A bare string (a name, without a type byte): varint length and UTF-8 bytes."""
    encoded = text.encode()
    return encode_varint(len(encoded)) + encoded


def decode_string(data: bytes, offset: int) -> tuple[str, int]:
    """A bare string into ``(text, offset behind it)``; raises ``InvalidFrame`` where the data end too early."""
    length, start = decode_varint(data, offset)
    end = start + length
    if end > len(data):
        raise InvalidFrame(f"string of {length} bytes at byte {offset} goes beyond the frame")
    return data[start:end].decode("utf-8", "replace"), end


def encode_value(value: Value) -> bytes:
    """One typed datum. Integers go out as int64, or as uint64 from 2**63 on.

    Raises:
        LocalProtocolError: a Python type that SPOP has no word for, or an integer of more than 64 bits.
    """
    if isinstance(value, str):
        return b"\x08" + encode_string(value)
    if value is None:
        return b"\x00"
    if isinstance(value, bool):
        return _TRUE if value else _FALSE
    if isinstance(value, int):
        if not -(1 << 63) <= value < 1 << 64:
            raise LocalProtocolError(f"{value} does not fit in 64 bits")
        return (b"\x05" if value >> 63 > 0 else b"\x04") + encode_varint(value & _UINT64_MASK)
    if isinstance(value, bytes):
        return b"\x09" + encode_varint(len(value)) + value
    if isinstance(value, IPv4Address):
        return b"\x06" + value.packed
    if isinstance(value, IPv6Address):
        return b"\x07" + value.packed
    raise LocalProtocolError(f"SPOP has no type for {type(value).__name__}")


def decode_value(data: bytes, offset: int) -> tuple[Value, int]:
    """One typed datum into ``(value, offset behind it)``.

    Raises:
        InvalidFrame: an unknown type, or the data end too early.
    """
    if offset >= len(data):
        raise InvalidFrame(f"data end at byte {len(data)}, where a type was expected")
    kind = data[offset] & 0x0F
    start = offset + 1
    if kind == 8 or kind == 9:  # noqa: PLR1714 - strings are what most arguments are; a tuple test costs twice as much
        length, start = decode_varint(data, start)
        end = start + length
        if end > len(data):
            raise InvalidFrame(f"value of {length} bytes at byte {offset} goes beyond the frame")
        raw = data[start:end]
        return (raw.decode("utf-8", "replace") if kind == 8 else raw), end
    if kind == 0:
        return None, start
    if kind == 1:
        return data[offset] & 0x10 != 0, start
    if kind <= 5:
        number, end = decode_varint(data, start)
        return _INTEGERS[kind](number), end
    if kind == 6 or kind == 7:  # noqa: PLR1714
        end = start + (4 if kind == 6 else 16)
        if end > len(data):
            raise InvalidFrame(f"address at byte {offset} goes beyond the frame")
        return (_ipv4(data[start:end]) if kind == 6 else _ipv6(data[start:end])), end
    raise InvalidFrame(f"unknown data type {kind} at byte {offset}")


# Clients come again, and an address object costs as much as ten strings.
_ipv4 = lru_cache(maxsize=_REMEMBERED_ADDRESSES)(IPv4Address)
_ipv6 = lru_cache(maxsize=_REMEMBERED_ADDRESSES)(IPv6Address)


def _int32(number: int) -> int:
    number &= 0xFFFFFFFF
    return number - (1 << 32) if number >> 31 else number


def _uint32(number: int) -> int:
    return number & 0xFFFFFFFF


def _int64(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def _uint64(number: int) -> int:
    return number


_INTEGERS = {2: _int32, 3: _uint32, 4: _int64, 5: _uint64}
