"""What anything that connects may do to the agent, at each of its three doors: a table of misbehaviours and what becomes of them.

Each has one outcome, and its metric has counted it. Meanwhile an HAProxy that behaves gets its answers in time; at the end the
agent's memory is what it was, its log has no traceback, and it stops with exit code 0. One agent bears all of it.

What is in `test_spop_server.py`, `test_record_server.py` and `test_endpoint.py` is not here again.
"""

import asyncio
import contextlib
import re
import socket
import struct
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import pytest_asyncio

from haproxy_telemetry_agent.endpoint_connections import MAX_CONNECTIONS
from haproxy_telemetry_agent.listener import listen
from haproxy_telemetry_agent.spop.frames import Frame, FrameType, encode_frame
from haproxy_telemetry_agent.spop.messages import Message, decode_pairs, encode_messages, encode_pairs
from haproxy_telemetry_agent.spop.values import Value
from haproxy_telemetry_agent.spop.varint import encode_varint
from haproxy_telemetry_agent.stream_server import PATIENCE_SECONDS
from support.agent import Agent
from support.otlp_sink import OtlpSink
from support.ports import free_port
from support.probe import until
from support.record_factory import framed, record, syslog
from support.spop_peer import HELLO, Peer, hello, is_answer, notify

pytestmark = pytest.mark.asyncio(loop_scope="module")

ACK_SECONDS = 0.5
"""What a busy machine may add to an answer; users' HAProxies wait for 20 ms."""
GROWTH_BYTES = 24 << 20
MAX_RECORD_BYTES = 4096
MAX_SPOP_CONNECTIONS = 64
RESET = struct.pack("ii", 1, 0)
CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + b"\x5a" * 194


class Bystander:
    """An HAProxy that behaves: asks every now and then, and notes how long each answer takes."""

    def __init__(self, agent: Agent) -> None:
        self._address = agent.listen["spop"]
        self.answered = 0
        self.slowest_seconds = 0.0

    async def ask_on(self) -> None:
        async with Peer.open(self._address) as peer:
            await peer.shake_hands()
            while True:
                start_seconds = time.monotonic()
                await peer.send(notify(self.answered + 1))
                assert is_answer(await peer.frame())
                self.slowest_seconds = max(self.slowest_seconds, time.monotonic() - start_seconds)
                self.answered += 1
                await asyncio.sleep(0.01)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def agent(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Agent]:
    folder: Path = tmp_path_factory.mktemp("hostility")
    settings = {"limits": {"maxConnections": MAX_SPOP_CONNECTIONS, "maxRecordBytes": MAX_RECORD_BYTES}}
    async with OtlpSink() as sink, Agent(folder, endpoint=sink.endpoint, settings=settings) as running:
        async with Peer.open(running.listen["spop"]) as peer:
            await peer.shake_hands()
            for number in range(200):
                await peer.send(notify(number))
                await peer.frame()
        before_bytes = (await running.metrics())["process_resident_memory_bytes"]
        yield running
        assert (await running.metrics())["process_resident_memory_bytes"] < before_bytes + GROWTH_BYTES
        assert await running.stop() == 0
        assert [line for line in running.process.lines if "Traceback" in line or " ERROR " in line] == []


@pytest_asyncio.fixture(loop_scope="module")
async def bystander(agent: Agent) -> AsyncIterator[Bystander]:
    bystander = Bystander(agent)
    asking = asyncio.create_task(bystander.ask_on())
    yield bystander

    async def is_answered() -> bool:
        return asking.done() or bystander.answered > 0

    await until(is_answered, what="the bystander is answered")
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert bystander.slowest_seconds < ACK_SECONDS


async def has_counted(agent: Agent, before: dict[str, float], metric: str, count: float) -> None:
    """Waits until a metric has grown by so much, and no more."""

    async def reached() -> bool:
        return (await agent.metrics()).get(metric, 0.0) - before.get(metric, 0.0) >= count

    await until(reached, what=f"{metric} has grown by {count:g}")
    assert (await agent.metrics())[metric] - before.get(metric, 0.0) == count


async def are_gone(agent: Agent, kind: str, *, but: int = 0) -> None:
    """Waits until no connection of that kind is open, but for those that ask."""

    async def gone() -> bool:
        return (await agent.metrics())[f'open_connections{{kind="{kind}"}}'] <= but

    await until(gone, what=f"no {kind} connection is open any more")


# SPOP


def frame(kind: int, payload: bytes = b"", *, flags: int = 1, stream_id: int = 1, frame_id: int = 1) -> bytes:
    return encode_frame(Frame(kind, flags, stream_id, frame_id, payload))


def messages(*names: str, arguments: list[tuple[str, Value]] | None = None) -> bytes:
    return frame(FrameType.NOTIFY, encode_messages([Message(name, arguments or []) for name in names]))


def by_code(code: str) -> str:
    return f'frame_errors_total{{code="{code}"}}'


OTHER_MESSAGES = 'messages_total{message="other"}'
ACKS = 'frames_total{direction="sent",type="ack"}'
UNKNOWN_FRAMES = 'frames_total{direction="received",type="other"}'
GOODBYE = frame(FrameType.HAPROXY_DISCONNECT, encode_pairs([("status-code", 0), ("message", "normal")]), stream_id=0, frame_id=0)


@dataclass(frozen=True, kw_only=True)
class OfSpop:
    """What a peer sends, and what comes back."""

    data: bytes
    greeted: bool = True
    """Whether HELLO went well before."""
    acks: int = 0
    """Answers that come before anything else; the last NOTIFY is always one of ours, and is answered in any case but an error."""
    code: int | None = None
    """The status code of the DISCONNECT that ends it; None: it lives on."""
    metric: str = ACKS
    count: float = 1


SPOP: dict[str, OfSpop] = {
    "TLS": OfSpop(data=CLIENT_HELLO, greeted=False, code=3, metric=by_code("too_big")),
    "HTTP behind a HELLO": OfSpop(data=b"POST / HTTP/1.1\r\n\r\n", code=3, metric=by_code("too_big")),
    "frame of no bytes": OfSpop(data=bytes(4), code=4, metric=by_code("invalid")),
    "length of 4 GiB": OfSpop(data=b"\xff" * 4, code=3, metric=by_code("too_big")),
    "a byte more than was agreed": OfSpop(data=struct.pack("!I", 16_381), code=3, metric=by_code("too_big")),
    "DISCONNECT first": OfSpop(data=GOODBYE, greeted=False, code=0, metric='disconnects_total{code="normal"}'),
    "NOTIFY behind a DISCONNECT": OfSpop(data=GOODBYE + notify(), code=0, metric='disconnects_total{code="normal"}'),
    "UNSET before HELLO": OfSpop(data=frame(FrameType.UNSET), greeted=False, code=4, metric=by_code("invalid")),
    "UNSET": OfSpop(data=frame(FrameType.UNSET, b"more"), code=10, metric=by_code("fragmentation_refused")),
    "ABORT": OfSpop(data=frame(FrameType.NOTIFY, flags=2), code=10, metric=by_code("fragmentation_refused")),
    "ABORT and FIN": OfSpop(data=frame(FrameType.NOTIFY, flags=3), acks=1, count=2),
    "flags of another time": OfSpop(data=frame(FrameType.NOTIFY, flags=0xFFFF_FFFD), acks=1, count=2),
    "an ACK": OfSpop(data=frame(FrameType.ACK), code=4, metric=by_code("invalid")),
    "an AGENT-HELLO": OfSpop(data=frame(FrameType.AGENT_HELLO), code=4, metric=by_code("invalid")),
    "an AGENT-DISCONNECT": OfSpop(data=frame(FrameType.AGENT_DISCONNECT), code=4, metric=by_code("invalid")),
    "a thousand frames of no known type": OfSpop(data=frame(77, b"x" * 50) * 1000, metric=UNKNOWN_FRAMES, count=1000),
    "frames of no known type before HELLO": OfSpop(
        data=frame(77) * 3 + notify(), greeted=False, code=4, metric=UNKNOWN_FRAMES, count=3
    ),
    "HELLO without capabilities": OfSpop(data=hello(HELLO[:2]), greeted=False, code=7, metric=by_code("no_capabilities")),
    "HELLO without a frame size": OfSpop(
        data=hello([HELLO[0], HELLO[2]]), greeted=False, code=6, metric=by_code("no_max_frame_size")
    ),
    "HELLO with a word for a size": OfSpop(
        data=hello([HELLO[0], ("max-frame-size", "large"), HELLO[2]]), greeted=False, code=6, metric=by_code("no_max_frame_size")
    ),
    "HELLO with a frame size of 100": OfSpop(
        data=hello([HELLO[0], ("max-frame-size", 100), HELLO[2]]), greeted=False, code=9, metric=by_code("bad_max_frame_size")
    ),
    "HELLO with a hundred entries": OfSpop(
        data=hello([*HELLO, *((f"k{number}", "v") for number in range(100))]), greeted=False, code=4, metric=by_code("invalid")
    ),
    "HELLO of a version of 10 kB": OfSpop(
        data=hello([("supported-versions", "9" * 10_000), *HELLO[1:]]), greeted=False, code=8, metric=by_code("unsupported_version")
    ),
    "stream id without an end": OfSpop(
        data=struct.pack("!I", 45) + bytes((FrameType.NOTIFY, 0, 0, 0, 1)) + b"\xff" * 40, code=4, metric=by_code("invalid")
    ),
    "ids used again": OfSpop(data=notify(5, 5) * 3, acks=3, count=4),
    "ids of 64 bits": OfSpop(data=notify((1 << 64) - 1, (1 << 64) - 1), acks=1, count=2),
    "NOTIFY of nothing": OfSpop(data=frame(FrameType.NOTIFY), acks=1, count=2),
    "a hundred messages in a frame": OfSpop(data=messages(*["m"] * 100), code=4, metric=by_code("invalid")),
    "messages of 500 names": OfSpop(
        data=b"".join(messages(f"name-{number}") for number in range(500)), acks=500, metric=OTHER_MESSAGES, count=500
    ),
    "arguments of 2,000 names": OfSpop(
        data=b"".join(messages("m", arguments=[(f"{number}-{index}", "v") for index in range(200)]) for number in range(10)),
        acks=10,
        metric=OTHER_MESSAGES,
        count=10,
    ),
    "names that are no UTF-8": OfSpop(
        data=frame(FrameType.NOTIFY, b"\x04\xff\xfe\xfd\xfc\x01\x03\xff\xff\xff\x08\x04\xc3\x28\xff\x00"),
        acks=1,
        metric=OTHER_MESSAGES,
    ),
    "argument longer than its frame": OfSpop(
        data=frame(FrameType.NOTIFY, b"\x01m\x01\x01k\x08" + encode_varint(1 << 40)), code=4, metric=by_code("invalid")
    ),
    "argument of no known type": OfSpop(data=frame(FrameType.NOTIFY, b"\x01m\x01\x01k\x0f"), code=4, metric=by_code("invalid")),
}


@pytest.mark.parametrize("name", SPOP)
async def test_spop(agent: Agent, bystander: Bystander, name: str) -> None:
    row = SPOP[name]
    before = await agent.metrics()
    quiet = row.metric != ACKS  # the bystander's answers are ACKs, too
    async with Peer.open(agent.listen["spop"]) as peer:
        if row.greeted:
            await peer.shake_hands()
        await peer.send(row.data + (notify(77, 1) if row.code is None else b""))
        answers = [await peer.frame() for _ in range(row.acks)]
        assert all(answer.type == FrameType.ACK for answer in answers)
        if row.code is None:
            assert is_answer(await peer.frame())
        else:
            last = await peer.frame()
            assert last.type == FrameType.AGENT_DISCONNECT
            assert decode_pairs(last.payload)["status-code"] == row.code
            assert await peer.is_closed()
    if quiet:
        await has_counted(agent, before, row.metric, row.count)
    else:
        assert (await agent.metrics())[ACKS] - before[ACKS] >= row.count


async def test_spop_conversations_cut_at_every_byte(agent: Agent, bystander: Bystander) -> None:
    """In two segments they are what they were in one."""
    conversation = hello() + notify(9, 9)
    for cut in range(1, len(conversation)):
        async with Peer.open(agent.listen["spop"]) as peer:
            peer.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await peer.send(conversation[:cut])
            await asyncio.sleep(0)
            await peer.send(conversation[cut:])
            assert (await peer.frame()).type == FrameType.AGENT_HELLO
            assert is_answer(await peer.frame())


async def test_spop_connections_reset_at_every_byte(agent: Agent, bystander: Bystander) -> None:
    conversation = hello() + notify()
    for end in range(1, len(conversation) + 1):
        async with Peer.open(agent.listen["spop"]) as peer:
            await peer.send(conversation[:end])
            peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            peer.writer.transport.abort()
    await are_gone(agent, "spop", but=1)


async def test_a_storm_of_reconnects(agent: Agent, bystander: Bystander) -> None:
    before = await agent.metrics()
    taken = 'connections_total{kind="spop",result="ok"}'
    refused = 'connections_total{kind="spop",result="limit"}'

    async def come_and_go(number: int) -> None:
        async with Peer.open(agent.listen["spop"]) as peer:
            if number % 2:
                with contextlib.suppress(OSError, EOFError):
                    await peer.shake_hands()

    for _ in range(10):
        await asyncio.gather(*(come_and_go(number) for number in range(40)))
    await are_gone(agent, "spop", but=1)
    metrics = await agent.metrics()
    came = metrics[taken] + metrics[refused] - before[taken] - before[refused]
    assert 400 <= came <= 401  # the bystander may be counted, too


# Records


def skipped(reason: str) -> str:
    return f'records_skipped_total{{reason="{reason}"}}'


@dataclass(frozen=True, kw_only=True)
class OfRecords:
    """What a peer sends."""

    data: bytes
    closed: bool
    """Whether the connection ends for it; else a good record behind it is read."""
    reason: str
    count: int = 1


GOOD = framed(record())

RECORDS: dict[str, OfRecords] = {
    "TLS": OfRecords(data=CLIENT_HELLO, closed=True, reason="foreign"),
    "SPOP": OfRecords(data=hello(), closed=True, reason="foreign"),
    "digits without an end": OfRecords(data=b"1" * 64, closed=True, reason="foreign"),
    "no digit and no end": OfRecords(data=b"x" * 100_000, closed=True, reason="foreign"),
    "NULs": OfRecords(data=bytes(4096), closed=True, reason="foreign"),
    "a length below nothing": OfRecords(data=b"-5 " + GOOD, closed=True, reason="foreign"),
    "a space and no length": OfRecords(data=b" " + GOOD, closed=True, reason="foreign"),
    "digits that are none of ASCII's": OfRecords(data="٣ abc".encode(), closed=True, reason="foreign"),
    "lines instead of lengths": OfRecords(data=record() + b"\n", closed=True, reason="foreign"),
    "a length too small": OfRecords(data=b"5 " + record(), closed=True, reason="foreign"),
    "records of no bytes": OfRecords(data=b"0 " * 1000, closed=False, reason="foreign", count=1000),
    "a record of NULs": OfRecords(data=framed(bytes(500)), closed=False, reason="foreign"),
    "a record of what is no UTF-8": OfRecords(data=framed(b"\xff\xfe" * 200), closed=False, reason="foreign"),
    "ours, and no UTF-8 in it": OfRecords(data=framed(syslog(b'[ht@1 \xff\xfe="\xc3\x28"] x')), closed=False, reason="mismatched"),
    "two records of 9 MB": OfRecords(data=(b"9000000 " + b"x" * 9_000_000) * 2, closed=False, reason="too_long", count=2),
    "a thousand quotes": OfRecords(data=framed(syslog(b"[ht@1 " + b'="' * 1000 + b"]")), closed=False, reason="mismatched"),
}


@contextlib.asynccontextmanager
async def connect(agent: Agent, part: str) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    host, _, port = agent.listen[part].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        yield reader, writer
    finally:
        writer.close()


async def is_closed(reader: asyncio.StreamReader, *, timeout_seconds: float = 5.0) -> bool:
    """Whether the agent ends it without a word."""
    async with asyncio.timeout(timeout_seconds):
        with contextlib.suppress(ConnectionError):
            return await reader.read() == b""
    return True


async def is_refused(agent: Agent, part: str) -> bool:
    with contextlib.suppress(ConnectionError):
        async with connect(agent, part) as (reader, _):
            return await is_closed(reader)
    return True


@pytest.mark.parametrize("name", RECORDS)
async def test_records(agent: Agent, bystander: Bystander, name: str) -> None:
    row = RECORDS[name]
    before = await agent.metrics()
    async with connect(agent, "records") as (reader, writer):
        writer.write(row.data)
        if row.closed:
            assert await is_closed(reader)
        else:
            writer.write(GOOD)
            await writer.drain()
            await has_counted(agent, before, 'exchanges_recorded_total{start="unanswered"}', 1)
    await has_counted(agent, before, skipped(row.reason), row.count)
    await are_gone(agent, "records")


async def test_records_reset_at_every_byte(agent: Agent, bystander: Bystander) -> None:
    before = await agent.metrics()
    for end in range(0, len(GOOD), 11):
        async with connect(agent, "records") as (_, writer):
            writer.write(GOOD[:end])
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            writer.transport.abort()
    await are_gone(agent, "records")
    # What a reset took back was never there; nothing else has come of it.
    assert (await agent.metrics())[skipped("foreign")] == before[skipped("foreign")]


# HTTP

KEEP = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
LAST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def head(*lines: bytes) -> bytes:
    return b"\r\n".join([b"GET /healthz HTTP/1.1", b"Host: x", b"Connection: close", *lines, b"", b""])


@dataclass(frozen=True, kw_only=True)
class OfHttp:
    """What a client sends, and which answer it gets; the connection ends then."""

    data: bytes
    status: int
    answers: int = 1


HTTP: dict[str, OfHttp] = {
    "TLS": OfHttp(data=CLIENT_HELLO, status=400),
    "SPOP": OfHttp(data=hello(), status=400),
    "NULs": OfHttp(data=bytes(100), status=400),
    "HTTP/2": OfHttp(data=b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", status=400),
    "a path of 100 kB": OfHttp(data=b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", status=400),
    "a header of 100 kB": OfHttp(data=head(b"X: " + b"x" * 100_000), status=400),
    "a header that never ends": OfHttp(data=b"GET /healthz HTTP/1.1\r\nX: " + b"x" * 500_000, status=400),
    "a thousand headers": OfHttp(data=head(*(b"X-%d: y" % number for number in range(1000))), status=400),
    "a header without a colon": OfHttp(data=head(b"X y"), status=400),
    "two lengths": OfHttp(data=head(b"Content-Length: 1", b"Content-Length: 2"), status=400),
    "a length and chunks": OfHttp(data=head(b"Content-Length: 5", b"Transfer-Encoding: chunked"), status=400),
    "a body of 1 TB, some of it": OfHttp(data=head(b"Content-Length: 1000000000000") + b"x" * 1_000_000, status=200),
    "a body that never comes": OfHttp(data=head(b"Content-Length: 10"), status=200),
    "a chunk of no size": OfHttp(data=head(b"Transfer-Encoding: chunked") + b"zz\r\n", status=400),
    "a method for others": OfHttp(data=LAST.replace(b"GET", b"DELETE"), status=405),
    "a method of nobody's": OfHttp(data=LAST.replace(b"GET", b"BREW"), status=400),
    "out of the root": OfHttp(data=LAST.replace(b"/healthz", b"/../../etc/passwd"), status=404),
    "another protocol": OfHttp(data=head(b"Upgrade: websocket"), status=200),
    "300 requests at once": OfHttp(data=KEEP * 299 + LAST, status=200, answers=300),
}


@pytest.mark.parametrize("name", HTTP)
async def test_http(agent: Agent, bystander: Bystander, name: str) -> None:
    row = HTTP[name]
    before = await agent.metrics()
    async with connect(agent, "http") as (reader, writer):
        writer.write(row.data)
        answer = b""
        async with asyncio.timeout(8):
            with contextlib.suppress(ConnectionError):
                while data := await reader.read(65_536):
                    answer += data
    assert re.findall(rb"^HTTP/1\.[01] (\d{3}) ", answer, re.MULTILINE) == [b"%d" % row.status] * row.answers
    if row.status == 400:
        await has_counted(agent, before, "http_requests_refused_total", 1)


async def test_more_http_connections_than_there_may_be(agent: Agent, bystander: Bystander) -> None:
    before = await agent.metrics()
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(connect(agent, "http")) for _ in range(MAX_CONNECTIONS)]
        for reader, writer in peers:
            writer.write(KEEP)
            await reader.readuntil(b"\r\n\r\n")
        assert await is_refused(agent, "http")
    await are_gone(agent, "http", but=1)
    # Whoever asks for metrics may have been refused as well, and asked again.
    refused = 'connections_total{kind="http",result="limit"}'
    assert (await agent.metrics())[refused] > before[refused]


async def test_more_record_connections_than_there_may_be(agent: Agent, bystander: Bystander) -> None:
    before = await agent.metrics()
    async with contextlib.AsyncExitStack() as stack:
        for _ in range(MAX_SPOP_CONNECTIONS):
            await stack.enter_async_context(connect(agent, "records"))
        await agent.wait_for_metric('open_connections{kind="records"}', MAX_SPOP_CONNECTIONS)
        assert await is_refused(agent, "records")
    await are_gone(agent, "records")
    await has_counted(agent, before, 'connections_total{kind="records",result="limit"}', 1)


# Those that take their time


@dataclass(frozen=True, kw_only=True)
class OfPatience:
    """What a peer begins; how it goes on until the agent has had enough."""

    part: str
    begin: bytes
    metric: str
    drip: bytes = b""
    """A byte of it each second."""
    flood: bytes = field(default=b"", repr=False)
    """As much of it as can be written; no answer is read."""


def given_up(kind: str, reason: str) -> str:
    return f'connections_given_up_total{{kind="{kind}",reason="{reason}"}}'


LONG_FRAME = struct.pack("!I", 1000) + bytes((FrameType.NOTIFY,))

PATIENCE: dict[str, OfPatience] = {
    "spop: silence": OfPatience(part="spop", begin=b"", metric="hello_timeouts_total"),
    "spop: half a HELLO": OfPatience(part="spop", begin=hello()[:20], metric="hello_timeouts_total"),
    "spop: half a NOTIFY": OfPatience(part="spop", begin=hello() + notify()[:-1], metric=given_up("spop", "unfinished")),
    "spop: a NOTIFY, a byte a second": OfPatience(
        part="spop", begin=hello() + LONG_FRAME, drip=bytes(60), metric=given_up("spop", "unfinished")
    ),
    "spop: never reads": OfPatience(part="spop", begin=hello(), flood=notify() * 200, metric=given_up("spop", "unread")),
    "records: half a record": OfPatience(part="records", begin=GOOD[:100], metric=given_up("records", "unfinished")),
    "records: a record, a byte a second": OfPatience(
        part="records", begin=b"1000 ", drip=b"x" * 60, metric=given_up("records", "unfinished")
    ),
    "records: the rest of one too long": OfPatience(
        part="records", begin=b"9999999 x", drip=b"x" * 60, metric=given_up("records", "unfinished")
    ),
    "http: silence": OfPatience(part="http", begin=b"", metric=given_up("http", "unfinished")),
    "http: half a head": OfPatience(part="http", begin=KEEP[:-2], metric=given_up("http", "unfinished")),
    "http: a head, a byte a second": OfPatience(
        part="http", begin=KEEP[:-2], drip=b"x" * 60, metric=given_up("http", "unfinished")
    ),
    "http: never reads": OfPatience(
        part="http", begin=b"", flood=KEEP.replace(b"healthz", b"metrics") * 100, metric=given_up("http", "unread")
    ),
}


async def wait_for_the_end(agent: Agent, row: OfPatience) -> float:
    """Behaves as the row says; returns after how many seconds the agent closed it."""
    host, _, port = agent.listen[row.part].rpartition(":")
    loop = asyncio.get_running_loop()
    start_seconds = time.monotonic()
    with socket.socket() as peer:
        peer.setblocking(False)
        await loop.sock_connect(peer, (host, int(port)))
        await loop.sock_sendall(peer, row.begin)
        try:
            async with asyncio.timeout(4 * PATIENCE_SECONDS):
                if row.flood:
                    while True:
                        await loop.sock_sendall(peer, row.flood)
                for byte in row.drip:
                    await loop.sock_sendall(peer, bytes((byte,)))
                    await asyncio.sleep(1)
                while await loop.sock_recv(peer, 65_536):
                    pass
        except ConnectionError:
            pass
    return time.monotonic() - start_seconds


async def test_nobody_is_waited_for_without_end(agent: Agent, bystander: Bystander) -> None:
    """All of them at once."""
    before = await agent.metrics()
    lasted = await asyncio.gather(*(wait_for_the_end(agent, row) for row in PATIENCE.values()))
    for name, seconds in zip(PATIENCE, lasted, strict=True):
        # Who floods is not waited for until the buffers are full; who drips notices with the byte after the next.
        assert PATIENCE_SECONDS - 0.5 < seconds < PATIENCE_SECONDS + 6, name
    metrics = [row.metric for row in PATIENCE.values()]
    for metric in set(metrics):
        await has_counted(agent, before, metric, metrics.count(metric))
    assert bystander.answered > 100


async def test_a_busy_connection_may_always_have_an_unfinished_frame(agent: Agent, bystander: Bystander) -> None:
    """Each segment ends within a frame, longer than the agent is patient: but it is never the same one."""
    async with Peer.open(agent.listen["spop"]) as peer, connect(agent, "records") as (_, ring):
        await peer.shake_hands()
        end_seconds = time.monotonic() + PATIENCE_SECONDS + 1.5
        await peer.send(notify()[:20])
        ring.write(GOOD[:20])
        while time.monotonic() < end_seconds:
            await peer.send(notify()[20:] + notify()[:20])
            ring.write(GOOD[20:] + GOOD[:20])
            assert is_answer(await peer.frame())
            await asyncio.sleep(0.05)
        await peer.send(notify()[20:])
        assert is_answer(await peer.frame())


async def test_who_is_gone_without_a_word_is_found_by_the_kernel() -> None:
    """A machine that is gone can't be had here; that connections are asked for a sign of life can be seen."""
    address = f"127.0.0.1:{free_port()}"
    with listen("listen.spop", address) as listening:
        _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
        accepted, _ = await asyncio.get_running_loop().sock_accept(listening)
        with accepted, contextlib.closing(writer):
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            idle, every, times = (
                accepted.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT)
            )
            assert idle + every * times <= 120
