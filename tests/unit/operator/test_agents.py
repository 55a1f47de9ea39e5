"""Agents, asked over real HTTP; the agents are small servers that say what a test wants."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from haproxy_telemetry_operator import agents as module
from haproxy_telemetry_operator.agents import Agents
from haproxy_telemetry_operator.state.workload import Pod
from support.ports import ADDRESS, free_port

RESOURCE = ("shop", "edge")
METRICS = """\
# HELP haproxy_telemetry_agent_open_connections Open.
# TYPE haproxy_telemetry_agent_open_connections gauge
haproxy_telemetry_agent_open_connections{{kind="spop"}} 1.0
haproxy_telemetry_agent_open_connections{{kind="records"}} 2.0
# TYPE haproxy_telemetry_agent_spans_exported_total counter
haproxy_telemetry_agent_spans_exported_total{{destination="exporter"}} {exported}
"""
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def pod(name: str, ip: str = ADDRESS, uid: str = "") -> Pod:
    return Pod(
        name=name,
        uid=uid or name,
        owner=None,
        labels={},
        injected="edge",
        config_hash=None,
        ready=True,
        ending=False,
        ip=ip,
        created="",
        waiting=None,
    )


class Site:
    """An agent that answers as it is told to."""

    def __init__(self) -> None:
        self.port = free_port()
        self.asked = 0
        self.text = METRICS.format(exported=5)
        self.answer: Answer = self._usual

    async def _usual(self, _request: web.Request) -> web.StreamResponse:
        return web.Response(text=self.text)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        return await self.answer(request)


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    application = web.Application()
    application.router.add_get("/metrics", site.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, ADDRESS, site.port).start()
    yield site
    await runner.cleanup()


@pytest.fixture
async def agents() -> AsyncIterator[Agents]:
    agents = Agents()
    yield agents
    await agents.close()


async def test_an_agent_is_asked_and_what_it_said_before_is_kept(site: Site, agents: Agents) -> None:
    now, before, unseen = await agents.look(RESOURCE, [pod("a")], site.port)
    assert [(sighting.connections, sighting.exported) for sighting in now] == [(3.0, 5.0)]
    assert (before, unseen) == ([], 0)
    site.text = METRICS.format(exported=9)
    now, before, unseen = await agents.look(RESOURCE, [pod("a"), pod("b")], site.port)
    assert [sighting.exported for sighting in now] == [9.0, 9.0]
    assert [sighting.exported for sighting in before] == [5.0]


async def test_another_pod_of_the_same_name_has_no_past(site: Site, agents: Agents) -> None:
    await agents.look(RESOURCE, [pod("a", uid="1")], site.port)
    _, before, _ = await agents.look(RESOURCE, [pod("a", uid="2")], site.port)
    assert before == []


async def test_a_resource_that_has_gone_is_forgotten(site: Site, agents: Agents) -> None:
    await agents.look(RESOURCE, [pod("a")], site.port)
    agents.forget(RESOURCE)
    agents.forget(RESOURCE)
    _, before, _ = await agents.look(RESOURCE, [pod("a")], site.port)
    assert before == []


async def test_a_body_in_pieces_is_read_to_its_end(site: Site, agents: Agents) -> None:
    async def in_pieces(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for line in site.text.splitlines(keepends=True):
            await response.write(line.encode())
        return response

    site.answer = in_pieces
    site.text = "# " + "x" * 500_000 + "\n" + site.text
    ((sighting,), _, _) = await agents.look(RESOURCE, [pod("a")], site.port)
    assert sighting.exported == 5


async def test_more_than_an_agent_has_to_say_is_not_read(site: Site, agents: Agents, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_BYTES", 1000)
    site.text += "#" * 1000
    assert await agents.look(RESOURCE, [pod("a")], site.port) == ([], [], 1)


async def test_only_so_many_are_asked_and_only_those_that_have_an_address(site: Site, agents: Agents) -> None:
    now, _, unseen = await agents.look(RESOURCE, [pod(f"{number:02}") for number in range(20)], site.port)
    assert site.asked == len(now) == 8
    assert unseen == 0
    assert await agents.look(RESOURCE, [pod("a", ip="")], site.port) == ([], [], 0)


@pytest.mark.parametrize("text", ["haproxy_telemetry_agent_open_connections{ no metrics", "\xff"])
async def test_an_answer_that_makes_no_sense(site: Site, agents: Agents, text: str) -> None:
    site.text = text
    now, _, unseen = await agents.look(RESOURCE, [pod("a")], site.port)
    assert all(sighting.exported == 0 for sighting in now)
    assert len(now) + unseen == 1


async def test_agents_that_do_not_answer_are_counted(site: Site, agents: Agents) -> None:
    async def not_ready(_request: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    site.answer = not_ready
    assert await agents.look(RESOURCE, [pod("a")], site.port) == ([], [], 1)
    assert await agents.look(RESOURCE, [pod("a"), pod("b", ip="::1")], free_port()) == ([], [], 2)


async def test_closing_without_having_asked() -> None:
    await Agents().close()
