"""Destinations that never come back: HAProxy gets its answers, and the agent ends in time."""

import asyncio
import os
import socket
from pathlib import Path
from typing import Any

import pytest

from support.agent import PROGRAM, Agent
from support.haproxies import FoundHAProxy
from support.load import SteadyLoad
from support.process import Process, ProcessEndedError
from support.record_sender import send_records
from support.site import running_site

PLUGIN = """
import threading
from opentelemetry.sdk.trace.export import SpanExporter

class Hanging(SpanExporter):
    def export(self, spans):
        print("the plug-in hangs", flush=True)
        threading.Event().wait()

    def shutdown(self):
        threading.Event().wait()
"""


def install_plugin(folder: Path) -> dict[str, str]:
    """A distribution beside the agent's, and the environment in which it is found."""
    (folder / "hanging_exporter.py").write_text(PLUGIN)
    distribution = folder / "hanging_exporter-1.dist-info"
    distribution.mkdir(parents=True)
    (distribution / "METADATA").write_text("Metadata-Version: 2.1\nName: hanging-exporter\nVersion: 1\n")
    (distribution / "entry_points.txt").write_text("[opentelemetry_traces_exporter]\nhanging = hanging_exporter:Hanging\n")
    path = os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


def hanging(kind: str, folder: Path) -> dict[str, Any]:
    if kind == "plugin":
        return {"type": "plugin", "plugin": "hanging"}
    os.mkfifo(folder / "pipe")  # nobody reads it
    return {"type": "file", "file": {"path": str(folder / "pipe")}}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
async def test_a_name_server_that_never_answers_does_not_keep_the_agent(tmp_path: Path, protocol: str) -> None:
    """In a mount namespace, where the system's resolver asks an address of ours."""
    exporter = {"protocol": protocol, "endpoint": "http://collector.example:4318", "batch": {"delay": "20ms"}}
    agent = Agent(tmp_path, endpoint="", settings={"exporter": exporter, "shutdownTimeout": "500ms"})
    agent.write_settings()
    (tmp_path / "resolv.conf").write_text("nameserver 127.0.0.77\noptions timeout:15 attempts:2\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as name_server:
        try:
            name_server.bind(("127.0.0.77", 53))
        except OSError as error:
            pytest.skip(f"can't be a name server: {error}")
        name_server.setblocking(False)
        script = f"mount --bind {tmp_path}/resolv.conf /etc/resolv.conf && exec {PROGRAM} run --config {agent.settings_path}"
        async with Process("agent", ["unshare", "--mount", "sh", "-c", script]) as process:
            try:
                await process.wait_for_line("listening: ", timeout_seconds=20)
            except ProcessEndedError as error:
                pytest.skip(f"no namespace: {error}")
            await send_records(agent, 1)
            await asyncio.wait_for(asyncio.get_running_loop().sock_recv(name_server, 512), 5)
            async with asyncio.timeout(0.5 + 1.5):
                assert await process.stop() == 0


@pytest.mark.parametrize("kind", ["file", "plugin"])
async def test_neither_haproxy_nor_the_end_waits_for_it(one_haproxy: FoundHAProxy, tmp_path: Path, kind: str) -> None:
    exporter = {**hanging(kind, tmp_path), "batch": {"delay": "20ms", "maxQueueSpans": 100, "maxBatchSpans": 10}}
    settings = {"exporter": exporter, "shutdownTimeout": "500ms", "processingTimeout": "500ms"}
    async with running_site(one_haproxy, tmp_path, settings=settings, environment=install_plugin(tmp_path)) as site:
        async with SteadyLoad(site.http_port) as load:
            await site.agent.wait_for_metric('spans_dropped_total{reason="queue_full"}', 1)
            await load.wait_for_answers(200)
        metrics = await site.agent.metrics()
        assert metrics['exchanges_recorded_total{start="unanswered"}'] == 0
        assert metrics["spans_exported_total"] == 0
        assert {answer.status for answer in load.answers} == {200}
        async with asyncio.timeout(0.5 + 1.5):
            assert await site.agent.stop() == 0
