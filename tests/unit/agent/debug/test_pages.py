"""The handlers of ``/debug`` in this process: turns, silences and bounds. The rest is tested by running the agent."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from haproxy_telemetry_agent.debug import pages
from haproxy_telemetry_agent.debug.tails import MAX_TAILS
from haproxy_telemetry_agent.endpoint import Endpoint
from haproxy_telemetry_agent.listener import listen
from haproxy_telemetry_agent.settings import Settings
from haproxy_telemetry_agent.telemetry import Telemetry
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from haproxy_telemetry_agent.window import Window
from support.made import END_UNIX_NANO, passed
from support.ports import free_port
from support.probe import until


@pytest.fixture
async def window() -> Window:
    settings = Settings()
    return Window(
        settings=lambda: settings,
        attributes=AttributeBuilder,
        service_name=lambda: "edge",
        collect=Telemetry().registry.collect,
        listening={},
    )


@pytest.fixture
async def url(window: Window) -> AsyncIterator[str]:
    endpoint = Endpoint(telemetry=Telemetry(), ready=lambda: True, debug=window.pages)
    address = f"127.0.0.1:{free_port()}"
    with listen("listen.http", address) as listening:
        await endpoint.start(listening)
        yield f"http://{address}"
        await endpoint.close()


async def test_others_have_their_turns_while_it_is_written(window: Window, url: str) -> None:
    """With all that can be remembered of exchanges."""
    for number in range(100):
        window.recent.add(*passed(ST="500", Ta=str(number), end_unix_nano=END_UNIX_NANO + number))
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async with aiohttp.ClientSession() as session:
        for path, least in (("/debug", 25), ("/debug/exchanges", 170)):
            others = asyncio.create_task(take_turns())
            turns = 0
            async with session.get(f"{url}{path}") as response:
                assert (await response.text()).count("GET /") == 170
            others.cancel()
            assert turns > least


async def test_silence_is_told_and_who_goes_away_makes_room(window: Window, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "_SILENCE_SECONDS", 0.01)
    async with aiohttp.ClientSession() as session:
        followed = [await session.get(f"{url}/debug/tail") for _ in range(MAX_TAILS)]
        for following in followed:
            assert (await following.content.readline()).startswith(b'{"agent"')
            assert await following.content.readline() == b"\n"
        async with session.get(f"{url}/debug/tail") as refused:
            assert refused.status == 503
        # Nothing will be written to them any more.
        monkeypatch.setattr(pages, "_SILENCES_PER_HEARTBEAT", 1_000_000)
        for following in followed:
            following.close()

    async def nobody() -> bool:
        return window.recent.followers == ()

    await until(nobody, what="nobody follows")


async def test_a_page_that_nobody_reads_to_its_end_costs_nothing(window: Window, url: str) -> None:
    for number in range(100):
        window.recent.add(*passed(HPO="/" + "x" * 900, end_unix_nano=END_UNIX_NANO + number))
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", int(url.rpartition(":")[2]))
        writer.write(b"GET /debug/exchanges HTTP/1.1\r\nHost: localhost\r\n\r\n")
        await reader.readexactly(1_000)
        writer.transport.abort()
    async with aiohttp.ClientSession() as session, session.get(f"{url}/debug") as response:
        assert response.status == 200
