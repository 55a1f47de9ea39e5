"""Destinations that never come back: HAProxy gets its answers, and the agent ends in time."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from support.haproxies import FoundHAProxy
from support.load import SteadyLoad
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
