"""How long an agent takes from its start until it listens, and how much CPU time."""

import argparse
import asyncio
import statistics
import tempfile
import time
from pathlib import Path

from .agents import OWN, SDK, Addresses, Agent, Setting, make_command
from .machine import describe

__all__ = ["main"]

_NOWHERE = "http://127.0.0.1:1/v1/traces"


async def measure(starts: int) -> dict[str, list[tuple[float, float]]]:
    """Milliseconds of the clock and of CPU time, of each start."""
    results: dict[str, list[tuple[float, float]]] = {OWN: [], SDK: []}
    setting = Setting("unix", "none")
    for _ in range(starts):
        for name, figures in results.items():
            with tempfile.TemporaryDirectory(prefix="bench-") as folder:
                addresses = Addresses.choose(setting.transport, Path(folder))
                command = make_command(name, setting, addresses, _NOWHERE, Path(folder))
                start_seconds = time.perf_counter()
                agent = await Agent.start(command, addresses)
                seconds = time.perf_counter() - start_seconds
                figures.append((seconds * 1_000, agent.cpu_seconds * 1_000))
                await agent.stop()
    return results


def render(results: dict[str, list[tuple[float, float]]]) -> str:
    """The figures as text."""
    starts = len(next(iter(results.values())))
    lines = [f"ms from start until it listens, median of {starts} starts in turns", "", f"{'':8} {'clock':>7} {'CPU':>7}"]
    for name, figures in results.items():
        clock, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
        lines.append(f"{name:8} {clock:>7.0f} {cpu:>7.0f}")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Start-up time of an agent.")
    parser.add_argument("--starts", type=int, default=7)
    options = parser.parse_args()
    print("\n".join(describe()))
    print(render(asyncio.run(measure(options.starts))), end="")


if __name__ == "__main__":
    main()
