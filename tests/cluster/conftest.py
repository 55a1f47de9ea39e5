"""Cases on a real Kubernetes. `make cluster-test` runs them; without it none is touched, even if a KUBECONFIG is set.

A case is a coroutine with the stage as its argument, and a namespace of its own. Most wait most of the time, for kubelets and
probes: those marked `at_once` run beside each other, and each test waits for its own. What harms all (the operator ends) comes
after them, alone.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from support.cluster import Cluster, open_cluster, why_no_cluster
from support.cluster_stage import Stage, open_stage

_MOST_AT_ONCE = 6


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def stage() -> AsyncIterator[Stage]:
    kubeconfig = os.environ.get("KUBECONFIG", "")
    if not kubeconfig or os.environ.get("CLUSTER_TEST") != "1":
        pytest.skip("no cluster: set KUBECONFIG to that of a cluster for tests, and run `make cluster-test`")
    try:
        opened = open_stage(kubeconfig)
        found = await opened.__aenter__()
    except LookupError as reason:
        pytest.skip(str(reason))
    try:
        yield found
    finally:
        await opened.__aexit__(None, None, None)


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def at_once_runs(request: pytest.FixtureRequest, stage: Stage) -> AsyncIterator[dict[str, asyncio.Task[Any]]]:
    """Every selected case, begun."""
    slots = asyncio.Semaphore(_MOST_AT_ONCE)

    async def run(item: Any) -> tuple[float, Exception | None]:
        async with slots:
            begin, failure = time.monotonic(), None
            try:
                await item.obj.body(stage, **(item.callspec.params if hasattr(item, "callspec") else {}))
            except Exception as error:  # noqa: BLE001 - its test raises it
                failure = error
            return time.monotonic() - begin, failure

    runs = {item.nodeid: asyncio.create_task(run(item)) for item in request.session.items if hasattr(item.obj, "body")}
    yield runs
    for task in runs.values():
        task.cancel()
    await asyncio.gather(*runs.values(), return_exceptions=True)


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "alone: it harms all others, and runs after them")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    # The longest first, and what harms others last.
    items.sort(key=lambda item: (item.get_closest_marker("alone") is not None, item.path.name != "test_life.py"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    rows = [
        (dict(report.user_properties).get("seconds", report.duration), outcome, report.nodeid.rpartition("::")[2])
        for outcome in ("passed", "failed")
        for report in terminalreporter.stats.get(outcome, [])
        if report.when == "call" and "tests/cluster/" in report.nodeid
    ]
    if rows:
        terminalreporter.section("cases on a cluster")
    for seconds, outcome, name in sorted(rows, reverse=True):
        terminalreporter.write_line(f"{seconds:6.1f} s  {outcome}  {name}")


@pytest.fixture
async def cluster() -> AsyncIterator[Cluster]:
    """The API server alone."""
    if reason := why_no_cluster():
        pytest.skip(reason)
    async with open_cluster() as opened:
        yield opened
