"""Builders of what HAProxy sends. They return bytes, so that any of it can be cut, joined and broken."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_agent.spop.frames import Frame, FrameFlags, FrameType, encode_frame
from haproxy_telemetry_agent.spop.messages import Message, encode_messages, encode_pairs
from haproxy_telemetry_agent.spop.values import Value

Build = Callable[..., bytes]

HELLO_ENTRIES: dict[str, Value] = {
    "supported-versions": "2.0",
    "max-frame-size": 16_380,
    "capabilities": "pipelining,async",
    "engine-id": "F8E2A1C5-6A0D-4B3C-9E57-0123456789AB",
}
"""What HAProxy 2.8 says."""


@pytest.fixture(scope="session")
def hello_payload() -> Build:
    """The payload of a HAPROXY-HELLO: HAProxy's own entries, changed by a mapping and without those named."""

    def build(changes: dict[str, Value] | None = None, *, without: str | None = None) -> bytes:
        entries = HELLO_ENTRIES | (changes or {})
        return encode_pairs((key, value) for key, value in entries.items() if key != without)

    return build


@pytest.fixture(scope="session")
def frame_of() -> Build:
    """A whole frame of any type."""

    def build(kind: int, payload: bytes = b"", *, flags: int = FrameFlags.FIN, stream_id: int = 0, frame_id: int = 0) -> bytes:
        return encode_frame(Frame(kind, flags, stream_id, frame_id, payload))

    return build


@pytest.fixture(scope="session")
def hello(hello_payload: Build, frame_of: Build) -> Build:
    """A HAPROXY-HELLO frame; arguments as of ``hello_payload``."""

    def build(changes: dict[str, Value] | None = None, *, without: str | None = None) -> bytes:
        return frame_of(FrameType.HAPROXY_HELLO, hello_payload(changes, without=without))

    return build


@pytest.fixture(scope="session")
def notify(frame_of: Build) -> Build:
    """A NOTIFY frame with these messages."""

    def build(*messages: Message, stream_id: int = 1, frame_id: int = 1, flags: int = FrameFlags.FIN) -> bytes:
        return frame_of(FrameType.NOTIFY, encode_messages(messages), flags=flags, stream_id=stream_id, frame_id=frame_id)

    return build


@pytest.fixture(scope="session")
def goodbye(frame_of: Build) -> bytes:
    """HAProxy's HAPROXY-DISCONNECT at the end of an idle connection."""
    return frame_of(FrameType.HAPROXY_DISCONNECT, encode_pairs([("status-code", 0), ("message", "normal")]))


@pytest.fixture(scope="session")
def well_formed(hello: Build, notify: Build, goodbye: bytes, frame_of: Build) -> dict[FrameType, bytes]:
    """A frame of each type, as it would be right in some state."""
    frames = {kind: frame_of(kind) for kind in FrameType}
    frames[FrameType.HAPROXY_HELLO] = hello()
    frames[FrameType.NOTIFY] = notify(Message("any", []))
    frames[FrameType.HAPROXY_DISCONNECT] = goodbye
    return frames
