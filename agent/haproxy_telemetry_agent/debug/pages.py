"""The handlers of ``/debug``: who asks is looked at, then pages and JSON are written in parts.

Everything runs on the loop that answers HAProxy, so that no part takes longer than a scrape's, and others have their turns in
between. Nothing is ever changed here: all are GETs.
"""

import asyncio
import contextlib
import math
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice

import msgspec
from aiohttp import web

from ..settings import Debug
from ..tracing import TraceId
from .agent_view import AgentView
from .exchange_view import ExchangeView
from .guard import refusal
from .page import render_agent, render_counters, render_end, render_footer, render_head, render_list, render_settings
from .recent import Made, Recent
from .style import HEADERS
from .tail_event import Greeting, TailEvent, encode_event
from .tails import MAX_TAILS, TailFilter, Tails
from .trace_page import render_trace

__all__ = ["DebugPages"]

_HTML = {"Content-Type": "text/html; charset=utf-8"} | HEADERS
_JSON = {"Content-Type": "application/json; charset=utf-8"} | HEADERS
_LINES = {"Content-Type": "application/x-ndjson; charset=utf-8"} | HEADERS
_LEAST_REFRESH_SECONDS, _MOST_REFRESH_SECONDS = 2, 3_600
_SILENCE_SECONDS = 1.0
"""After so long without an exchange it is looked whether who follows is still there."""
_SILENCES_PER_HEARTBEAT = 10
_MAX_ON_TRACE_PAGE = 20
_LISTS = (
    ("latest", "Latest", "the newest first"),
    ("failed", "Failed", "the newest first"),
    ("slowest", "Slowest", "of the last 10 to 20 minutes; WebSockets and TCP connections aside"),
)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_View = Callable[..., ExchangeView]


class DebugPages:
    """What stands below ``/debug``.

    Args:
        recent: what has passed.
        settings: those in use.
        view_agent: what is said of the agent just now; given how many follow it.
        view_exchange: what is said of an exchange; takes ``with_spans``.
    """

    def __init__(
        self, *, recent: Recent, settings: Callable[[], Debug], view_agent: Callable[[int], AgentView], view_exchange: _View
    ) -> None:
        self._recent = recent
        self._settings = settings
        self._view_agent = view_agent
        self._view_exchange = view_exchange
        self._tails = Tails(recent)

    def add_to(self, router: web.UrlDispatcher) -> None:
        """Be found at their addresses."""
        for path, handler in (
            ("/debug", self._page),
            ("/debug/tracez", self._page),
            ("/debug/traces/{id}", self._trace),
            ("/debug/agent", self._agent),
            ("/debug/exchanges", self._exchanges),
            ("/debug/exchanges/{id}", self._exchange),
            ("/debug/tail", self._tail),
        ):
            router.add_get(path, partial(self._guard, handler), allow_head=False)

    def close(self) -> None:
        """Say good-bye to who follows."""
        self._tails.end()

    async def _guard(self, handler: _Handler, request: web.Request) -> web.StreamResponse:
        settings = self._settings()
        if not settings.enabled:
            return web.Response(text="debug.enabled is false in the agent's settings\n", status=404, headers=HEADERS)
        peer = None if request.transport is None else request.transport.get_extra_info("peername")
        refused = refusal(peer, request.headers, remote=settings.remote)
        if refused is not None:
            return web.Response(text=f"{refused}\n", status=403, headers=HEADERS)
        # Who goes away in the middle does so as they please.
        with contextlib.suppress(ConnectionResetError):
            return await handler(request)
        return web.Response()

    async def _page(self, request: web.Request) -> web.StreamResponse:
        refresh_seconds = _refresh_seconds(request.query.get("refresh"))
        agent = self._view_agent(len(self._tails))

        def parts() -> Iterator[str]:
            yield render_head(f"{agent.identity.service_name}: haproxy-telemetry-agent", refresh_seconds=refresh_seconds)
            yield from render_agent(agent, refreshing=refresh_seconds is not None)
            for name, title, explanation in _LISTS:
                yield from render_list(name, title, explanation, self._list(name))
            yield from render_counters(agent)
            yield from render_settings(agent)
            yield render_footer() + render_end()

        return await _write(request, _HTML, parts())

    async def _trace(self, request: web.Request) -> web.StreamResponse:
        trace_id = _trace_id(request)
        exchanges = list(islice(self._of_trace(trace_id), _MAX_ON_TRACE_PAGE + 1))
        if not exchanges:
            return _not_found(trace_id)
        shown = exchanges[:_MAX_ON_TRACE_PAGE]
        return await _write(request, _HTML, render_trace(trace_id, shown, is_all=len(exchanges) == len(shown)))

    async def _agent(self, request: web.Request) -> web.StreamResponse:
        return await _write(request, _JSON, [_encode(self._view_agent(len(self._tails)))])

    async def _exchanges(self, request: web.Request) -> web.StreamResponse:
        def parts() -> Iterator[bytes]:
            for number, (name, _title, _explanation) in enumerate(_LISTS):
                yield f'{"," if number else "{"}"{name}":'.encode()
                yield from _encode_list(self._list(name))
            yield b"}\n"

        return await _write(request, _JSON, parts())

    async def _exchange(self, request: web.Request) -> web.StreamResponse:
        trace_id = _trace_id(request)
        exchanges = self._of_trace(trace_id)
        first = next(exchanges, None)
        return _not_found(trace_id) if first is None else await _write(request, _JSON, _encode_list(chain([first], exchanges)))

    async def _tail(self, request: web.Request) -> web.StreamResponse:
        try:
            wanted = _filter(request)
        except ValueError as error:
            return web.Response(text=f"{error}\n", status=400, headers=HEADERS)
        tail = self._tails.follow(wanted)
        if tail is None:
            return web.Response(text=f"{MAX_TAILS} follow already, which is the most there can be\n", status=503, headers=HEADERS)
        try:
            response = web.StreamResponse(headers=_LINES)
            await response.prepare(request)
            identity = self._view_agent(len(self._tails)).identity
            greeting = Greeting(service_name=identity.service_name, version=identity.version)
            await response.write(encode_event(TailEvent(agent=greeting)))
            silences = 0
            async for event in tail.exchanges(_SILENCE_SECONDS):
                if event is None:
                    if request.transport is None:
                        return response
                    silences += 1
                    if silences < _SILENCES_PER_HEARTBEAT:
                        continue
                silences = 0
                await response.write(self._line(event))
                # Many may wait: HAProxy has its turn after each.
                await asyncio.sleep(0)
            await response.write(encode_event(TailEvent(end="the agent stops")))
            await response.write_eof()
        finally:
            self._tails.leave(tail)
        return response

    def _line(self, event: Made | int | None) -> bytes:
        if event is None:
            return b"\n"
        if isinstance(event, int):
            return encode_event(TailEvent(lost=event))
        return encode_event(TailEvent(exchange=self._view_exchange(event, with_spans=True)))

    def _list(self, name: str) -> Iterator[ExchangeView]:
        made: Iterator[Made] = getattr(self._recent, name)()
        return (self._view_exchange(one, with_spans=False) for one in made)

    def _of_trace(self, trace_id: str) -> Iterator[ExchangeView]:
        try:
            made = self._recent.of_trace(TraceId(bytes.fromhex(trace_id)))
        except ValueError:
            return iter(())
        return (self._view_exchange(one, with_spans=True) for one in made)


async def _write(request: web.Request, headers: dict[str, str], parts: Iterable[str | bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers=headers)
    await response.prepare(request)
    for part in parts:
        await response.write(part if isinstance(part, bytes) else part.encode("utf-8", "replace"))
        await asyncio.sleep(0)
    await response.write_eof()
    return response


_encode = msgspec.json.encode


def _encode_list(exchanges: Iterable[ExchangeView]) -> Iterator[bytes]:
    before = b"["
    for exchange in exchanges:
        yield before + _encode(exchange)
        before = b","
    yield b"[]" if before == b"[" else b"]"


def _trace_id(request: web.Request) -> str:
    return request.match_info["id"].lower()


def _not_found(trace_id: str) -> web.Response:
    text = f"Trace {trace_id[:100]!a} is not remembered: it has made way for others, or never passed here.\n"
    return web.Response(text=text, status=404, headers=HEADERS)


def _refresh_seconds(text: str | None) -> int | None:
    if text is None or not (text.isascii() and text.isdecimal()):
        return None
    return min(max(int(text[:9]), _LEAST_REFRESH_SECONDS), _MOST_REFRESH_SECONDS)


def _filter(request: web.Request) -> TailFilter:
    query = request.query
    text = query.get("slowerThanSeconds", "0")
    try:
        slower_than_seconds = float(text)
    except ValueError:
        slower_than_seconds = math.nan
    if not 0 <= slower_than_seconds < math.inf:
        raise ValueError(f"slowerThanSeconds: {text[:50]!a}: expected a number of seconds")
    return TailFilter(
        errors=query.get("errors") == "true",
        slower_than_seconds=slower_than_seconds,
        frontend=query.get("frontend"),
        unsampled=query.get("unsampled") == "true",
    )
