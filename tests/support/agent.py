"""An agent is the real program under test, with settings of its own and a page that says how it is.

It is started as its users start it, by its command. What goes into HAProxy's configuration comes from its own `config`.
"""

import contextlib
import io
import ssl
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import aiohttp
import yaml
from prometheus_client.parser import text_string_to_metric_families

from haproxy_telemetry_agent.cli import main
from support.ports import ADDRESS, free_port, free_ports
from support.probe import until
from support.process import Process

__all__ = ["PROGRAM", "Agent"]

PROGRAM = Path(sys.executable).with_name("haproxy-telemetry-agent")
PREFIX = "haproxy_telemetry_agent_"

Settings = dict[str, Any]


class Agent:
    """A running agent: `async with Agent(folder, endpoint=sink.endpoint) as agent`."""

    def __init__(
        self,
        folder: Path,
        *,
        endpoint: str,
        settings: Mapping[str, Any] | None = None,
        listen: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        supervised: bool = False,
        workers: int = 1,
        name: str = "agent",
        trust: ssl.SSLContext | None = None,
    ) -> None:
        """`settings` and `listen` lie over what a test wants of an agent by default: batches that leave at once, and an HAProxy
        that has patience with it on a busy machine. With `trust` its page is asked for by https.
        """
        self.name = name
        self.folder = folder
        own = {"spop": free_port(), "records": free_port(), "http": free_ports(workers)[0]}
        self.listen = {part: f"{ADDRESS}:{port}" for part, port in own.items()} | dict(listen or {})
        self.settings: Settings = {
            "listen": self.listen,
            "processingTimeout": "1s",
            "exporter": {"endpoint": endpoint, "batch": {"delay": "20ms"}},
            "resource": {"serviceName": "edge"},
            **(settings or {}),
        }
        self._environment = environment
        self._trust = trust
        self._supervised = supervised
        self._workers = workers
        self._process: Process | None = None

    @property
    def settings_path(self) -> Path:
        """The settings file."""
        return self.folder / f"{self.name}.yaml"

    @property
    def spoe_path(self) -> Path:
        """Where this agent's SPOE file is to lie."""
        return self.folder / f"{self.name}-spoe.cfg"

    @property
    def started(self) -> bool:
        """Whether it was ever started."""
        return self._process is not None

    @property
    def process(self) -> Process:
        """The running program."""
        assert self._process is not None, f"{self.name} was not started"
        return self._process

    def wiring(self, section: str) -> str:
        """One part of what HAProxy is told: `spoe`, `sections`, `frontend` or `tcp-frontend`.

        The command runs in this process: to start Python for each part was half the work of most tests. What the program itself
        prints is looked at in `test_program.py`.
        """
        self.write_settings()
        arguments = ["config", "--config", self.settings_path, "--section", section, "--spoe-path", self.spoe_path]
        with contextlib.redirect_stdout(io.StringIO()) as output:
            status = main([str(argument) for argument in arguments])
        assert status == 0, f"config --section {section}: exit code {status}"
        return output.getvalue()

    def write_settings(self) -> None:
        """Writes the settings file."""
        self.settings_path.write_text(yaml.safe_dump(self.settings))

    async def start(self) -> None:
        """Starts the program and comes back when it listens."""
        self.write_settings()
        arguments: list[str | Path] = [PROGRAM, "run", "--config", self.settings_path]
        if self._supervised:
            arguments.append("--supervise")
        if self._workers > 1:
            arguments.append(f"--workers={self._workers}")
        self._process = Process(self.name, arguments, environment=self._environment)
        await self._process.start()
        ready = until(self._is_ready, what=f"{self.name} is ready", timeout_seconds=20)
        try:
            await self._process.while_alive(ready, what=f"{self.name}'s start", timeout_seconds=20)
        except BaseException:
            await self._process.stop()
            raise

    async def stop(self) -> int:
        """Ends it as a supervisor does, by SIGTERM; returns its exit code."""
        return await self.process.stop(timeout_seconds=20)

    def url(self, path: str, worker: int = 0) -> str:
        """Of something at its HTTP endpoint, or at that of one of its workers."""
        host, _, port = self.listen["http"].rpartition(":")
        return f"http{'s' if self._trust else ''}://{host}:{int(port) + worker}{path}"

    async def metrics(self, worker: int = 0) -> dict[str, float]:
        """What it counts, or one of its workers: `name{label="value"}` without the common prefix -> value."""
        url = self.url("/metrics", worker)
        async with aiohttp.ClientSession() as session, session.get(url, ssl=self._trust or True) as response:
            text = await response.text()
        values: dict[str, float] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
                values[sample.name.removeprefix(PREFIX) + (f"{{{labels}}}" if labels else "")] = sample.value
        return values

    async def wait_for_metric(self, name: str, value: float, *, timeout_seconds: float = 10.0) -> None:
        """Waits until a metric has reached a value."""

        async def reached() -> bool:
            return (await self.metrics()).get(name, 0.0) >= value

        await until(reached, what=f"{self.name}: {name} >= {value:g}", timeout_seconds=timeout_seconds)

    async def _is_ready(self) -> bool:
        try:
            async with aiohttp.ClientSession() as session, session.get(self.url("/readyz"), ssl=self._trust or True) as response:
                return bool(response.status == 200)
        except aiohttp.ClientError:
            return False

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._process is not None:
            await self._process.stop(timeout_seconds=20)
