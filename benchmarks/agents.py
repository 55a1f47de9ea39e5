"""The agents under test, as processes: ours by its own command, the SDK's way by ``sdk_agent``; the same settings for both."""

import asyncio
import contextlib
import json
import os
import signal
import socket
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from haproxy_telemetry_agent.wiring import Profile

from .usage import cpu_seconds, resident_mebibytes

__all__ = ["ACK", "OWN", "SDK", "Addresses", "Agent", "Setting", "make_command"]

OWN, SDK, ACK = "agent", "sdk", "ack only"
"""Ours, the SDK's way, and the least there is."""

_START_TIMEOUT_SECONDS = 15.0
_STOP_TIMEOUT_SECONDS = 10.0
_BATCH_SPANS = 2_048
_DELAY_MILLISECONDS = 200
_QUEUE_SPANS = 1_000_000
_QUEUE_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class Setting:
    """How an agent is reached and how it sends."""

    transport: str
    """Of SPOP: ``tcp`` or ``unix``. Records come by TCP, as the agent's documentation wants it."""
    compression: str
    """``none`` or ``gzip``."""
    profile: Profile = "Standard"


@dataclass(frozen=True, slots=True)
class Addresses:
    """In the form of the agent's settings."""

    spop: str
    records: str
    http: str

    @classmethod
    def choose(cls, transport: str, folder: Path) -> Self:
        """Free ports, and sockets in ``folder``."""
        spop = f"unix:{folder}/spop" if transport == "unix" else f"127.0.0.1:{_free_port()}"
        return cls(spop, f"127.0.0.1:{_free_port()}", f"unix:{folder}/http")


def make_command(name: str, setting: Setting, addresses: Addresses, url: str, folder: Path) -> list[str]:
    """What starts the agent of this name; all others than ``SDK`` and ``ACK`` are versions of ours.

    Args:
        name: which.
        setting: how it is reached and how it sends.
        addresses: where it is to listen.
        url: where batches are posted to.
        folder: for its settings file.
    """
    if name == ACK:
        return [sys.executable, "-m", "benchmarks.ack_agent", "--spop", addresses.spop, "--records", addresses.records]
    if name == SDK:
        return _sdk_command(setting, addresses, url)
    return _own_command(setting, addresses, url, folder)


def _own_command(setting: Setting, addresses: Addresses, url: str, folder: Path) -> list[str]:
    settings = {
        "profile": setting.profile,
        "listen": {"spop": addresses.spop, "records": addresses.records, "http": addresses.http},
        "exporter": {
            "tracesEndpoint": url,
            "compression": setting.compression,
            "batch": {
                "maxQueueSpans": _QUEUE_SPANS,
                "maxQueueBytes": _QUEUE_BYTES,
                "maxBatchSpans": _BATCH_SPANS,
                "delay": f"{_DELAY_MILLISECONDS}ms",
            },
        },
        "log": {"level": "warn"},
    }
    file = folder / "settings.yaml"
    file.write_text(json.dumps(settings))  # JSON is YAML
    return [sys.executable, "-m", "haproxy_telemetry_agent", "run", "--config", str(file)]


def _sdk_command(setting: Setting, addresses: Addresses, url: str) -> list[str]:
    options = {
        "--spop": addresses.spop,
        "--records": addresses.records,
        "--url": url,
        "--compression": setting.compression,
        "--batch-spans": str(_BATCH_SPANS),
        "--delay-milliseconds": str(_DELAY_MILLISECONDS),
    }
    return [sys.executable, "-m", "benchmarks.sdk_agent", *(word for pair in options.items() for word in pair)]


class Agent:
    """A running agent.

    Attributes:
        addresses: where it listens.
        spans: how many it must have sent by now.
        spans_per_exchange: how many it makes.
    """

    def __init__(self, process: asyncio.subprocess.Process, addresses: Addresses, spans_per_exchange: int) -> None:
        self._process = process
        self.addresses = addresses
        self.spans = 0
        self.spans_per_exchange = spans_per_exchange

    @classmethod
    async def start(
        cls, command: list[str], addresses: Addresses, *, package_folder: Path | None = None, spans_per_exchange: int = 2
    ) -> Self:
        """Start a process and wait until it listens.

        Args:
            command: what to run.
            addresses: where it will listen.
            package_folder: holds another ``haproxy_telemetry_agent``, to be run instead of the installed one.
            spans_per_exchange: how many spans it makes of one.
        """
        environment = {name: value for name, value in os.environ.items() if not name.startswith("OTEL_")}
        if package_folder is not None:
            environment["PYTHONPATH"] = str(package_folder)
        process = await asyncio.create_subprocess_exec(*command, env=environment)
        agent = cls(process, addresses, spans_per_exchange)
        try:
            async with asyncio.timeout(_START_TIMEOUT_SECONDS):
                await agent._listening()
        except BaseException:
            await agent.stop()
            raise
        return agent

    @property
    def cpu_seconds(self) -> float:
        """What it has used so far."""
        return cpu_seconds(self._process.pid)

    @property
    def resident_mebibytes(self) -> float:
        """What it holds now."""
        return resident_mebibytes(self._process.pid)

    async def _listening(self) -> None:
        while not await _answers(self.addresses.spop):
            if self._process.returncode is not None:
                raise ChildProcessError(f"an agent has ended with {self._process.returncode} before it listened")
            await asyncio.sleep(0.05)

    async def stop(self) -> None:
        """End it."""
        with contextlib.suppress(ProcessLookupError):
            self._process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()


async def _answers(address: str) -> bool:
    try:
        if address.startswith("unix:"):
            _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
        else:
            host, _, port = address.rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
    except OSError:
        return False
    writer.close()
    return True


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
