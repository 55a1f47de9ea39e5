"""Where and when figures were measured: without it they mean nothing."""

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

__all__ = ["describe"]

_DISTRIBUTIONS = ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http", "protobuf", "aiohttp", "msgspec")


def describe() -> list[str]:
    """Date, machine and versions, one a line."""
    return [
        f"date      {datetime.now(UTC):%Y-%m-%d %H:%M} UTC",
        f"machine   {_processor()}, {os.cpu_count()} CPUs, {platform.system()} {platform.release()}, load {os.getloadavg()[0]:.1f}",
        f"python    {platform.python_implementation()} {platform.python_version()}",
        "versions  " + ", ".join(f"{name} {version(name)}" for name in _DISTRIBUTIONS),
    ]


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
