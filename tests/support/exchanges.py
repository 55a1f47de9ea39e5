"""The table of exchanges: every end an exchange can have, and what its spans must say whatever the profile is.

One row is one exchange: how a client behaves, and what the spans of the frontend's side (SERVER) and of the server's side (CLIENT)
must say of it.
"""

import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import httpx

from support.raw_client import WEBSOCKET_UPGRADE, RawConnection, request_head, single_request
from support.site import SERVER_TIMEOUT_SECONDS, Site

__all__ = ["CALLER", "LONG_ROWS", "ROWS", "Act", "Expected", "Row", "get", "new_context"]

CALLER = "00f067aa0ba902b7"
"""The span id of whoever sends the requests."""

Act = Callable[[Site, dict[str, str]], Awaitable[None]]
"""What a client does, with the headers that carry its trace context."""


def new_context() -> tuple[str, dict[str, str]]:
    """A new trace id, and the headers of a request that belongs to it."""
    trace_id = secrets.token_hex(16)
    return trace_id, {"traceparent": f"00-{trace_id}-{CALLER}-01", "tracestate": "foreign=1"}


@dataclass(frozen=True, kw_only=True)
class Expected:
    """What one span must say."""

    code: int | None = 200
    error: str | None = None
    """`error.type`; with one the span's status is ERROR, without it UNSET."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One exchange."""

    act: Act
    termination: str | Callable[[Site], str] = "--"
    server: Expected | Callable[[Site], Expected] = field(default_factory=Expected)
    client: Expected | Callable[[Site], Expected] | None = field(default_factory=Expected)
    connected: bool = True
    """Whether the server that was chosen was ever reached."""
    method: str = "GET"
    path: str = "/"
    protocol: str = "1.1"
    seconds: tuple[float, float] = (0.0, 0.6)
    """The SERVER span takes from so long to so long."""
    attributes: dict[str, object] = field(default_factory=dict)
    """Further attributes of the CLIENT span."""
    otherwise: Expected | None = None
    """What the SERVER span may say instead, where HAProxy itself says one or the other of the same exchange."""
    measured_bytes: bool = False
    """Whether the number of bytes varies: with compressed headers, with pieces that come together, with when which side stopped."""

    def termination_of(self, site: Site) -> str:
        """The termination state that this site's HAProxy gives."""
        return self.termination(site) if callable(self.termination) else self.termination

    def server_of(self, site: Site) -> Expected:
        """What the SERVER span says, with this site's HAProxy."""
        return self.server(site) if callable(self.server) else self.server

    def client_of(self, site: Site) -> Expected | None:
        """What the CLIENT span says, with this site's HAProxy; None if there is none."""
        return self.client(site) if callable(self.client) else self.client


def get(target: str, *, method: str = "GET") -> Act:
    """One request on a connection of its own."""

    async def act(site: Site, headers: dict[str, str]) -> None:
        await single_request(site.http_port, request_head(target, method=method, headers=headers))

    return act


def over_http2(target: str, *, method: str = "GET") -> Act:
    """One request over HTTP/2, its answer read to the end."""

    async def act(site: Site, headers: dict[str, str]) -> None:
        async with httpx.AsyncClient(http1=False, http2=True, trust_env=False, timeout=10) as client:
            own = {"host": "shop.example:8443", "user-agent": "httpx"}
            answer = await client.request(method, f"http://127.0.0.1:{site.http2_port}{target}", headers=own | headers)
        assert (answer.http_version, answer.status_code) == ("HTTP/2", 200)

    return act


async def go_away_while_waiting(site: Site, headers: dict[str, str]) -> None:
    async with RawConnection.open(site.http_port) as connection:
        await connection.send(request_head("/slow?ms=300", headers=headers, close=False))
        await site.upstream.wait_for_request(lambda request: headers["traceparent"][3:35] in (request.header("traceparent") or ""))
        connection.close()


async def go_away_during_upload(site: Site, headers: dict[str, str]) -> None:
    async with RawConnection.open(site.http_port) as connection:
        head = request_head("/upload", method="POST", headers={**headers, "content-length": "1000"}, close=False)
        await connection.send(head + b"some of it")
        await site.upstream.wait_for_request(lambda request: headers["traceparent"][3:35] in (request.header("traceparent") or ""))


async def go_away_during_download(site: Site, headers: dict[str, str]) -> None:
    async with RawConnection.open(site.http_port) as connection:
        await connection.send(request_head("/stream?chunks=20&ms=20", headers=headers, close=False))
        await connection.read_until()


async def talk_over_websocket(site: Site, headers: dict[str, str]) -> None:
    async with RawConnection.open(site.http_port) as connection:
        await connection.send(request_head("/ws", headers={**headers, **WEBSOCKET_UPGRADE}, close=False))
        assert b" 101 " in await connection.read_until()
        for _ in range(3):
            await connection.send(b"ping")
            assert await connection.read_exactly(4) == b"ping"


async def listen_to_events(site: Site, headers: dict[str, str]) -> None:
    head = request_head("/events?count=30&ms=100", headers={**headers, "accept": "text/event-stream"})
    answer = await single_request(site.http_port, head)
    assert answer.count(b"data: ") == 30


def by_version(since: tuple[int, int], newer: Expected, older: Expected) -> Callable[[Site], Expected]:
    return lambda site: newer if site.version >= since else older


ROWS: dict[str, Row] = {
    "200": Row(act=get("/")),
    "404 by the server": Row(
        act=get("/status/404"), path="/status/404", server=Expected(code=404), client=Expected(code=404, error="404")
    ),
    "500 by the server": Row(
        act=get("/status/500"),
        path="/status/500",
        server=Expected(code=500, error="500"),
        client=Expected(code=500, error="500"),
    ),
    "HTTP/2": Row(act=over_http2("/"), protocol="2", measured_bytes=True),
    "redirect": Row(act=get("/redirect"), path="/redirect", termination="LR", server=Expected(code=302), client=None),
    "deny": Row(act=get("/deny"), path="/deny", termination="PR", server=Expected(code=403), client=None),
    "return": Row(act=get("/return"), path="/return", termination="LR", server=Expected(code=204), client=None),
    "no server": Row(act=get("/none"), path="/none", termination="SC", server=Expected(code=503, error="503"), client=None),
    "refused, retried": Row(
        act=get("/refused"),
        path="/refused",
        termination="SC",
        server=Expected(code=503, error="503"),
        client=Expected(code=None, error="haproxy.connect"),
        connected=False,
        seconds=(0.0, 5.0),
        attributes={"haproxy.retries": 2, "http.request.resend_count": 2, "haproxy.redispatched": False},
    ),
    "refused, redispatched": Row(
        act=get("/redispatched"),
        path="/redispatched",
        seconds=(0.0, 5.0),
        attributes={"haproxy.redispatched": True, "haproxy.server.name": "app1"},
    ),
    "504": Row(
        act=get("/slow?ms=3000"),
        path="/slow",
        termination="sH",
        server=Expected(code=504, error="504"),
        client=Expected(code=None, error="haproxy.server_timeout"),
        seconds=(SERVER_TIMEOUT_SECONDS, SERVER_TIMEOUT_SECONDS + 0.6),
    ),
    "server closes without an answer": Row(
        act=get("/close"),
        path="/close",
        termination="SH",
        server=Expected(code=502, error="502"),
        client=Expected(code=None, error="haproxy.server_abort"),
    ),
    "server answers garbage": Row(
        act=get("/garbage"),
        path="/garbage",
        termination="PH",
        server=Expected(code=502, error="502"),
        client=Expected(code=None, error="haproxy.denied"),
    ),
    "truncated body": Row(
        # Where the body and the close come together, HAProxy 3.0 says at times (5 of 100) that the client cut it: CD.
        act=get("/truncate?ms=50"),
        path="/truncate",
        termination="SD",
        server=Expected(error="haproxy.server_abort"),
        client=Expected(error="haproxy.server_abort"),
        measured_bytes=True,
    ),
    "client gone while waiting": Row(
        # HAProxy lets the server finish (no `option abortonclose`), and from 3.4 on does not.
        act=go_away_while_waiting,
        path="/slow",
        termination=lambda site: "CH" if site.version >= (3, 4) else "--",
        server=by_version((3, 4), Expected(code=400), Expected()),
        client=by_version((3, 4), Expected(code=None), Expected()),
        seconds=(0.0, 1.5),
        measured_bytes=True,
    ),
    "client gone during upload": Row(
        act=go_away_during_upload,
        method="POST",
        path="/upload",
        termination=lambda site: "CH" if site.version >= (2, 8) else "CD",
        server=by_version((2, 8), Expected(code=400), Expected(code=None, error="haproxy.client_abort")),
        # On a busy machine 3.2 was seen to note that the client is gone before it had set the status for it.
        otherwise=Expected(code=None, error="haproxy.client_abort"),
        client=Expected(code=None),
        measured_bytes=True,
    ),
    "client gone during download": Row(
        act=go_away_during_download, path="/stream", termination="CD", seconds=(0.0, 1.5), measured_bytes=True
    ),
    "slow streaming body": Row(act=get("/stream?chunks=10&ms=30"), path="/stream", seconds=(0.25, 1.5), measured_bytes=True),
    "websocket": Row(
        act=talk_over_websocket,
        path="/ws",
        termination="CD",
        server=Expected(code=101),
        client=Expected(code=101),
        seconds=(0.0, 1.5),
        measured_bytes=True,
    ),
    "unknown method": Row(act=get("/", method="BREW"), method="_OTHER"),
}

LONG_ROWS: dict[str, Row] = {
    # Both last four times as long as `timeout server`, and are never silent for as long as that.
    "server-sent events": Row(act=listen_to_events, path="/events", seconds=(2.9, 6.0), measured_bytes=True),
    "stream of calls": Row(
        act=over_http2("/stream?chunks=30&ms=100", method="POST"),
        method="POST",
        path="/stream",
        protocol="2",
        seconds=(2.9, 6.0),
        measured_bytes=True,
    ),
}
"""Exchanges of several seconds."""
