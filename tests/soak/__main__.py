"""The long form: ``python -m soak --minutes 10`` has every fault happen to every HAProxy of this machine, again and again.

Prints a table in Markdown. Exit code 1 if anything was not as it should be.
"""

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

from soak.fault import FAULTS
from soak.report import table
from soak.stage import open_stage
from soak.trial import Outcome, try_fault
from support.haproxies import FoundHAProxy, found_haproxies

GROWTH_BYTES = 16 << 20
"""What the same worker may take more after the last round than after the first one."""

_WARM_ANSWERS = 500


async def soak(found: FoundHAProxy, arguments: argparse.Namespace, seconds: float) -> tuple[dict[str, list[Outcome]], list[str]]:
    """Round after round with one HAProxy: outcomes by fault, and complaints."""
    outcomes: dict[str, list[Outcome]] = {}
    complaints: list[str] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        async with open_stage(
            found,
            Path(folder),
            rate_per_second=arguments.rate,
            processing_timeout_seconds=arguments.processing_timeout / 1000,
        ) as stage:
            await stage.load.wait_for_answers(_WARM_ANSWERS)
            await stage.load.pause()
            end_seconds = time.monotonic() + seconds
            first_rss_bytes = 0
            longest_round_seconds = 0.0
            while not first_rss_bytes or time.monotonic() + longest_round_seconds < end_seconds:
                start_seconds = time.monotonic()
                for name, fault in FAULTS.items():
                    # From the second round on the worker lives.
                    if fault.kills and first_rss_bytes:
                        continue
                    if fault.needs_disk and stage.disk is None:
                        _say(f"{found}: {name}: left out, this user may not mount a small disk")
                        continue
                    outcome = await try_fault(stage, name, fault, arguments.seconds)
                    outcomes.setdefault(name, []).append(outcome)
                    complaints += [f"{found}: {name}: {complaint}" for complaint in outcome.complaints]
                    _say(f"{found}: {name}: {len(outcome.requests)} requests, {'; '.join(outcome.complaints) or 'well'}")
                first_rss_bytes = first_rss_bytes or stage.rss_bytes
                longest_round_seconds = max(longest_round_seconds, time.monotonic() - start_seconds)
            if stage.rss_bytes > first_rss_bytes + GROWTH_BYTES:
                complaints.append(f"{found}: the worker has grown from {first_rss_bytes >> 20} to {stage.rss_bytes >> 20} MiB")
    return outcomes, complaints


async def soak_all(arguments: argparse.Namespace) -> int:
    """All HAProxies, one after the other; the exit code."""
    haproxies = found_haproxies()
    results: list[tuple[str, list[Outcome]]] = []
    complaints: list[str] = []
    for found in haproxies:
        outcomes, of_this = await soak(found, arguments, arguments.minutes * 60 / len(haproxies))
        results += [(found.version, of_fault) for of_fault in outcomes.values()]
        complaints += of_this
    sys.stdout.write(table(results) + "\n")
    for complaint in complaints:
        _say(complaint)
    return 1 if complaints else 0


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")


def main() -> int:
    """Read the command line and soak; the exit code."""
    parser = argparse.ArgumentParser(prog="soak", description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10, help="all in all; one round with each HAProxy is the least")
    parser.add_argument("--seconds", type=float, default=5, help="how long a fault lasts")
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--processing-timeout", type=int, default=300, help="processingTimeout in milliseconds")
    return asyncio.run(soak_all(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
