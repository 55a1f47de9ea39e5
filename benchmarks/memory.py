"""What an agent holds: idle, after a million exchanges, and with ten thousand of them open.

Our agent keeps nothing of an open exchange: what is begun, and never ends, must cost it nothing.
"""

import argparse
import asyncio
import tempfile
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from .agents import OWN, SDK, Addresses, Agent, Setting, make_command
from .exchange import PIPELINED, exchange
from .machine import describe
from .sink import Sink

__all__ = ["main"]

_OPEN = 10_000
_PARTS = 10


@dataclass(slots=True)
class Figures:
    """Resident memory of one agent, in MiB."""

    idle: float
    after_open: float = 0.0
    """Ten thousand exchanges were begun, and none has ended."""
    on_the_way: list[float] = field(default_factory=list)
    """After each tenth of the exchanges."""


async def measure(exchanges: int) -> dict[str, Figures]:
    """Figures of our agent, and of the SDK's way."""
    results: dict[str, Figures] = {}
    setting = Setting("unix", "none")
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        sink = await stack.enter_async_context(Sink())
        for name in (OWN, SDK):
            own_folder = folder / name
            await asyncio.to_thread(own_folder.mkdir)
            addresses = Addresses.choose(setting.transport, own_folder)
            agent = await Agent.start(make_command(name, setting, addresses, sink.url(name), own_folder), addresses)
            stack.push_async_callback(agent.stop)
            results[name] = figures = Figures(agent.resident_mebibytes)
            await exchange(sink, name, agent, PIPELINED, _OPEN, open_ended=True)
            figures.after_open = agent.resident_mebibytes
            for _ in range(_PARTS):
                await exchange(sink, name, agent, PIPELINED, exchanges // _PARTS)
                figures.on_the_way.append(agent.resident_mebibytes)
    return results


def render(results: dict[str, Figures], exchanges: int) -> str:
    """The figures as text."""
    lines = [f"RSS in MiB; {exchanges} exchanges, looked at after each tenth", ""]
    lines.append(f"{'':8} {'idle':>6} {f'{_OPEN} open':>11}  after each tenth")
    for name, figures in results.items():
        lines.append(
            f"{name:8} {figures.idle:>6.1f} {figures.after_open:>11.1f}  " + " ".join(f"{one:.1f}" for one in figures.on_the_way)
        )
    return "\n".join(lines) + "\n"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="Resident memory of an agent.")
    parser.add_argument("--exchanges", type=int, default=1_000_000)
    options = parser.parse_args()
    print("\n".join(describe()))
    print(render(asyncio.run(measure(options.exchanges)), options.exchanges), end="")


if __name__ == "__main__":
    main()
