"""A burst is many requests over few connections, as fast as they are taken: they are pipelined, and each connection says what came.

Where a share of many requests is to be measured, a client that waits for each answer would take most of the time.
"""

import asyncio
from collections.abc import Iterable, Sequence

from support.ports import ADDRESS

__all__ = ["burst"]

_BATCH = 50
"""Requests that are sent before their answers are read."""


async def burst(port: int, requests: Iterable[bytes], *, connections: int = 4) -> list[int]:
    """The status codes of the answers, in the order of the requests. The requests must be answered with `content-length` or 204."""
    requests = list(requests)
    lanes = [requests[number::connections] for number in range(connections)]
    codes = await asyncio.gather(*(_lane(port, lane) for lane in lanes))
    by_request = [0] * len(requests)
    for number, of_lane in enumerate(codes):
        by_request[number::connections] = of_lane
    return by_request


async def _lane(port: int, requests: Sequence[bytes]) -> list[int]:
    if not requests:
        return []
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    codes = []
    try:
        for start in range(0, len(requests), _BATCH):
            batch = requests[start : start + _BATCH]
            writer.write(b"".join(batch))
            codes += [await _read_answer(reader) for _ in batch]
    finally:
        writer.close()
        await writer.wait_closed()
    return codes


async def _read_answer(reader: asyncio.StreamReader) -> int:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    _, _, length = head.partition("content-length: ")
    if length:
        await reader.readexactly(int(length.split("\r\n", 1)[0]))
    return int(head[9:12])
