"""Spans on disk while the collector is away: real agents that are stopped, killed, and started again, on real disks.

Records come from a stand-in for HAProxy's ring where HAProxy has no part in what is looked at.
"""

import contextlib
import os
import signal
import subprocess
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.agent import PROGRAM, Agent
from support.burst import burst
from support.haproxies import FoundHAProxy
from support.load import SteadyLoad
from support.otlp_sink import OtlpSink
from support.ports import ADDRESS, free_port
from support.probe import until
from support.raw_client import request_head
from support.record_sender import send_records
from support.site import running_site

BATCH = 10
QUEUE = 20
SPILL_SPANS = 'spill_spans{destination="exporter"}'
SPILL_BYTES = 'spill_bytes{destination="exporter"}'
SPILLED = 'spilled_spans_total{destination="exporter"}'
RECOVERED = 'recovered_spans_total{destination="exporter"}'
DAMAGED = 'spill_damaged_batches_total{destination="exporter"}'


def spilling(endpoint: str, directory: Path, *, max_bytes: int = 64 << 20, **batch: Any) -> dict[str, Any]:
    """Settings with a queue that is full at once."""
    return {
        "exporter": {
            "endpoint": endpoint,
            "batch": {"delay": "20ms", "maxQueueSpans": QUEUE, "maxBatchSpans": BATCH, **batch},
            "spill": {"directory": str(directory), "maxBytes": max_bytes},
        }
    }


def nowhere() -> tuple[int, str]:
    """Where a collector will be, and its URL."""
    port = free_port()
    return port, f"http://{ADDRESS}:{port}"


def dropped(metrics: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if name.startswith("spans_dropped_total") and value}


def segments(directory: Path) -> list[Path]:
    return sorted(directory.glob("spans-*.segment"))


async def until_drained(agent: Agent) -> None:
    async def is_drained() -> bool:
        metrics = await agent.metrics()
        return metrics[SPILL_SPANS] == metrics["queue_size"] == metrics[SPILL_BYTES] == 0

    await until(is_drained, what="nothing waits any more", timeout_seconds=20)


async def until_accounted_for(agent: Agent, count: int) -> dict[str, float]:
    """Its metrics, as soon as so many spans are exported or lost."""
    metrics: dict[str, float] = {}

    async def are_accounted_for() -> bool:
        nonlocal metrics
        metrics = await agent.metrics()
        return metrics["spans_exported_total"] + sum(dropped(metrics).values()) == count

    await until(are_accounted_for, what=f"{count} spans are exported or lost", timeout_seconds=20)
    return metrics


async def test_what_haproxy_tells_while_the_collector_is_away_arrives_once(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    port, endpoint = nowhere()
    directory = tmp_path / "spill"
    async with running_site(one_haproxy, tmp_path, endpoint=endpoint, settings=spilling(endpoint, directory)) as site:
        requests = 300
        codes = await burst(site.http_port, [request_head("/", close=False)] * requests)
        assert codes == [200] * requests
        # Two spans of each; a batch is being tried, and the rest is queued.
        await site.agent.wait_for_metric(SPILLED, 2 * requests - QUEUE - BATCH)
        assert segments(directory)
        assert {path.stat().st_mode & 0o777 for path in directory.iterdir()} == {0o600}
        async with OtlpSink(port=port) as sink:
            spans = await sink.wait_for(lambda spans: len(spans) >= 2 * requests, timeout_seconds=20)
            await until_drained(site.agent)
            metrics = await site.agent.metrics()
    assert len(sink.spans) == len({span.span_id for span in spans}) == 2 * requests
    assert set(Counter(span.trace_id for span in spans).values()) == {2}
    assert metrics['exchanges_recorded_total{start="answered"}'] == requests
    assert metrics["spans_exported_total"] == 2 * requests
    assert metrics[RECOVERED] == metrics[SPILLED]
    assert (dropped(metrics), segments(directory)) == ({}, [])


async def test_all_arrives_once_after_restarts_and_under_its_own_name(tmp_path: Path) -> None:
    """Three agents after each other on one directory: the collector is there for the last one alone."""
    port, endpoint = nowhere()
    directory = tmp_path / "spill"
    sent: dict[str, list[str]] = {}
    for name in ("first", "second"):
        settings = spilling(endpoint, directory) | {"resource": {"serviceName": name}}
        async with Agent(tmp_path, endpoint=endpoint, settings=settings) as agent:
            sent[name] = await send_records(agent, 100)
            assert await agent.stop() == 0
        assert [line for line in agent.process.lines if "go to the spill (shutdown)" in line]
    settings = spilling(endpoint, directory) | {"resource": {"serviceName": "third"}}
    async with OtlpSink(port=port) as sink, Agent(tmp_path, endpoint=endpoint, settings=settings) as agent:
        sent["third"] = await send_records(agent, 3)
        spans = await sink.wait_for(lambda spans: len(spans) >= 203, timeout_seconds=20)
        await until_drained(agent)
        metrics = await agent.metrics()
    assert len(sink.spans) == 203
    for name, trace_ids in sent.items():
        assert sorted(span.trace_id for span in spans if span.service == name) == sorted(trace_ids), f"those of the {name} one"
    recovered = [span.service for span in spans if span.service != "third"]
    assert recovered == ["first"] * 100 + ["second"] * 100
    assert (metrics[RECOVERED], dropped(metrics), segments(directory)) == (200, {}, [])


async def test_what_was_on_disk_outlives_sigkill(tmp_path: Path) -> None:
    port, endpoint = nowhere()
    directory = tmp_path / "spill"
    settings = spilling(endpoint, directory)
    async with Agent(tmp_path, endpoint=endpoint, settings=settings) as agent:
        trace_ids = await send_records(agent, 200)
        await agent.wait_for_metric(SPILLED, 170)
        spilled = int((await agent.metrics())[SPILLED])
        agent.process.send_signal(signal.SIGKILL)
    last = segments(directory)[-1]
    os.truncate(last, last.stat().st_size - 7)  # as if it had been killed a moment before
    async with OtlpSink(port=port) as sink, Agent(tmp_path, endpoint=endpoint, settings=settings) as agent:
        await until_drained(agent)
        await agent.wait_for_metric("spans_exported_total", spilled - BATCH)
        metrics = await agent.metrics()
    arrived = [span.trace_id for span in sink.spans]
    assert arrived == [trace_id for trace_id in trace_ids if trace_id in set(arrived)], "once, and in order"
    assert len(arrived) == spilled - BATCH
    assert (metrics[DAMAGED], dropped(metrics)) == (1, {})
    assert [line for line in agent.process.lines if "ends in the middle of a batch; what comes before that is used" in line]


async def test_sigkill_while_it_is_sent_repeats_one_batch_at_most(tmp_path: Path) -> None:
    port, endpoint = nowhere()
    directory = tmp_path / "spill"
    settings = spilling(endpoint, directory)
    async with Agent(tmp_path, endpoint=endpoint, settings=settings) as agent:
        trace_ids = await send_records(agent, 1000)
        assert await agent.stop() == 0
    async with OtlpSink(port=port) as sink:
        async with Agent(tmp_path, endpoint=endpoint, settings=settings) as agent:
            await sink.wait_for(lambda spans: len(spans) >= 300, timeout_seconds=20)
            agent.process.send_signal(signal.SIGKILL)
        async with Agent(tmp_path, endpoint=endpoint, settings=settings) as agent:
            # Nothing waits either before it has looked at what is there.
            await sink.wait_for(lambda spans: {span.trace_id for span in spans} >= set(trace_ids), timeout_seconds=20)
            await until_drained(agent)
    times = Counter(span.trace_id for span in sink.spans)
    assert times.keys() == set(trace_ids)
    assert sum(count - 1 for count in times.values()) <= BATCH


async def test_the_bound_holds_and_every_span_is_accounted_for(tmp_path: Path) -> None:
    port, endpoint = nowhere()
    directory = tmp_path / "spill"
    settings = spilling(endpoint, directory, max_bytes=1 << 20, dropPolicy="Oldest")
    count = 5000
    async with Agent(tmp_path, endpoint=endpoint, settings=settings) as agent:
        trace_ids = []
        for _ in range(10):
            trace_ids += await send_records(agent, count // 10)
            metrics = await agent.metrics()
            assert sum(path.stat().st_size for path in segments(directory)) <= 1 << 20
            assert metrics[SPILL_BYTES] <= 1 << 20
        async with OtlpSink(port=port) as sink:
            metrics = await until_accounted_for(agent, count)
    assert 100 < metrics['spans_dropped_total{reason="spill_full"}'] == sum(dropped(metrics).values())
    assert len({span.trace_id for span in sink.spans}) == len(sink.spans) == metrics["spans_exported_total"]
    assert {span.trace_id for span in sink.spans} >= set(trace_ids[-500:]), "the newest ones"


@contextlib.contextmanager
def mounted(folder: Path, *arguments: str) -> Iterator[Path]:
    """A disk of its own, where this user may have one."""
    folder.mkdir()
    done = subprocess.run(["mount", *arguments, folder], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"can't mount: {done.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


async def test_a_full_disk_loses_spans_with_a_reason_and_nothing_else(tmp_path: Path) -> None:
    port, endpoint = nowhere()
    count = 4000
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=1m", "none") as disk:
        settings = spilling(endpoint, disk / "spill", max_bytes=64 << 20)
        async with Agent(tmp_path, endpoint=endpoint, settings=settings) as agent:
            await send_records(agent, count)
            await agent.wait_for_metric('spans_dropped_total{reason="spill_failed"}', 100)
            async with OtlpSink(port=port) as sink:
                metrics = await until_accounted_for(agent, count)
                # There is space again.
                await send_records(agent, 1)
                await agent.wait_for_metric("spans_exported_total", metrics["spans_exported_total"] + 1)
    assert metrics[SPILLED] > 500
    assert len({span.trace_id for span in sink.spans}) == len(sink.spans) == metrics["spans_exported_total"] + 1
    told = [line for line in agent.process.lines if "(spill_failed)" in line and "No space left on device" in line]
    assert 1 <= len(told) <= 5, "said, but not each time"


@contextlib.contextmanager
def disk_that_can_hang(folder: Path) -> Iterator[Path]:
    """A file system in a file, which the kernel holds up when it is told to."""
    image = folder / "image"
    with image.open("wb") as file:
        file.truncate(16 << 20)
    made = subprocess.run(["mkfs.ext4", "-q", "-F", image], check=False, capture_output=True, text=True)
    if made.returncode:
        pytest.skip(f"can't make a file system: {made.stderr.strip()}")
    with mounted(folder / "disk", "-o", "loop", str(image)) as disk:
        yield disk


def hang(disk: Path) -> None:
    subprocess.run(["fsfreeze", "--freeze", disk], check=True)


def go_on(disk: Path) -> None:
    subprocess.run(["fsfreeze", "--unfreeze", disk], check=True)


async def test_a_disk_that_hangs_holds_up_neither_haproxy_nor_the_end(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    _port, endpoint = nowhere()
    with disk_that_can_hang(tmp_path) as disk:
        settings = spilling(endpoint, disk / "spill") | {"shutdownTimeout": "2s", "processingTimeout": "500ms"}
        async with running_site(one_haproxy, tmp_path, endpoint=endpoint, settings=settings) as site:
            async with SteadyLoad(site.http_port) as load:
                await site.agent.wait_for_metric(SPILLED, BATCH)
                hang(disk)
                try:
                    await load.wait_for_answers(100)
                    before = await site.agent.metrics()
                    await load.wait_for_answers(500)
                    metrics = await site.agent.metrics()
                    assert metrics[SPILLED] == before[SPILLED]
                    assert metrics['exchanges_recorded_total{start="unanswered"}'] == 0
                    assert {answer.status for answer in load.answers} == {200}
                    site.agent.process.send_signal(signal.SIGTERM)
                    await site.agent.process.wait_for_line("stopped", timeout_seconds=4)
                finally:
                    go_on(disk)  # even SIGKILL waits for a disk
            assert await site.agent.process.stop() == 0


def run(command: str, agent: Agent) -> subprocess.CompletedProcess[str]:
    """The program, which ends by itself."""
    agent.write_settings()
    arguments = [PROGRAM, command, "--config", agent.settings_path]
    return subprocess.run(arguments, check=False, capture_output=True, text=True, timeout=20)


@pytest.mark.parametrize("path", ["/dev/null/spill", "/proc/spill"])
def test_a_directory_that_can_not_be_used_is_said_at_the_start(tmp_path: Path, path: str) -> None:
    agent = Agent(tmp_path, endpoint="http://127.0.0.1:1", settings=spilling("http://127.0.0.1:1", Path(path)))
    result = run("run", agent)
    assert result.returncode == 2
    assert f"exporter.spill.directory: '{path}': can't be used: " in result.stderr.splitlines()[-1]


async def test_a_second_agent_on_the_same_directory_is_refused_and_the_check_is_not(tmp_path: Path) -> None:
    settings = spilling("http://127.0.0.1:1", tmp_path / "spill")
    async with Agent(tmp_path, endpoint="", settings=settings) as first:
        second = Agent(tmp_path, endpoint="", settings=settings, name="second")
        assert run("check-config", second).returncode == 0
        result = run("run", second)
        assert result.returncode == 2
        assert f"exporter.spill.directory: '{tmp_path / 'spill'}': is in use by another agent" in result.stderr.splitlines()[-1]
        assert await first.stop() == 0


async def test_a_changed_spill_waits_for_the_next_start(tmp_path: Path) -> None:
    port, endpoint = nowhere()
    async with Agent(tmp_path, endpoint=endpoint, settings=spilling(endpoint, tmp_path / "spill")) as agent:
        await send_records(agent, 100)
        agent.settings = spilling(endpoint, tmp_path / "other", dropPolicy="Oldest")
        agent.write_settings()
        agent.process.send_signal(signal.SIGHUP)
        await agent.process.wait_for_line("settings that wait for a restart of the agent: exporter.spill.directory")
        async with OtlpSink(port=port) as sink:
            await sink.wait_for(lambda spans: len(spans) == 100, timeout_seconds=15)
    assert not (tmp_path / "other").exists()
