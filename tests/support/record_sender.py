"""A record sender stands in for HAProxy's ring: exchanges end as fast as it writes."""

import asyncio
import contextlib
import secrets

from support.agent import Agent
from support.record_factory import framed, record

__all__ = ["send_records"]


async def send_records(agent: Agent, count: int, **values: str) -> list[str]:
    """Has `count` exchanges end, of which the agent has heard nothing yet; returns their trace ids when it has read them.

    `values` are parameters of their records.
    """
    name = 'exchanges_recorded_total{start="unanswered"}'
    before = (await agent.metrics()).get(name, 0.0)
    trace_ids = [secrets.token_hex(16) for _ in range(count)]
    host, _, port = agent.listen["records"].rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    with contextlib.closing(writer):
        for trace_id in trace_ids:
            writer.write(framed(record(traceparent=f"00-{trace_id}-00f067aa0ba902b7-01", **values)))
        await writer.drain()
        await agent.wait_for_metric(name, before + count, timeout_seconds=30)
    return trace_ids
