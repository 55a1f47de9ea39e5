"""CPU time per exchange of the whole agent process (1 NOTIFY answered, 1 record read, 2 spans exported), and how long answers take.

Measured for our agent, for the SDK's way (``sdk_agent``) and for an agent that does next to nothing (``ack_agent``) in one run, in
turns, because on a shared machine the same figure moves by half from one minute to the next: trust the ratios. A measurement begins
before the load does and ends when the sink has seen every span, so nothing that an exchange costs is left out. The load is as much
as the agent can take: with N questions open at any time, an answer takes N exchanges' time.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
from asyncio.subprocess import PIPE
from collections import Counter, defaultdict
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from .agents import ACK, OWN, SDK, Addresses, Agent, Setting, make_command
from .load import Shape
from .machine import describe
from .sink import Sink

__all__ = ["PIPELINED", "UNPIPELINED", "Used", "exchange", "main"]

SPANS_PER_EXCHANGE = 2

PIPELINED = Shape("pipelined", connections=4, outstanding=16)
UNPIPELINED = Shape("un-pipelined", connections=8, outstanding=1)

_DRAIN_TIMEOUT_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One combination to be measured."""

    setting: Setting
    shape: Shape

    def __str__(self) -> str:
        compression = "" if self.setting.compression == "none" else f", {self.setting.compression}"
        return f"{self.setting.transport}, {self.shape.name} ({self.shape.connections} x {self.shape.outstanding}){compression}"


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured, and how often."""

    cells: tuple[Cell, ...]
    rounds: int
    exchanges: int
    """In one round of one agent."""
    warm_up_exchanges: int


_TCP, _UNIX = Setting("tcp", "none"), Setting("unix", "none")
FULL = Plan(
    cells=(
        Cell(_TCP, PIPELINED),
        Cell(_TCP, UNPIPELINED),
        Cell(_UNIX, PIPELINED),
        Cell(_UNIX, UNPIPELINED),
        Cell(Setting("unix", "gzip"), PIPELINED),
    ),
    rounds=3,
    exchanges=2_000,
    warm_up_exchanges=500,
)
QUICK = Plan(cells=(Cell(_UNIX, PIPELINED), Cell(_UNIX, UNPIPELINED)), rounds=2, exchanges=1_200, warm_up_exchanges=300)


@dataclass(slots=True)
class Figures:
    """What was measured of one agent in one cell."""

    microseconds: list[float] = field(default_factory=list)
    """CPU time per exchange, one a round."""
    p50_milliseconds: list[float] = field(default_factory=list)
    """From NOTIFY to ACK, one a round."""
    p99_milliseconds: list[float] = field(default_factory=list)
    idle_mebibytes: float = 0.0
    loaded_mebibytes: float = 0.0


Results = dict[Cell, dict[str, Figures]]


async def measure(plan: Plan, others: dict[str, Path]) -> Results:
    """All figures; ``others`` are folders with other versions of our package, by the name they have in the table."""
    results: Results = {cell: defaultdict(Figures) for cell in plan.cells}
    async with AsyncExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-")))
        sink = await stack.enter_async_context(Sink())
        agents = await _start_agents(stack, folder, sink, plan, others)
        for (name, setting), agent in agents.items():
            for cell in plan.cells:
                if cell.setting == setting:
                    results[cell][name].idle_mebibytes = agent.resident_mebibytes
        await _warm_up(plan, sink, agents)
        for number in range(plan.rounds):
            for cell in plan.cells:
                names = [SDK, OWN, *others, ACK]
                # Whoever is first in a pair is so every other time.
                for name in names if number % 2 else reversed(names):
                    agent = agents[name, cell.setting]
                    used = await exchange(sink, _title(name, cell.setting), agent, cell.shape, plan.exchanges)
                    figures = results[cell][name]
                    figures.microseconds.append(used.cpu_seconds * 1e6 / plan.exchanges)
                    figures.p50_milliseconds.append(used.p50_milliseconds)
                    figures.p99_milliseconds.append(used.p99_milliseconds)
                    figures.loaded_mebibytes = agent.resident_mebibytes
    return results


async def _start_agents(
    stack: AsyncExitStack, folder: Path, sink: Sink, plan: Plan, others: dict[str, Path]
) -> dict[tuple[str, Setting], Agent]:
    agents: dict[tuple[str, Setting], Agent] = {}
    for setting in dict.fromkeys(cell.setting for cell in plan.cells):
        for name in (SDK, OWN, *others, ACK):
            own_folder = folder / _title(name, setting)
            own_folder.mkdir()
            addresses = Addresses.choose(setting.transport, own_folder)
            command = make_command(name, setting, addresses, sink.url(_title(name, setting)), own_folder)
            spans = 0 if name == ACK else SPANS_PER_EXCHANGE
            agent = await Agent.start(command, addresses, package_folder=others.get(name), spans_per_exchange=spans)
            stack.push_async_callback(agent.stop)
            agents[name, setting] = agent
    return agents


def _title(name: str, setting: Setting) -> str:
    return f"{name}-{setting.transport}-{setting.compression}"


async def _warm_up(plan: Plan, sink: Sink, agents: dict[tuple[str, Setting], Agent]) -> None:
    """Let every agent learn what it learns, and see that all of them export the same spans."""
    sink.keeping = True
    seen: dict[str, Counter[str]] = {}
    for (name, setting), agent in agents.items():
        title = _title(name, setting)
        await exchange(sink, title, agent, PIPELINED, plan.warm_up_exchanges)
        if agent.spans_per_exchange:
            seen[title] = _spans(sink.bodies.pop(title))
    sink.keeping = False
    reference, expected = next(iter(seen.items()))
    if expected.total() != SPANS_PER_EXCHANGE * plan.warm_up_exchanges:
        raise ValueError(f"{reference} has sent {expected.total()} spans for {plan.warm_up_exchanges} exchanges")
    for title, spans in seen.items():
        if spans != expected:
            differing = next(iter((spans - expected) + (expected - spans)))
            raise ValueError(f"{title} and {reference} do not export the same spans: {differing}")


def _spans(bodies: list[bytes]) -> Counter[str]:
    """What spans say, but for times and ids: these are new in every run."""
    return Counter(
        f"{span.kind} {span.name} {span.status.code} parent {bool(span.parent_span_id)} "
        + " ".join(sorted(f"{pair.key}={pair.value}".replace("\n", " ") for pair in span.attributes))
        for body in bodies
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans
        for of_scope in of_resource.scope_spans
        for span in of_scope.spans
    )


@dataclass(frozen=True, slots=True)
class Used:
    """What some exchanges have cost."""

    cpu_seconds: float
    """Of the agent."""
    p50_milliseconds: float
    """From NOTIFY to ACK."""
    p99_milliseconds: float


async def exchange(sink: Sink, title: str, agent: Agent, shape: Shape, exchanges: int, *, open_ended: bool = False) -> Used:
    """Have ``exchanges`` exchanges, and wait for their spans; open-ended ones are begun, and have none."""
    before_seconds = agent.cpu_seconds
    options = {
        "--spop": agent.addresses.spop,
        "--records": agent.addresses.records,
        "--connections": str(shape.connections),
        "--outstanding": str(shape.outstanding),
        "--exchanges": str(exchanges),
    }
    load = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load",
        *(word for pair in options.items() for word in pair),
        *(["--open-ended"] if open_ended else []),
        stdout=PIPE,
    )
    output, _ = await load.communicate()
    if load.returncode:
        raise ChildProcessError(f"the load on {title} ended with {load.returncode}")
    if agent.spans_per_exchange and not open_ended:
        agent.spans += agent.spans_per_exchange * exchanges
        await sink.wait_for(title, agent.spans, _DRAIN_TIMEOUT_SECONDS)
    waits = json.loads(output)
    return Used(agent.cpu_seconds - before_seconds, waits["p50"], waits["p99"])


def render(plan: Plan, results: Results) -> str:
    """The figures as text."""
    lines = [
        *describe(),
        f"rounds    {plan.rounds}, interleaved, of {plan.exchanges} exchanges each; ratio: median over rounds of sdk / agent",
    ]
    for cell, by_name in results.items():
        lines += [
            "",
            str(cell),
            f"{'':12} {'us CPU/exchange':>21}  {'ratio to sdk':>12}  {'ms to ACK':>15}  {'RSS MiB':>14}",
            _HEADER,
        ]
        for name, figures in by_name.items():
            ratio = statistics.median(sdk / own for sdk, own in zip(by_name[SDK].microseconds, figures.microseconds, strict=True))
            lines.append(
                f"{name:12} {min(figures.microseconds):>10.1f} {statistics.median(figures.microseconds):>10.1f}  {ratio:>12.2f}"
                f"  {statistics.median(figures.p50_milliseconds):>7.2f} {statistics.median(figures.p99_milliseconds):>7.2f}"
                f"  {figures.idle_mebibytes:>6.1f} {figures.loaded_mebibytes:>7.1f}"
            )
    return "\n".join(lines) + "\n"


_HEADER = f"{'':12} {'min':>10} {'median':>10}  {'':>12}  {'p50':>7} {'p99':>7}  {'idle':>6} {'loaded':>7}"


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description="CPU time per exchange: our agent beside the SDK's way.")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter rounds, unix sockets only")
    parser.add_argument("--rounds", type=int, help="instead of the plan's own number")
    parser.add_argument("--output", type=Path, help="write the figures to this file as well")
    parser.add_argument(
        "--other",
        action="append",
        default=[],
        metavar="NAME=FOLDER",
        help="measure another version of the agent's package as well: the folder that holds haproxy_telemetry_agent",
    )
    options = parser.parse_args()
    plan = QUICK if options.quick else FULL
    if options.rounds is not None:
        plan = Plan(plan.cells, options.rounds, plan.exchanges, plan.warm_up_exchanges)
    others = {name: Path(folder).resolve() for name, _, folder in (text.partition("=") for text in options.other)}
    text = render(plan, asyncio.run(measure(plan, others)))
    print(text, end="")
    if options.output is not None:
        options.output.write_text(text)


if __name__ == "__main__":
    main()
