"""The page shows the newest traces in a browser, while the demo stays up: a very small trace backend's stand-in."""

import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import asdict

from aiohttp import web

from demo.trace import Trace
from demo.waterfall import waterfall
from support.otlp_sink import OtlpSink
from support.ports import ADDRESS

__all__ = ["running_page"]

_NEWEST = 20
_COLUMNS = 140


@contextlib.asynccontextmanager
async def running_page(sink: OtlpSink, port: int) -> AsyncIterator[None]:
    """Serves `/` (waterfalls as text) and `/traces` (the spans as JSON)."""

    def newest() -> list[Trace]:
        return Trace.all_of(sink.spans)[: -_NEWEST - 1 : -1]

    async def text(_: web.Request) -> web.Response:
        blocks = [[trace.trace_id, *(line.plain for line in waterfall(trace, columns=_COLUMNS))] for trace in newest()]
        return web.Response(text="\n\n".join("\n".join(block) for block in blocks) + "\n")

    async def traces(_: web.Request) -> web.Response:
        found = [{"trace_id": trace.trace_id, "spans": [asdict(row.span) for row in trace.rows()]} for trace in newest()]
        return web.json_response(found, dumps=lambda value: json.dumps(value, indent=2, default=str))

    application = web.Application()
    application.add_routes([web.get("/", text), web.get("/traces", traces)])
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, ADDRESS, port).start()
        yield
    finally:
        await runner.cleanup()
