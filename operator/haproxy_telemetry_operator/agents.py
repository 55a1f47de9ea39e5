"""Agents, asked how they are: their metrics, as any Prometheus would read them.

A few of each resource are asked at every look; what they have counted before is kept, to tell what is past from what is now.
"""

import asyncio
from collections.abc import Sequence

import aiohttp
from prometheus_client.parser import text_string_to_metric_families

from .state.sightings import SIGHTED_METRICS, Sighting, sighting_of
from .state.workload import Pod

__all__ = ["Agents"]

_MOST = 8
"""Agents that are asked at a look."""
_TIMEOUT = aiohttp.ClientTimeout(total=2.0)
_MAX_BYTES = 4 * 1024 * 1024


class Agents:
    """Asks agents by their pods' addresses."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None
        self._before: dict[tuple[str, str], dict[str, Sighting]] = {}
        """By resource and pod, of the look before."""

    async def close(self) -> None:
        """Closes its connections."""
        if self._session is not None:
            await self._session.close()

    def forget(self, resource: tuple[str, str]) -> None:
        """Of a resource that has gone."""
        self._before.pop(resource, None)

    async def look(self, resource: tuple[str, str], pods: Sequence[Pod], port: int) -> tuple[list[Sighting], list[Sighting], int]:
        """``(now, before, unseen)`` of the pods' agents; ``unseen`` did not answer."""
        asked = sorted((pod for pod in pods if pod.ip), key=lambda pod: pod.name)[:_MOST]
        answers = await asyncio.gather(*(self._ask(pod.ip, port) for pod in asked))
        now = {pod.uid: answer for pod, answer in zip(asked, answers, strict=True) if answer is not None}
        before = self._before.get(resource, {})
        self._before[resource] = now
        return list(now.values()), [before[uid] for uid in now if uid in before], len(asked) - len(now)

    async def _ask(self, address: str, port: int) -> Sighting | None:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=_TIMEOUT, trust_env=False)
        host = f"[{address}]" if ":" in address else address
        try:
            async with self._session.get(f"http://{host}:{port}/metrics") as response:
                if response.status != 200:
                    return None
                text = (await _all_of(response.content)).decode(errors="replace")
                # All of it would take ten times as long to read, and with a thousand resources there are many to be read.
                lines = [line for line in text.splitlines() if line.startswith(SIGHTED_METRICS)]
                families = list(text_string_to_metric_families("\n".join(lines) + "\n"))
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None
        return sighting_of([(sample.name, sample.labels, sample.value) for family in families for sample in family.samples])


async def _all_of(stream: aiohttp.StreamReader) -> bytes:
    """The body.

    Raises:
        ValueError: it is longer than any agent's.
    """
    chunks: list[bytes] = []
    size = 0
    async for chunk in stream.iter_any():
        chunks.append(chunk)
        size += len(chunk)
        if size > _MAX_BYTES:
            raise ValueError("more metrics than an agent has")
    return b"".join(chunks)
