"""The short form of the soak: every fault once, for seconds, with an old and a new HAProxy. `make soak` is the long one."""

import sys
from pathlib import Path

import pytest

from soak.fault import FAULTS
from soak.report import table
from soak.stage import open_stage
from soak.trial import try_fault
from support.haproxies import FoundHAProxy, found_haproxies

RATE_PER_SECOND = 100
FAULT_SECONDS = 2.0
PROCESSING_TIMEOUT_SECONDS = 0.3
"""Longer than users', so that waiting for the agent can be told from a busy machine."""
GROWTH_BYTES = 24 << 20
"""An agent that has soaked may be so much bigger than one that has just warmed up."""

VERSIONS = [found for found in found_haproxies() if found.version.startswith(("2.8.", "3.2."))]


@pytest.mark.timeout(180)
@pytest.mark.parametrize("found", VERSIONS, ids=str)
async def test_no_fault_costs_more_than_it_may(found: FoundHAProxy, tmp_path: Path) -> None:
    outcomes = []
    async with open_stage(
        found, tmp_path, rate_per_second=RATE_PER_SECOND, processing_timeout_seconds=PROCESSING_TIMEOUT_SECONDS
    ) as stage:
        await stage.load.wait_for_answers(100)
        await stage.load.pause()
        for name, fault in FAULTS.items():
            if fault.in_short:
                outcomes.append(await try_fault(stage, name, fault, FAULT_SECONDS))
    sys.stdout.write("\n" + table((found.version, [outcome]) for outcome in outcomes) + "\n")
    complaints = [f"{outcome.fault}: {complaint}" for outcome in outcomes for complaint in outcome.complaints]
    assert not complaints
    assert outcomes[-1].rss_bytes < outcomes[0].rss_bytes + GROWTH_BYTES
