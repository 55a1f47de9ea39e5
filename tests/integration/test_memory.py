"""The memory bound, with a collector that is away and a queue that would take all there is."""

import asyncio
import contextlib
import secrets
from pathlib import Path

from support.agent import Agent
from support.otlp_sink import OtlpSink
from support.probe import until
from support.record_factory import framed, record

LIMIT_BYTES = 72 * 1024 * 1024
SPANS = 12_000
SPAN_BYTES = 8_000


async def test_an_agent_sheds_and_counts_instead_of_growing(tmp_path: Path) -> None:
    settings = {"limits": {"maxMemoryBytes": LIMIT_BYTES}}
    async with OtlpSink() as sink, Agent(tmp_path, endpoint="http://127.0.0.1:1", settings=settings) as agent:
        exporter = agent.settings["exporter"]
        exporter["batch"] = {"delay": "20ms", "maxQueueSpans": 1_000_000, "maxQueueBytes": 1 << 30, "maxBatchSpans": 100}
        agent.write_settings()
        await agent.wait_for_metric('config_reloads_total{result="ok"}', 1)
        host, _, port = agent.listen["records"].rpartition(":")
        _, writer = await asyncio.open_connection(host, int(port))
        peak_bytes = 0.0
        with contextlib.closing(writer):
            for number in range(1, SPANS + 1):
                writer.write(framed(a_large_record()))
                await writer.drain()
                if number % 200 == 0:
                    await agent.wait_for_metric('exchanges_recorded_total{start="unanswered"}', number)
                    peak_bytes = max(peak_bytes, (await agent.metrics())["process_resident_memory_bytes"])
            metrics = await agent.metrics()
            dropped = metrics['spans_dropped_total{reason="memory"}']
            # All of it would have taken 96 MB more than an idle agent.
            assert dropped > 1_000
            assert peak_bytes < LIMIT_BYTES + 16 * 1024 * 1024
            assert metrics['spans_dropped_total{reason="queue_full"}'] == 0

            exporter["endpoint"] = sink.endpoint
            agent.write_settings()

            async def has_recovered() -> bool:
                values = await agent.metrics()
                return values["memory_shedding"] == 0 and values["queue_size"] == 0

            await until(has_recovered, what="spans are taken again", timeout_seconds=20)
            writer.write(framed(record()))
            await sink.wait_for(lambda spans: [span.attributes.get("url.path") for span in spans[-1:]] == ["/"], timeout_seconds=10)
        metrics = await agent.metrics()
        made = sum(value for name, value in metrics.items() if name.startswith("spans_made_total"))
        lost = sum(value for name, value in metrics.items() if name.startswith("spans_dropped_total"))
        assert made == metrics["spans_exported_total"] + lost == SPANS + 1
        assert len(sink.spans) == metrics["spans_exported_total"]


def a_large_record() -> bytes:
    trace_id = secrets.token_hex(16)
    return record(traceparent=f"00-{trace_id}-00f067aa0ba902b7-01", HPO="/" + "x" * SPAN_BYTES)
