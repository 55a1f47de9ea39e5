"""Protobuf's wire format, as far as OTLP needs it: tags, lengths, numbers, texts, attributes.

Source: protobuf.dev, "Encoding"; opentelemetry-proto 1.x, ``common/v1/common.proto``.
"""

import struct
from collections.abc import Iterable

from ..tracing.span import Attribute

__all__ = ["ONE_BYTE", "AttributeEncoder", "field", "key_value", "length", "text", "varint"]

ONE_BYTE = [bytes((number,)) for number in range(128)]
"""Numbers and lengths that are one byte, by their value."""

_DOUBLE = struct.Struct("<cd")
_UINT64_MASK = (1 << 64) - 1

_KEYS: dict[str, bytes] = {}
_MAX_KEYS = 1024
_MAX_REMEMBERED = 4096
_MAX_REMEMBERED_BYTES = 256


class AttributeEncoder:
    """Attributes as fields of one kind of message.

    Most attributes of a span were in the one before: their bytes are remembered, by type because 1, 1.0 and True are equal. What
    differs each time (ports, sizes) washes the memory out now and then, which costs less than knowing which those are.

    Args:
        tag: of the message's field for attributes.
    """

    __slots__ = ("_remembered", "_tag")

    def __init__(self, tag: bytes) -> None:
        self._tag = tag
        self._remembered: dict[type, dict[tuple[str, Attribute], bytes]] = {str: {}, int: {}, float: {}}

    def encode(self, attributes: Iterable[tuple[str, Attribute]]) -> list[bytes]:
        """One field for each, in their order."""
        fields = []
        for attribute in attributes:
            memory = self._remembered.get(type(attribute[1]))
            encoded = None if memory is None else memory.get(attribute)
            if encoded is None:
                encoded = field(self._tag, key_value(*attribute))
                if memory is not None and len(encoded) <= _MAX_REMEMBERED_BYTES:
                    if len(memory) >= _MAX_REMEMBERED:
                        memory.clear()
                    memory[attribute] = encoded
            fields.append(encoded)
        return fields


def key_value(key: str, value: Attribute) -> bytes:
    """One ``opentelemetry.proto.common.v1.KeyValue``, without its field tag."""
    head = _KEYS.get(key)
    if head is None:
        head = b"\x0a" + text(key)
        if len(_KEYS) < _MAX_KEYS:
            _KEYS[key] = head
    # By exact type, the most frequent first: this runs a dozen times a span.
    kind = type(value)
    if kind is str:
        raw = value.encode("utf-8", "replace")  # type: ignore[union-attr]
        size = len(raw)
        if size < 126:
            return b"".join((head, b"\x12", ONE_BYTE[size + 2], b"\x0a", ONE_BYTE[size], raw))
        any_value = b"\x0a" + length(size) + raw
    elif kind is int:
        any_value = b"\x18" + varint(value & _UINT64_MASK)  # type: ignore[operator]
    elif kind is float:
        any_value = _DOUBLE.pack(b"\x21", value)
    else:
        any_value = _any_value(value)
    return head + b"\x12" + length(len(any_value)) + any_value


def _any_value(value: Attribute) -> bytes:
    if isinstance(value, str):
        return b"\x0a" + text(value)
    if isinstance(value, bool):
        return b"\x10\x01" if value else b"\x10\x00"
    if isinstance(value, int):
        return b"\x18" + varint(value & _UINT64_MASK)
    if isinstance(value, float):
        return _DOUBLE.pack(b"\x21", value)
    return field(b"\x2a", _array(value))


def _array(values: Iterable[Attribute]) -> bytes:
    return b"".join(field(b"\x0a", _any_value(value)) for value in values)


def field(tag: bytes, content: bytes) -> bytes:
    """A field of a message, a text or bytes."""
    return tag + length(len(content)) + content


def text(value: str) -> bytes:
    """A text with its length in front; what is no Unicode becomes a question mark."""
    raw = value.encode("utf-8", "replace")
    return length(len(raw)) + raw


def length(size: int) -> bytes:
    """The length in front of a text or a message."""
    return ONE_BYTE[size] if size < 128 else varint(size)


def varint(number: int) -> bytes:
    """A number that is not negative, seven bits a byte."""
    if number < 128:
        return ONE_BYTE[number]
    if number < 16_384:
        return bytes((number & 0x7F | 0x80, number >> 7))
    encoded = bytearray()
    while number > 127:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
