"""SPOP frames: a four-byte length, then type, flags, stream-id, frame-id and a payload.

::

    | length: 4 bytes, big endian | type: 1 | flags: 4, big endian | stream-id: varint | frame-id: varint | payload |

The length counts everything behind itself. Source: HAProxy doc/SPOE.txt, section 3.2.
"""

from enum import IntEnum, IntFlag
from typing import NamedTuple

from .errors import InvalidFrame
from .varint import decode_varint, encode_varint

__all__ = ["Frame", "FrameFlags", "FrameType", "decode_frame", "encode_frame"]

LENGTH_BYTES = 4
_HEADER_BYTES = 5


class FrameType(IntEnum):
    """The types of doc/SPOE.txt 3.2.1; HAProxy's own are below 100, the agent's above."""

    UNSET = 0
    HAPROXY_HELLO = 1
    HAPROXY_DISCONNECT = 2
    NOTIFY = 3
    AGENT_HELLO = 101
    AGENT_DISCONNECT = 102
    ACK = 103


class FrameFlags(IntFlag):
    """FIN marks the last (or only) fragment; ABORT gives a fragmented payload up."""

    FIN = 0x1
    ABORT = 0x2


class Frame(NamedTuple):
    """One frame as it stands on the wire. ``type`` may be a number we do not know."""

    type: int
    flags: int
    stream_id: int
    frame_id: int
    payload: bytes

    def __str__(self) -> str:
        try:
            name = FrameType(self.type).name.replace("_", "-")
        except ValueError:
            name = f"TYPE-{self.type}"
        flags = "|".join(flag.name or "" for flag in FrameFlags if self.flags & flag)
        return f"{name} {self.stream_id}/{self.frame_id} [{flags}] {len(self.payload)} bytes"


def encode_frame(frame: Frame) -> bytes:
    """The whole frame, its length in front."""
    body = b"".join(
        (
            bytes((frame.type,)),
            int(frame.flags).to_bytes(4, "big"),
            encode_varint(frame.stream_id),
            encode_varint(frame.frame_id),
            frame.payload,
        )
    )
    return len(body).to_bytes(LENGTH_BYTES, "big") + body


def decode_frame(body: bytes) -> Frame:
    """A frame from what its length counts.

    Raises:
        InvalidFrame: shorter than its own header.
    """
    if len(body) < _HEADER_BYTES:
        raise InvalidFrame(f"a frame of {len(body)} bytes has no room for type and flags")
    stream_id, offset = decode_varint(body, _HEADER_BYTES)
    frame_id, offset = decode_varint(body, offset)
    return Frame(body[0], int.from_bytes(body[1:5], "big"), stream_id, frame_id, body[offset:])
