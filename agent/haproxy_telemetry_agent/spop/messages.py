"""What frames carry: a NOTIFY's messages, an ACK's actions, and the key/value lists of HELLO and DISCONNECT.

A message is a name and its arguments **in order**: names may repeat (spoa-opentracing's ``tag=`` does). An action sets or unsets
a variable of HAProxy in one of its scopes. Source: HAProxy doc/SPOE.txt, sections 3.2.4 to 3.2.9.
"""

from collections.abc import Iterable
from enum import IntEnum
from functools import lru_cache

import msgspec

from .errors import InvalidFrame
from .limits import MAX_HELLO_ENTRIES, MAX_MESSAGES_PER_FRAME
from .values import Value, decode_string, decode_value, encode_string, encode_value

__all__ = [
    "Action",
    "Message",
    "SetVar",
    "UnsetVar",
    "VarScope",
    "decode_actions",
    "decode_messages",
    "decode_pairs",
    "encode_actions",
    "encode_messages",
    "encode_pairs",
]


class VarScope(IntEnum):
    """How long a variable lives in HAProxy: the process, the client's session, a transaction, its request or its response."""

    PROCESS = 0
    SESSION = 1
    TRANSACTION = 2
    REQUEST = 3
    RESPONSE = 4


class Message(msgspec.Struct, frozen=True, gc=False):
    """One ``spoe-message``: its name and its arguments, as they came."""

    name: str
    arguments: list[tuple[str, Value]]


class SetVar(msgspec.Struct, frozen=True, gc=False):
    """Set ``<scope>.<var-prefix>.<name>`` to ``value``."""

    scope: VarScope
    name: str
    value: Value


class UnsetVar(msgspec.Struct, frozen=True, gc=False):
    """Unset ``<scope>.<var-prefix>.<name>``."""

    scope: VarScope
    name: str


Action = SetVar | UnsetVar

_SET_VAR = 1
_UNSET_VAR = 2


def decode_messages(payload: bytes) -> list[Message]:
    """The messages of a NOTIFY.

    Raises:
        InvalidFrame: the payload is cut, has an unknown type, or too many messages.
    """
    messages: list[Message] = []
    offset = 0
    size = len(payload)
    while offset < size:
        if len(messages) == MAX_MESSAGES_PER_FRAME:
            raise InvalidFrame(f"more than {MAX_MESSAGES_PER_FRAME} messages in a frame")
        name, offset = decode_string(payload, offset)
        if offset >= size:
            raise InvalidFrame(f"message {name!r} ends before its number of arguments")
        count = payload[offset]
        offset += 1
        arguments: list[tuple[str, Value]] = []
        for _ in range(count):
            # The common cases written out (short name; nothing, or a short string): this loop is the hot path of the agent.
            try:
                length = payload[offset]
                if length < 240:
                    start = offset + 1
                    end = start + length
                    raw_key = payload[start:end]
                    key = _NAMES.get(raw_key)
                    if key is None:
                        key, end = _learn_name(payload, offset)
                    offset = end
                else:
                    key, offset = decode_string(payload, offset)
                kind = payload[offset]
                if kind == 0:
                    offset += 1
                    arguments.append((key, None))
                    continue
                if kind == 8 and (length := payload[offset + 1]) < 240:
                    start = offset + 2
                    offset = start + length
                    if offset > size:
                        raise InvalidFrame(f"argument {key!r} of message {name!r} goes beyond the frame")
                    arguments.append((key, payload[start:offset].decode("utf-8", "replace")))
                    continue
            except IndexError:
                raise InvalidFrame(f"message {name!r} ends within its {count} arguments") from None
            value, offset = decode_value(payload, offset)
            arguments.append((key, value))
        messages.append(Message(name, arguments))
    return messages


_NAMES: dict[bytes, str] = {}
_MAX_NAMES = 512


def _learn_name(payload: bytes, offset: int) -> tuple[str, int]:
    """Decode an argument's name and remember it: the names of a spoe.cfg are few and come with every message."""
    text, end = decode_string(payload, offset)
    if len(_NAMES) < _MAX_NAMES:
        _NAMES[text.encode()] = text
    return text, end


def encode_messages(messages: Iterable[Message]) -> bytes:
    """The payload of a NOTIFY (HAProxy's side: tests and load generators)."""
    parts: list[bytes] = []
    for message in messages:
        parts.append(encode_string(message.name))
        parts.append(bytes((len(message.arguments),)))
        for key, value in message.arguments:
            parts.append(encode_string(key))
            parts.append(encode_value(value))
    return b"".join(parts)


@lru_cache(maxsize=64)
def _set_var_head(scope: VarScope, name: str) -> bytes:
    return bytes((_SET_VAR, 3, scope)) + encode_string(name)


def encode_actions(actions: Iterable[Action]) -> bytes:
    """The payload of an ACK."""
    parts: list[bytes] = []
    for action in actions:
        if isinstance(action, SetVar):
            parts.append(_set_var_head(action.scope, action.name))
            parts.append(encode_value(action.value))
        else:
            parts.append(bytes((_UNSET_VAR, 2, action.scope)))
            parts.append(encode_string(action.name))
    return b"".join(parts)


def decode_actions(payload: bytes) -> list[Action]:
    """The actions of an ACK (HAProxy's side: tests and load generators); raises ``InvalidFrame``."""
    actions: list[Action] = []
    offset = 0
    while offset < len(payload):
        head = payload[offset : offset + 3]
        if len(head) < 3 or head[:2] not in (b"\x01\x03", b"\x02\x02") or head[2] > max(VarScope):
            raise InvalidFrame(f"no action at byte {offset}")
        name, offset = decode_string(payload, offset + 3)
        if head[0] == _SET_VAR:
            value, offset = decode_value(payload, offset)
            actions.append(SetVar(VarScope(head[2]), name, value))
        else:
            actions.append(UnsetVar(VarScope(head[2]), name))
    return actions


def encode_pairs(pairs: Iterable[tuple[str, Value]]) -> bytes:
    """The payload of HELLO and DISCONNECT."""
    return b"".join(encode_string(key) + encode_value(value) for key, value in pairs)


def decode_pairs(payload: bytes) -> dict[str, Value]:
    """The payload of HELLO and DISCONNECT.

    Raises:
        InvalidFrame: the payload is cut, has an unknown type, or too many entries.
    """
    pairs: dict[str, Value] = {}
    offset = 0
    while offset < len(payload):
        if len(pairs) == MAX_HELLO_ENTRIES:
            raise InvalidFrame(f"more than {MAX_HELLO_ENTRIES} entries in a key/value list")
        key, offset = decode_string(payload, offset)
        pairs[key], offset = decode_value(payload, offset)
    return pairs
