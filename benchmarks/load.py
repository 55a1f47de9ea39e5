"""The load generator: HAProxy's side of both channels, as a process of its own.

Each connection keeps a number of NOTIFYs unanswered; the answer to one is followed by the record of its exchange and by the next
NOTIFY at once, so the agent always has work. What came in one read goes out in one write, as HAProxy's event loop does it.

At the end one line of JSON says how long answers took, from the write of a NOTIFY to the read of its ACK, in milliseconds:
``{"p50": .., "p99": .., "max": ..}``.
"""

import argparse
import asyncio
import json
import time
from dataclasses import dataclass

from haproxy_telemetry_agent.spop.frames import LENGTH_BYTES, Frame, FrameFlags, FrameType, decode_frame, encode_frame
from haproxy_telemetry_agent.spop.messages import SetVar, decode_actions, encode_pairs
from haproxy_telemetry_agent.spop.values import Value

from .traffic import Traffic

__all__ = ["Shape", "main", "summarize"]

_READ_BYTES = 262_144
_MAX_FRAME_SIZE_BYTES = 16_380
_MICROSECOND_NANOSECONDS = 1_000


@dataclass(frozen=True, slots=True)
class Shape:
    """How much is asked at once."""

    name: str
    connections: int
    outstanding: int
    """NOTIFYs that wait for their answer, on each connection."""


class _Run:
    """The exchanges of one run, handed out one by one."""

    def __init__(self, exchanges: int, *, records: bool = True) -> None:
        self.records = records
        """Whether an exchange ends."""
        self.traffic = Traffic()
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waits_seconds: list[float] = []
        """From NOTIFY to ACK, of each exchange."""
        self._exchanges = exchanges
        self._begun = 0
        self._ended = 0

    def begin(self) -> int | None:
        """The next exchange's number; None if there is none left."""
        if self._begun == self._exchanges:
            return None
        self._begun += 1
        return self._begun - 1

    def end(self) -> None:
        self._ended += 1
        if self._ended == self._exchanges:
            self.done.set_result(None)

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(ConnectionError(reason))


class _Connection(asyncio.BufferedProtocol):
    """One SPOE connection."""

    def __init__(self, run: _Run, records: asyncio.WriteTransport, outstanding: int) -> None:
        self._run = run
        self._records = records
        self._outstanding = outstanding
        self._transport: asyncio.WriteTransport | None = None
        self._buffer = memoryview(bytearray(_READ_BYTES))
        self._kept = b""
        self._open: dict[int, tuple[int, float]] = {}
        """Number and time of each NOTIFY without an answer, by its stream."""
        self._stream_id = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        hello: list[tuple[str, Value]] = [
            ("supported-versions", "2.0"),
            ("max-frame-size", _MAX_FRAME_SIZE_BYTES),
            ("capabilities", "pipelining,async"),
            ("engine-id", "5D0B8D0F-64B6-4B0E-8D3C-6C2C6A0F5E55"),
        ]
        transport.write(encode_frame(Frame(FrameType.HAPROXY_HELLO, int(FrameFlags.FIN), 0, 0, encode_pairs(hello))))

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._run.fail("the agent has closed a connection")

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        data = self._kept + bytes(self._buffer[:nbytes])
        now_unix_micro = time.time_ns() // _MICROSECOND_NANOSECONDS
        now_seconds = time.perf_counter()
        records: list[bytes] = []
        questions: list[bytes] = []
        offset = 0
        while len(data) - offset >= LENGTH_BYTES:
            end = offset + LENGTH_BYTES + int.from_bytes(data[offset : offset + LENGTH_BYTES], "big")
            if end > len(data):
                break
            frame = decode_frame(data[offset + LENGTH_BYTES : end])
            offset = end
            if frame.type == FrameType.AGENT_HELLO:
                for _ in range(self._outstanding):
                    self._ask(questions, now_unix_micro, now_seconds)
            elif frame.type == FrameType.ACK:
                variables = {action.name: action.value for action in decode_actions(frame.payload) if isinstance(action, SetVar)}
                number, asked_seconds = self._open.pop(frame.stream_id)
                self._run.waits_seconds.append(now_seconds - asked_seconds)
                records.append(self._run.traffic.record(number, now_unix_micro, variables))
                self._ask(questions, now_unix_micro, now_seconds)
            else:
                self._run.fail(f"unexpected {frame}")
        self._kept = data[offset:]
        assert self._transport is not None
        if questions:
            self._transport.write(b"".join(questions))
        if records and self._run.records:
            self._records.write(b"".join(records))
        for _ in records:
            self._run.end()

    def _ask(self, questions: list[bytes], now_unix_micro: int, now_seconds: float) -> None:
        number = self._run.begin()
        if number is None:
            return
        self._stream_id += 1
        self._open[self._stream_id] = (number, now_seconds)
        questions.append(self._run.traffic.notify(number, self._stream_id, now_unix_micro))


class _RecordStream(asyncio.Protocol):
    """The ring's connection; nothing ever comes back on it."""

    def __init__(self) -> None:
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is None:
            self.closed.set_result(None)
        else:
            self.closed.set_exception(exc)


async def run(
    *, spop: str, records: str, connections: int, outstanding: int, exchanges: int, open_ended: bool = False
) -> dict[str, float]:
    """Have ``exchanges`` exchanges with the agent on these addresses (as in its settings); returns how long answers took."""
    work = _Run(exchanges, records=not open_ended)
    record_stream = _RecordStream()
    record_transport = await _connect(records, record_stream)
    transports = [await _connect(spop, _Connection(work, record_transport, outstanding)) for _ in range(connections)]
    await work.done
    for transport in transports:
        transport.close()
    record_transport.close()  # what is still to be written is, first
    await record_stream.closed
    return summarize(work.waits_seconds)


def summarize(waits_seconds: list[float]) -> dict[str, float]:
    """Median, 99th percentile and maximum, in milliseconds."""
    ordered = sorted(waits_seconds)
    places = {"p50": len(ordered) // 2, "p99": len(ordered) * 99 // 100, "max": len(ordered) - 1}
    return {name: ordered[place] * 1_000 for name, place in places.items()}


async def _connect(address: str, protocol: asyncio.BaseProtocol) -> asyncio.WriteTransport:
    loop = asyncio.get_running_loop()
    if address.startswith("unix:"):
        transport, _ = await loop.create_unix_connection(lambda: protocol, address.removeprefix("unix:"))
    else:
        host, _, port = address.rpartition(":")
        transport, _ = await loop.create_connection(lambda: protocol, host, int(port))
    return transport


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(description="HAProxy's side of exchanges, for benchmarks.")
    parser.add_argument("--spop", required=True)
    parser.add_argument("--records", required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--outstanding", type=int, required=True)
    parser.add_argument("--exchanges", type=int, required=True)
    parser.add_argument("--open-ended", action="store_true", help="answers are followed by no record")
    print(json.dumps(asyncio.run(run(**vars(parser.parse_args())))))


if __name__ == "__main__":
    main()
