"""The SPOP server on real sockets, with peers that behave and peers that do not: each costs its own connection only.

The peer is a stand-in for HAProxy, because HAProxy would not misbehave.
"""

import asyncio
import contextlib
import signal
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from haproxy_telemetry_agent import spop_server
from haproxy_telemetry_agent.listener import listen
from haproxy_telemetry_agent.spop.errors import StatusCode
from haproxy_telemetry_agent.spop.frames import Frame, FrameType, encode_frame
from haproxy_telemetry_agent.spop.messages import decode_pairs, encode_pairs
from haproxy_telemetry_agent.spop.values import Value
from haproxy_telemetry_agent.telemetry import PREFIX, Telemetry
from support.agent import Agent
from support.ports import free_port
from support.probe import until
from support.spop_peer import ARGUMENTS, HELLO, Peer, hello, is_answer, notify


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    settings = {"limits": {"maxConnections": 8}}
    # No collector: nothing of what is tested here needs one.
    async with Agent(tmp_path, endpoint="http://127.0.0.1:1", settings=settings) as running:
        yield running


async def test_it_still_answers(agent: Agent) -> None:
    async with Peer.open(agent.listen["spop"]) as peer:
        await peer.shake_hands()
        await peer.send(notify())
        assert is_answer(await peer.frame())


async def test_questions_that_came_before_the_end_are_answered(agent: Agent) -> None:
    """HAProxy had written them when SIGTERM came; the agent, stopped meanwhile, sees both at once."""
    async with Peer.open(agent.listen["spop"]) as peer:
        await peer.shake_hands()
        agent.process.send_signal(signal.SIGSTOP)
        await peer.send(b"".join(notify(stream_id) for stream_id in range(1, 501)))
        agent.process.send_signal(signal.SIGTERM)
        agent.process.send_signal(signal.SIGCONT)
        frames = [await peer.frame() for _ in range(500)]
        assert all(map(is_answer, frames))
        assert [frame.stream_id for frame in frames] == list(range(1, 501))
        assert await peer.disconnect_code() == 0
        assert await peer.is_closed()
        assert await agent.stop() == 0


@pytest.mark.parametrize("kind", ["ipv4", "ipv6", "unix"])
async def test_it_listens_where_it_is_told_to(tmp_path: Path, kind: str) -> None:
    addresses = {"ipv4": f"127.0.0.1:{free_port()}", "ipv6": f"[::1]:{free_port()}", "unix": f"unix:{tmp_path}/spoa.sock"}
    async with Agent(tmp_path, endpoint="http://127.0.0.1:1", listen={"spop": addresses[kind]}) as agent:
        await test_it_still_answers(agent)
    assert not (tmp_path / "spoa.sock").exists()


async def test_frames_are_answered_however_they_are_cut_or_joined(agent: Agent) -> None:
    async with Peer.open(agent.listen["spop"]) as peer:
        peer.writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for byte in hello() + notify(7, 3):
            await peer.send(bytes((byte,)))
        assert (await peer.frame()).type == FrameType.AGENT_HELLO
        answer = await peer.frame()
        assert is_answer(answer)
        assert (answer.stream_id, answer.frame_id) == (7, 3)
        await peer.send(b"".join(notify(stream_id, 1) for stream_id in range(100)))
        answers = [await peer.frame() for _ in range(100)]
        assert all(map(is_answer, answers))
        assert [answer.stream_id for answer in answers] == list(range(100))


async def test_a_health_check_is_answered_and_over(agent: Agent) -> None:
    async with Peer.open(agent.listen["spop"]) as peer:
        await peer.send(hello([*HELLO[:2], ("capabilities", ""), ("healthcheck", True)]))
        assert (await peer.frame()).type == FrameType.AGENT_HELLO
        assert await peer.is_closed()


async def test_a_good_bye_is_returned(agent: Agent) -> None:
    async with Peer.open(agent.listen["spop"]) as peer:
        await peer.shake_hands()
        pairs: list[tuple[str, Value]] = [("status-code", 0), ("message", "normal")]
        await peer.send(encode_frame(Frame(FrameType.HAPROXY_DISCONNECT, 1, 0, 0, encode_pairs(pairs))))
        assert await peer.disconnect_code() == 0
        assert await peer.is_closed()


async def test_an_agent_that_stops_says_good_bye(agent: Agent) -> None:
    async with Peer.open(agent.listen["spop"]) as peer:
        await peer.shake_hands()
        assert await agent.stop() == 0
        assert await peer.disconnect_code() == 0
        assert await peer.is_closed()


@pytest.mark.parametrize(
    ("data", "status_code"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", 3, id="HTTP"),
        pytest.param(struct.pack("!I", 1 << 30), 3, id="length of 1 GiB"),
        pytest.param(struct.pack("!I", 2) + b"\x01\x00", 4, id="frame shorter than its header"),
        pytest.param(notify(), 4, id="NOTIFY before HELLO"),
        pytest.param(hello() + hello(), 4, id="HELLO twice"),
        pytest.param(hello([("max-frame-size", 16_380), ("capabilities", "")]), 5, id="HELLO without version"),
        pytest.param(hello([("supported-versions", "1.0"), *HELLO[1:]]), 8, id="HELLO of another version"),
        pytest.param(hello() + encode_frame(Frame(FrameType.NOTIFY, 1, 1, 1, b"\x05cut")), 4, id="NOTIFY cut inside"),
        pytest.param(hello() + encode_frame(Frame(FrameType.NOTIFY, 0, 1, 1, b"")), 10, id="NOTIFY without FIN"),
        pytest.param(hello() + encode_frame(Frame(FrameType.NOTIFY, 1, 1, 1, b"\x00" * 20_000)), 3, id="NOTIFY too big"),
    ],
)
async def test_a_broken_peer_is_told_why_and_costs_its_own_connection_only(agent: Agent, data: bytes, status_code: int) -> None:
    async with Peer.open(agent.listen["spop"]) as well, Peer.open(agent.listen["spop"]) as broken:
        await well.shake_hands()
        await broken.send(data)
        frame = await broken.frame()
        if frame.type == FrameType.AGENT_HELLO:
            frame = await broken.frame()
        assert frame.type == FrameType.AGENT_DISCONNECT
        assert decode_pairs(frame.payload)["status-code"] == status_code
        assert await broken.is_closed()
        await well.send(notify())
        assert is_answer(await well.frame())
    metrics = await agent.metrics()
    assert metrics[f'frame_errors_total{{code="{StatusCode(status_code).name.lower()}"}}'] == 1
    assert metrics['frames_total{direction="sent",type="agent_disconnect"}'] == 1
    assert not [line for line in agent.process.lines if "Traceback" in line]


async def test_frames_of_an_unknown_type_are_counted_and_ignored(agent: Agent) -> None:
    unknown = encode_frame(Frame(42, 1, 1, 1, b"whatever"))
    async with Peer.open(agent.listen["spop"]) as peer:
        await peer.shake_hands()
        await peer.send(unknown + unknown + notify())
        assert is_answer(await peer.frame())
        await peer.send(unknown + notify())
        assert is_answer(await peer.frame())
    metrics = await agent.metrics()
    assert metrics['frames_total{direction="received",type="other"}'] == 3
    assert metrics['frames_total{direction="received",type="notify"}'] == 2
    assert metrics['frames_total{direction="received",type="haproxy_hello"}'] == 1


async def test_a_peer_that_never_says_hello_is_closed_and_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spop_server, "_HELLO_TIMEOUT_SECONDS", 0.05)
    telemetry = Telemetry()
    server = spop_server.SpopServer(
        notify=lambda _messages: [], telemetry=telemetry, max_connections=8, max_frame_size_bytes=16_380
    )
    address = f"127.0.0.1:{free_port()}"
    with listen("listen.spop", address) as listening:
        await server.start(listening)
        async with Peer.open(address) as silent:
            assert await silent.is_closed()
        server.close()
    assert telemetry.registry.get_sample_value(f"{PREFIX}hello_timeouts_total") == 1


async def test_an_answer_that_fits_in_no_frame_is_one_without_actions_and_is_counted(agent: Agent) -> None:
    async with Peer.open(agent.listen["spop"]) as peer:
        await peer.send(hello([HELLO[0], ("max-frame-size", 256), HELLO[2]]))
        assert (await peer.frame()).type == FrameType.AGENT_HELLO
        await peer.send(notify(7, 3, [*ARGUMENTS[:2], ("host", "h" * 120)]))
        answer = await peer.frame()
        assert answer == Frame(FrameType.ACK, 1, 7, 3, b"")
        await peer.send(notify(8, 3, ARGUMENTS[:2]))
        assert is_answer(await peer.frame())
    assert (await agent.metrics())["answers_too_long_total"] == 1
    assert not [line for line in agent.process.lines if "Traceback" in line]


async def test_a_reset_at_any_byte_costs_nobody_else_anything(agent: Agent) -> None:
    conversation = hello() + notify()
    async with Peer.open(agent.listen["spop"]) as well:
        await well.shake_hands()
        for end in range(1, len(conversation), 7):
            async with Peer.open(agent.listen["spop"]) as peer:
                await peer.send(conversation[:end])
                linger = struct.pack("ii", 1, 0)
                peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                peer.writer.transport.abort()
            await well.send(notify())
            assert is_answer(await well.frame())
    assert not [line for line in agent.process.lines if "Traceback" in line]


async def test_more_connections_than_allowed_are_refused_and_counted(agent: Agent) -> None:
    async with contextlib.AsyncExitStack() as stack:
        peers = [await stack.enter_async_context(Peer.open(agent.listen["spop"])) for _ in range(8)]
        for peer in peers:
            await peer.shake_hands()
        async with Peer.open(agent.listen["spop"]) as one_too_many:
            assert await one_too_many.is_closed()
        await peers[0].send(notify())
        assert is_answer(await peers[0].frame())
        metrics = await agent.metrics()
        assert metrics['open_connections{kind="spop"}'] == 8
        assert metrics['connections_total{kind="spop",result="limit"}'] == 1

    async def all_gone() -> bool:
        return (await agent.metrics())['open_connections{kind="spop"}'] == 0

    await until(all_gone, what="all connections are gone")
    async with Peer.open(agent.listen["spop"]) as peer:
        await peer.shake_hands()


async def test_a_peer_that_never_reads_stops_being_read(agent: Agent) -> None:
    """Its answers wait in the kernel's buffers and in a bounded one of ours; then its own sending blocks, and nothing grows."""
    async with Peer.open(agent.listen["spop"]) as deaf, Peer.open(agent.listen["spop"]) as well:
        await well.shake_hands()
        await deaf.shake_hands()
        deaf.reader._transport.pause_reading()  # type: ignore[attr-defined]
        flood = b"".join(notify(number, 1) for number in range(200))
        blocked = False
        for _ in range(2_000):
            deaf.writer.write(flood)
            try:
                async with asyncio.timeout(2):
                    await deaf.writer.drain()
            except TimeoutError:
                blocked = True
                break
        assert blocked
        await well.send(notify())
        assert is_answer(await well.frame())
