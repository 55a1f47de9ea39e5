"""The stage is all that runs: HAProxy under its master, an agent under its supervisor, a server, a collector, and the load."""

import asyncio
import contextlib
import re
import signal
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from textwrap import indent

import aiohttp

from soak.collector import TroubledCollector
from soak.ledger import Ledger
from soak.load import TracedLoad
from support.agent import Agent
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.ports import ADDRESS, free_port

__all__ = ["BATCH_DELAY_SECONDS", "Stage", "open_stage"]

BATCH_DELAY_SECONDS = 0.2
_BATCH = {"delay": f"{round(BATCH_DELAY_SECONDS * 1000)}ms"}
_RING_BYTES = 262_144
"""A quarter of what users have, so that it can be filled in seconds: some 380 records."""


class Stage:
    """What runs, and what is known of it."""

    def __init__(
        self,
        *,
        agent: Agent,
        haproxy: HAProxy,
        version: tuple[int, int],
        collector: TroubledCollector,
        load: TracedLoad,
        disk: Path | None,
        processing_timeout_seconds: float,
    ) -> None:
        self.agent = agent
        self.haproxy = haproxy
        self.version = version
        """HAProxy's, as (2, 6)."""
        self.collector = collector
        self.load = load
        self.disk = disk
        """A small one for the agent's spill; None where this user may not mount any."""
        self.processing_timeout_seconds = processing_timeout_seconds
        self.ledger = Ledger()

    @property
    def worker(self) -> int:
        """The process id of the agent's present worker."""
        return int([found[1] for line in self.agent.process.lines if (found := re.search(r"worker (\d+) started", line))][-1])

    @property
    def rss_bytes(self) -> int:
        """Resident memory of the agent's worker."""
        lines = Path(f"/proc/{self.worker}/status").read_text().splitlines()
        (kibibytes,) = (int(line.split()[1]) for line in lines if line.startswith("VmRSS:"))
        return kibibytes * 1024

    @property
    def tracebacks(self) -> int:
        """How many the agent has logged."""
        return sum("Traceback" in line for line in self.agent.process.lines)

    async def wait_until_agent_is(self, status: str, *, timeout_seconds: float = 30.0) -> None:
        """Waits until HAProxy has seen it."""
        await self.haproxy.wait_for_server("haproxy-telemetry-spoa", "agent", status, timeout_seconds=timeout_seconds)

    async def metrics(self) -> dict[str, float] | None:
        """The agent's; None while it can't say."""
        try:
            async with asyncio.timeout(5):
                return await self.agent.metrics()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return None

    async def change_batch(self, **batch: object) -> None:
        """Has the agent take other settings of its batches and queue."""
        ok = 'config_reloads_total{result="ok"}'
        before = (await self.agent.metrics())[ok]
        self.agent.settings["exporter"]["batch"] = {**_BATCH, **batch}
        self.agent.write_settings()
        self.agent.process.send_signal(signal.SIGHUP)
        await self.agent.wait_for_metric(ok, before + 1)

    def read_spans(self) -> None:
        """Puts what has arrived into the ledger."""
        spans, self.collector.spans[:] = list(self.collector.spans), []
        self.ledger.take(spans)

    async def _keep_reading(self) -> None:
        while True:
            await asyncio.sleep(0.1)
            self.read_spans()


def _edge_config(agent: Agent, *, port: int, server_port: int) -> str:
    return f"""
global
    nbthread 2
defaults
    mode http
    option httplog
    timeout connect 2s
    timeout client 10s
    timeout server 10s
frontend edge
    bind {ADDRESS}:{port}
{indent(agent.wiring("frontend"), "    ")}
    default_backend app
backend app
    server app1 {ADDRESS}:{server_port}
{agent.wiring("sections").replace("size 1048576", f"size {_RING_BYTES}")}"""


@contextlib.contextmanager
def _small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of 1 MiB in memory; None if it can't be."""
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], check=False, capture_output=True)
    if mounted.returncode:
        yield None
        return
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def _server_config(port: int) -> str:
    """An HAProxy is the server, too: it never has a bad moment of its own."""
    return f"""
defaults
    mode http
    timeout client 30s
    timeout connect 1s
    timeout server 1s
frontend app
    bind {ADDRESS}:{port}
    http-request return status 200 content-type text/plain string well hdr traceparent %[req.hdr(traceparent)]
"""


@contextlib.asynccontextmanager
async def open_stage(
    found: FoundHAProxy, folder: Path, *, rate_per_second: float, processing_timeout_seconds: float
) -> AsyncIterator[Stage]:
    """Starts all of it, in this order, and ends it in the other; the load is on when this comes back."""
    port, server_port = free_port(), free_port()
    server = HAProxy(_server_config(server_port), folder / "server", binary=found.path, name="server")
    with contextlib.ExitStack() as disks:
        disk = disks.enter_context(_small_disk(folder / "disk"))
        async with TroubledCollector() as collector, server:
            agent = Agent(folder, endpoint=collector.endpoint, supervised=True)
            agent.settings["processingTimeout"] = f"{round(processing_timeout_seconds * 1000)}ms"
            agent.settings["exporter"]["batch"] = _BATCH
            if disk is not None:
                agent.settings["exporter"]["spill"] = {"directory": str(disk / "spill")}
            agent.spoe_path.write_text(agent.wiring("spoe"))
            config = _edge_config(agent, port=port, server_port=server_port)
            haproxy = HAProxy(config, folder, binary=found.path, master_worker=True)
            major, minor = found.version.split(".")[:2]
            async with agent, haproxy, TracedLoad(port, rate_per_second=rate_per_second) as load:
                stage = Stage(
                    agent=agent,
                    haproxy=haproxy,
                    version=(int(major), int(minor.partition("-")[0])),
                    collector=collector,
                    load=load,
                    disk=disk,
                    processing_timeout_seconds=processing_timeout_seconds,
                )
                await stage.wait_until_agent_is("UP")
                reading = asyncio.create_task(stage._keep_reading())
                try:
                    yield stage
                finally:
                    reading.cancel()
