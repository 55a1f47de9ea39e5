"""Frames against HAProxy's doc/SPOE.txt, section 3.2."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.spop.errors import InvalidFrame
from haproxy_telemetry_agent.spop.frames import LENGTH_BYTES, Frame, FrameFlags, FrameType, decode_frame, encode_frame

FRAMES = st.builds(
    Frame,
    type=st.integers(0, 255),
    flags=st.integers(0, 2**32 - 1),
    stream_id=st.integers(0, 2**64 - 1),
    frame_id=st.integers(0, 2**64 - 1),
    payload=st.binary(max_size=64),
)


@pytest.mark.parametrize(
    ("frame", "wire"),
    [
        (Frame(FrameType.HAPROXY_HELLO, FrameFlags.FIN, 0, 0, b""), "00000007 01 00000001 00 00"),
        (Frame(FrameType.NOTIFY, FrameFlags.FIN, 240, 1, b"\xaa"), "00000009 03 00000001 f000 01 aa"),
        (Frame(FrameType.ACK, FrameFlags.FIN | FrameFlags.ABORT, 1, 2288, b""), "00000009 67 00000003 01 f08000"),
    ],
)
def test_layout(frame: Frame, wire: str) -> None:
    encoded = bytes.fromhex(wire)
    assert encode_frame(frame) == encoded
    assert decode_frame(encoded[LENGTH_BYTES:]) == frame


def test_types_are_the_specifications_numbers() -> None:
    assert {kind.name: kind.value for kind in FrameType} == {
        "UNSET": 0,
        "HAPROXY_HELLO": 1,
        "HAPROXY_DISCONNECT": 2,
        "NOTIFY": 3,
        "AGENT_HELLO": 101,
        "AGENT_DISCONNECT": 102,
        "ACK": 103,
    }


@given(frame=FRAMES)
def test_round_trip(frame: Frame) -> None:
    encoded = encode_frame(frame)
    assert int.from_bytes(encoded[:LENGTH_BYTES], "big") == len(encoded) - LENGTH_BYTES
    assert decode_frame(encoded[LENGTH_BYTES:]) == frame


@given(frame=FRAMES.map(lambda frame: frame._replace(payload=b"")))
def test_cut_within_its_header_is_invalid(frame: Frame) -> None:
    body = encode_frame(frame)[LENGTH_BYTES:]
    for size in range(len(body)):
        with pytest.raises(InvalidFrame):
            decode_frame(body[:size])


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (Frame(FrameType.NOTIFY, FrameFlags.FIN, 12, 1, b"abc"), "NOTIFY 12/1 [FIN] 3 bytes"),
        (Frame(FrameType.HAPROXY_HELLO, 0, 0, 0, b""), "HAPROXY-HELLO 0/0 [] 0 bytes"),
        (Frame(FrameType.UNSET, 3, 1, 1, b""), "UNSET 1/1 [FIN|ABORT] 0 bytes"),
        (Frame(77, 0, 0, 0, b""), "TYPE-77 0/0 [] 0 bytes"),
    ],
)
def test_text_for_logs(frame: Frame, text: str) -> None:
    assert str(frame) == text


@given(frame=FRAMES)
def test_text_for_logs_is_short_whatever_the_frame(frame: Frame) -> None:
    assert len(str(frame)) < 100
