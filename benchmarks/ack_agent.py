"""The least an agent can do: it answers every NOTIFY with an ACK that sets nothing, and reads records to throw them away.

What is left is what Python, its event loop and the kernel take: no agent written for asyncio costs less.
"""

import argparse
import asyncio
import signal

from haproxy_telemetry_agent.listener import listen
from haproxy_telemetry_agent.spop import AgentConnection
from haproxy_telemetry_agent.spop.frames import LENGTH_BYTES, FrameFlags, FrameType

__all__ = ["main"]

_READ_BYTES = 65_536
_BUFFER = memoryview(bytearray(_READ_BYTES))
_IDS_OFFSET = 5
"""Behind type and flags."""
_ACK_HEAD = bytes((FrameType.ACK,)) + int(FrameFlags.FIN).to_bytes(4, "big")
_VARINT_CONTINUES = 240
"""From this first byte on a varint goes on, until a byte below 128 (doc/SPOE.txt 3.1)."""


class _Spop(asyncio.BufferedProtocol):
    """One SPOE connection."""

    def __init__(self) -> None:
        self._handshake: AgentConnection | None = AgentConnection()
        self._kept = b""
        self._transport: asyncio.WriteTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        assert self._transport is not None
        data = self._kept + bytes(_BUFFER[:nbytes])
        answers: list[bytes] = []
        offset = 0
        while len(data) - offset >= LENGTH_BYTES:
            end = offset + LENGTH_BYTES + int.from_bytes(data[offset : offset + LENGTH_BYTES], "big")
            if end > len(data):
                break
            frame = data[offset + LENGTH_BYTES : end]
            if self._handshake is not None:
                self._handshake.receive(data[offset:end])
                answers.append(self._handshake.data_to_send())
                self._handshake = None
            elif frame[0] == FrameType.NOTIFY:
                body = _ACK_HEAD + frame[_IDS_OFFSET : _end_of_ids(frame)]
                answers.append(len(body).to_bytes(LENGTH_BYTES, "big") + body)
            offset = end
        self._kept = data[offset:]
        if answers:
            self._transport.write(b"".join(answers))


def _end_of_ids(frame: bytes) -> int:
    offset = _IDS_OFFSET
    for _ in range(2):
        if frame[offset] >= _VARINT_CONTINUES:
            offset += 1
            while frame[offset] >= 128:
                offset += 1
        offset += 1
    return offset


class _Records(asyncio.BufferedProtocol):
    """One record stream."""

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return _BUFFER

    def buffer_updated(self, nbytes: int) -> None:
        """Nobody wants to know."""


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    loop = asyncio.get_running_loop()
    for address, protocol in ((options.records, _Records), (options.spop, _Spop)):
        listening = listen("address", address)
        create = loop.create_unix_server if address.startswith("unix:") else loop.create_server
        await create(protocol, sock=listening)
    stop = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(description="An agent that only answers, for benchmarks.")
    parser.add_argument("--spop", required=True, help="as listen.spop in the agent's settings")
    parser.add_argument("--records", required=True, help="as listen.records")
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
