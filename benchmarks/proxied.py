"""What tracing costs a real HAProxy, and its users: CPU time of HAProxy and agent per request, and how long requests take.

Every row is an HAProxy of its own, with one thread, in front of the same server (an HAProxy that answers by itself): one untraced,
one for each profile, and two in profile Standard whose agents are the SDK's way and the least there is. All are started at once and
take turns, at the same rate of requests.
"""

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from haproxy_telemetry_agent.wiring import Profile
from support.haproxies import FoundHAProxy, found_haproxies, haproxy_at
from support.haproxy import HAProxy
from support.ports import ADDRESS, free_port

from .agents import ACK, OWN, SDK, Addresses, Agent, Setting, make_command
from .machine import describe
from .sink import Sink
from .usage import cpu_seconds

__all__ = ["main"]

_DRAIN_TIMEOUT_SECONDS = 60.0
_CONNECTIONS = 16
_HEALTHY_SECONDS = 15.0
_SPANS = {"Stream": 2, "Standard": 2, "Full": 9}

_SERVER = """
defaults
    mode http
    timeout client 1m
    timeout server 1m
    timeout connect 1s
frontend server
    bind {address}:{port}
    http-request return status 200 content-type text/plain string ok
"""
_PROXY = """
global
    nbthread 1
defaults
    mode http
    option httplog
    timeout client 1m
    timeout server 1m
    timeout connect 1s
frontend edge
    bind {address}:{port}
{frontend}
    default_backend app
backend app
    server app1 {address}:{server_port}
{sections}
"""


@dataclass(frozen=True, slots=True)
class Mode:
    """One row."""

    profile: Profile | None
    """None: not traced."""
    agent: str = OWN

    def __str__(self) -> str:
        if self.profile is None:
            return "nothing"
        return self.profile if self.agent == OWN else f"{self.profile}, {self.agent}"


MODES = (Mode(None), Mode("Stream"), Mode("Standard"), Mode("Full"), Mode("Standard", SDK), Mode("Standard", ACK))


@dataclass(slots=True)
class Figures:
    """What was measured of one row, one figure a round."""

    haproxy_microseconds: list[float] = field(default_factory=list)
    """CPU time per request."""
    agent_microseconds: list[float] = field(default_factory=list)
    p50_milliseconds: list[float] = field(default_factory=list)
    p99_milliseconds: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Proxy:
    """A running row."""

    mode: Mode
    haproxy: HAProxy
    port: int
    agent: Agent | None

    def used_seconds(self) -> tuple[float, float]:
        """CPU time so far, HAProxy's and the agent's."""
        return cpu_seconds(self.haproxy.process.pid), 0.0 if self.agent is None else self.agent.cpu_seconds


@dataclass(frozen=True, slots=True)
class Load:
    """What one row is asked in one round."""

    requests: int
    rate: float
    """A second."""


class Bench:
    """All that runs beside the clients.

    Args:
        found: the HAProxy.
        folder: for everybody's files.
        stack: ends what is started.
    """

    def __init__(self, found: FoundHAProxy, folder: Path, stack: AsyncExitStack) -> None:
        self._found = found
        self._folder = folder
        self._stack = stack
        self._sink = Sink()
        self._server_port = free_port()

    async def start(self, modes: Sequence[Mode]) -> list[Proxy]:
        """Start the sink, the server and every row."""
        await self._stack.enter_async_context(self._sink)
        await self._haproxy(_SERVER.format(address=ADDRESS, port=self._server_port), "server")
        return [await self._start(mode) for mode in modes]

    async def ask(self, proxy: Proxy, load: Load, figures: Figures) -> None:
        """One round of one row."""
        before = proxy.used_seconds()
        options = {"--port": proxy.port, "--rate": load.rate, "--requests": load.requests, "--connections": _CONNECTIONS}
        clients = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.clients", *(str(word) for pair in options.items() for word in pair), stdout=PIPE
        )
        output, _ = await clients.communicate()
        if clients.returncode:
            raise ChildProcessError(f"the clients of {proxy.mode} ended with {clients.returncode}")
        if proxy.agent is not None and proxy.agent.spans_per_exchange:
            proxy.agent.spans += proxy.agent.spans_per_exchange * load.requests
            await self._sink.wait_for(_title(proxy.mode), proxy.agent.spans, _DRAIN_TIMEOUT_SECONDS)
        used = [(after - begun) * 1e6 / load.requests for after, begun in zip(proxy.used_seconds(), before, strict=True)]
        waits = json.loads(output)
        figures.haproxy_microseconds.append(used[0])
        figures.agent_microseconds.append(used[1])
        figures.p50_milliseconds.append(waits["p50"])
        figures.p99_milliseconds.append(waits["p99"])

    async def _haproxy(self, text: str, name: str) -> HAProxy:
        folder = self._folder / name
        await asyncio.to_thread(folder.mkdir, exist_ok=True)
        return await self._stack.enter_async_context(HAProxy(text, folder, binary=self._found.path))

    async def _start(self, mode: Mode) -> Proxy:
        port = free_port()
        places = {"address": ADDRESS, "port": port, "server_port": self._server_port}
        if mode.profile is None:
            return Proxy(mode, await self._haproxy(_PROXY.format(frontend="", sections="", **places), _title(mode)), port, None)
        folder = self._folder / _title(mode)
        await asyncio.to_thread(folder.mkdir)
        setting = Setting("unix", "none", mode.profile)
        addresses = Addresses.choose(setting.transport, folder)
        url = self._sink.url(_title(mode))
        # Our own command writes the settings, which say what any agent's HAProxy is told.
        own = make_command(OWN, setting, addresses, url, folder)
        agent = await Agent.start(
            make_command(mode.agent, setting, addresses, url, folder),
            addresses,
            spans_per_exchange=0 if mode.agent == ACK else _SPANS[mode.profile],
        )
        self._stack.push_async_callback(agent.stop)
        text = await asyncio.to_thread(_wire, own, folder, mode.profile)
        haproxy = await self._haproxy(_PROXY.format(**text, **places), _title(mode))
        if mode.profile != "Stream":
            await haproxy.wait_for_server("haproxy-telemetry-spoa", "agent", "UP", timeout_seconds=_HEALTHY_SECONDS)
        return Proxy(mode, haproxy, port, agent)


def _title(mode: Mode) -> str:
    return str(mode).replace(", ", "-").replace(" ", "-")


def _wire(own_command: Sequence[str], folder: Path, profile: Profile) -> dict[str, str]:
    """What HAProxy is told: the places of ``_PROXY``; the SPOE file is written."""
    program = own_command[: own_command.index("run")]
    config = [*program, "config", "--config", own_command[-1], "--spoe-path", str(folder / "spoe.cfg"), "--section"]

    def section(name: str) -> str:
        return subprocess.run([*config, name], check=True, capture_output=True, text=True).stdout

    if profile != "Stream":
        (folder / "spoe.cfg").write_text(section("spoe"))
    return {name: section(name) for name in ("frontend", "sections")}


async def measure(found: FoundHAProxy, modes: Sequence[Mode], rounds: int, load: Load) -> dict[Mode, Figures]:
    """All figures of one HAProxy."""
    results = {mode: Figures() for mode in modes}
    async with AsyncExitStack() as stack:
        bench = Bench(found, Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-"))), stack)
        proxies = await bench.start(modes)
        for proxy in proxies:
            await bench.ask(proxy, Load(load.requests // 4, load.rate), Figures())
        for number in range(rounds):
            for proxy in proxies if number % 2 else reversed(proxies):
                await bench.ask(proxy, load, results[proxy.mode])
    return results


def render(found: FoundHAProxy, results: dict[Mode, Figures], rounds: int, load: Load) -> str:
    """The figures as text."""
    untraced = results[Mode(None)].haproxy_microseconds
    lines = [
        f"HAProxy {found.version}, one thread; {rounds} rounds, interleaved, of {load.requests} requests, {load.rate:g} a second",
        "CPU: us per request, median of the rounds; times: of the untraced HAProxy's, median of the rounds' ratios",
        "",
        f"{'':20} {'HAProxy CPU':>12} {'times':>6}  {'agent CPU':>10} {'times':>6}  {'request p50':>12} {'p99 ms':>8}",
    ]
    for mode, figures in results.items():
        columns = ""
        for row, width in ((figures.haproxy_microseconds, 12), (figures.agent_microseconds, 10)):
            times = statistics.median(one / base for one, base in zip(row, untraced, strict=True))
            columns += f" {statistics.median(row):>{width}.1f} {times:>6.2f} "
        p50, p99 = statistics.median(figures.p50_milliseconds), statistics.median(figures.p99_milliseconds)
        lines.append(f"{mode!s:20}{columns} {p50:>12.2f} {p99:>8.2f}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="CPU time and latency of a real HAProxy, traced and not.")
    parser.add_argument("--haproxy", type=Path, help="which one; default: the newest that is found")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--requests", type=int, default=2_000, help="in one round of one row (%(default)s)")
    parser.add_argument("--rate", type=float, default=1_000, help="requests a second (%(default)g)")
    options = parser.parse_args()
    found = _newest() if options.haproxy is None else haproxy_at(options.haproxy)
    load = Load(options.requests, options.rate)
    results = asyncio.run(measure(found, MODES, options.rounds, load))
    print("\n".join(describe()))
    print(render(found, results, options.rounds, load), end="")


def _newest() -> FoundHAProxy:
    return max(found_haproxies(), key=lambda found: [int(part) for part in found.version.split("-")[0].split(".")])


if __name__ == "__main__":
    main()
