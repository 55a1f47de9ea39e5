"""The chain is all that runs: receiver, traced server, two HAProxies, and an agent beside each of them.

client -> edge HAProxy -> inner HAProxy -> traced server
             |  agent        |  agent          |
             +---------------+-----------------+--> receiver (OTLP)
"""

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from demo.doors import Doors
from demo.expected import EDGE, INNER, SERVER
from demo.hops import Profile
from demo.proxies import Wiring, edge_config, inner_config
from support.agent import Agent
from support.haproxy import HAProxy, HAProxyConfigError, ProcessEndedError
from support.otlp_sink import OtlpSink
from support.ports import ADDRESS, free_port
from support.probe import accepts, until
from support.process import Process

__all__ = ["Chain", "ChainError", "running_chain"]

_ROOT = Path(__file__).resolve().parents[1]
_START_SECONDS = 20.0


class ChainError(Exception):
    """Something of the chain does not start; the message is for the user."""


@dataclass(frozen=True, slots=True)
class Chain:
    """What runs, and how to reach it."""

    sink: OtlpSink
    doors: Doors
    agents: tuple[Agent, Agent]
    profile: Profile
    folder: Path
    """Where the configurations are."""


@contextlib.asynccontextmanager
async def running_chain(haproxy: Path, profile: Profile, folder: Path, say: Callable[[str], None]) -> AsyncIterator[Chain]:
    """Starts everything, and ends everything in an order in which no span is lost: whoever receives outlives whoever sends."""
    async with contextlib.AsyncExitStack() as stack:
        try:
            chain = await _start(stack, haproxy, profile, folder, say)
        except (HAProxyConfigError, ProcessEndedError, TimeoutError, OSError) as error:
            raise ChainError(str(error)) from error
        except subprocess.CalledProcessError as error:
            raise ChainError(f"the agent gives no configuration: {str(error.stderr).strip() or error}") from error
        yield chain


async def _start(
    stack: contextlib.AsyncExitStack, haproxy: Path, profile: Profile, folder: Path, say: Callable[[str], None]
) -> Chain:
    doors = Doors.claim(say)
    server_port = free_port()
    sink = await stack.enter_async_context(OtlpSink())
    agents = tuple(_agent(service, profile, folder, sink) for service in (EDGE, INNER))
    edge_agent, inner_agent = agents
    await _all(_serve(stack, server_port, sink), *(_run(stack, agent) for agent in agents))
    edge_wiring, inner_wiring = (_wiring(agent, profile) for agent in agents)
    edge = HAProxy(edge_config(doors, edge_wiring), folder / EDGE, binary=haproxy, name="the edge HAProxy")
    inner_text = inner_config(doors, inner_wiring, server_port=server_port)
    inner = HAProxy(inner_text, folder / INNER, binary=haproxy, name="the inner HAProxy")
    await stack.enter_async_context(inner)
    await stack.enter_async_context(edge)
    return Chain(sink, doors, (edge_agent, inner_agent), profile, folder)


async def _all(*starts: Coroutine[Any, Any, None]) -> None:
    """Does all at once; of several failures the first is raised, as it is."""
    try:
        async with asyncio.TaskGroup() as group:
            for start in starts:
                group.create_task(start)
    except BaseExceptionGroup as group_of_errors:
        raise group_of_errors.exceptions[0] from None


def _agent(service: str, profile: Profile, folder: Path, sink: OtlpSink) -> Agent:
    of_agent = folder / service
    of_agent.mkdir()
    settings = {"profile": profile, "resource": {"serviceName": service}}
    return Agent(of_agent, endpoint=sink.endpoint, settings=settings, name=f"agent-{service}")


async def _run(stack: contextlib.AsyncExitStack, agent: Agent) -> None:
    stack.push_async_exit(agent)  # first, so that an agent that starts but is never ready is ended, too
    await agent.start()


def _wiring(agent: Agent, profile: Profile) -> Wiring:
    """Asks the agent's own program, as a user would, and puts the SPOE file where HAProxy will look for it, if there is one."""
    if profile != "Stream":
        agent.spoe_path.write_text(agent.wiring("spoe"))
    return Wiring(frontend=agent.wiring("frontend"), sections=agent.wiring("sections"))


async def _serve(stack: contextlib.AsyncExitStack, port: int, sink: OtlpSink) -> None:
    environment = os.environ | {
        "PYTHONPATH": f"{_ROOT}{os.pathsep}{_ROOT / 'tests'}",
        "OTEL_SERVICE_NAME": SERVER,
        "OTEL_EXPORTER_OTLP_ENDPOINT": sink.endpoint,
        "OTEL_BSP_SCHEDULE_DELAY": "20",
    }
    server = Process("the traced server", [sys.executable, "-m", "demo.traced_server", str(port)], environment=environment)
    await stack.enter_async_context(server)
    await server.while_alive(
        until(lambda: accepts(ADDRESS, port), what="it listens", timeout_seconds=_START_SECONDS),
        what="it listens",
        timeout_seconds=_START_SECONDS,
    )
