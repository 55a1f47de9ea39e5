"""An SPOP peer stands in for HAProxy where HAProxy would not misbehave, or would not say the same each time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from haproxy_telemetry_agent.spop.frames import Frame, FrameType, decode_frame, encode_frame
from haproxy_telemetry_agent.spop.messages import Message, SetVar, decode_actions, decode_pairs, encode_messages, encode_pairs
from haproxy_telemetry_agent.spop.values import Value

__all__ = ["ARGUMENTS", "HELLO", "Peer", "hello", "is_answer", "notify"]

HELLO: list[tuple[str, Value]] = [("supported-versions", "2.0"), ("max-frame-size", 16_380), ("capabilities", "pipelining")]
ARGUMENTS: list[tuple[str, Value]] = [
    ("start", 1_795_391_838_456_451),
    ("traceparent_1", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("host", "shop.example"),
]


class Peer:
    """A connection to the SPOP server."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, address: str) -> AsyncIterator["Peer"]:
        """Connects to `host:port` or `unix:/path`."""
        if address.startswith("unix:"):
            streams = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            streams = await asyncio.open_connection(host.strip("[]"), int(port))
        peer = cls(*streams)
        try:
            yield peer
        finally:
            peer.writer.close()

    async def send(self, data: bytes) -> None:
        """Sends as it is."""
        self.writer.write(data)
        await self.writer.drain()

    async def frame(self) -> Frame:
        """The next frame."""
        async with asyncio.timeout(5):
            length = int.from_bytes(await self.reader.readexactly(4), "big")
            return decode_frame(await self.reader.readexactly(length))

    async def is_closed(self) -> bool:
        """Whether the agent closes without another byte."""
        async with asyncio.timeout(5):
            with contextlib.suppress(ConnectionError):
                return await self.reader.read() == b""
        return True

    async def shake_hands(self) -> None:
        """HELLO, and the agent's."""
        await self.send(hello())
        assert (await self.frame()).type == FrameType.AGENT_HELLO

    async def disconnect_code(self) -> Value:
        """The status code of the DISCONNECT that comes next."""
        frame = await self.frame()
        assert frame.type == FrameType.AGENT_DISCONNECT
        return decode_pairs(frame.payload)["status-code"]


def hello(pairs: list[tuple[str, Value]] | None = None) -> bytes:
    """The first frame."""
    return encode_frame(Frame(FrameType.HAPROXY_HELLO, 1, 0, 0, encode_pairs(HELLO if pairs is None else pairs)))


def notify(stream_id: int = 1, frame_id: int = 1, arguments: list[tuple[str, Value]] | None = None) -> bytes:
    """A question: one message of ours."""
    message = Message("haproxy-telemetry-request", ARGUMENTS if arguments is None else arguments)
    return encode_frame(Frame(FrameType.NOTIFY, 1, stream_id, frame_id, encode_messages([message])))


def is_answer(frame: Frame) -> bool:
    """Whether a frame is the ACK of such a question."""
    names = [action.name for action in decode_actions(frame.payload) if isinstance(action, SetVar)]
    return frame.type == FrameType.ACK and names == ["traceparent", "state"]
