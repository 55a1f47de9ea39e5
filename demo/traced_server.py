"""The traced server is an application as any other: an aiohttp server that its makers have instrumented with the OpenTelemetry SDK.

It knows nothing of HAProxy. It continues the trace it finds in a request's headers with a SERVER span, and a span of its own for
the work it does. Where its spans go and what it is called comes from the usual `OTEL_*` variables.

    python -m demo.traced_server PORT
"""

import asyncio
import sys
from collections.abc import Awaitable, Callable

from aiohttp import web
from opentelemetry import propagate, trace
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from support.ports import ADDRESS

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_tracer = trace.get_tracer("demo.traced_server")


@web.middleware
async def traced(request: web.Request, handler: Handler) -> web.StreamResponse:
    """A SERVER span around every exchange, below the span that the request's headers name."""
    route = request.match_info.route.resource
    attributes = {
        "http.request.method": request.method,
        "http.route": route.canonical if route else "",
        "url.path": request.path,
        "url.scheme": request.scheme,
    }
    with _tracer.start_as_current_span(
        f"{request.method} {attributes['http.route']}".rstrip(),
        context=propagate.extract(request.headers),
        kind=SpanKind.SERVER,
        attributes=attributes,
    ) as span:
        try:
            response = await handler(request)
        except OutOfStockError as error:
            response = web.Response(status=500, text=f"{error}\n")
        span.set_attribute("http.response.status_code", response.status)
        if response.status >= 500:
            span.set_attribute("error.type", str(response.status))
            span.set_status(StatusCode.ERROR)
        return response


class OutOfStockError(Exception):
    """What goes wrong in the server's work."""


async def _work(seconds: float) -> None:
    with _tracer.start_as_current_span("work"):
        await asyncio.sleep(seconds)


async def good(_: web.Request) -> web.Response:
    """Works for a moment."""
    await _work(0.010)
    return web.Response(text="well\n")


async def slow(_: web.Request) -> web.Response:
    """Works for a long moment."""
    await _work(0.300)
    return web.Response(text="well, at last\n")


async def error(_: web.Request) -> web.Response:
    """Works and fails."""
    with _tracer.start_as_current_span("work"):
        await asyncio.sleep(0.005)
        raise OutOfStockError("nothing left")


def main() -> None:
    """Serves until SIGTERM, then sends the spans it still has."""
    provider = TracerProvider()
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)
    application = web.Application(middlewares=[traced])
    application.add_routes([web.get("/good", good), web.get("/slow", slow), web.get("/error", error)])
    web.run_app(application, host=ADDRESS, port=int(sys.argv[1]), access_log=None, print=None)
    provider.shutdown()


if __name__ == "__main__":
    main()
