"""Every end a connection of a TCP frontend can have, through every HAProxy: one right SERVER span, a CLIENT span for its server.

One row of the table is one connection: what the client does, and what its spans must say. HAProxy makes the trace, so a connection
is known by the client's port.
"""

import contextlib
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from textwrap import indent

import pytest
import pytest_asyncio
import trustme

from support.agent import Agent
from support.greeter import GREETING, Greeter
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.otlp_sink import OtlpSink, SinkSpan
from support.ports import ADDRESS, free_port
from support.probe import until
from support.raw_client import RawConnection

pytestmark = pytest.mark.asyncio(loop_scope="module")

NAME = "shop.example"
CLOCK_TOLERANCE_SECONDS = 0.005
"""HAProxy looks at its clock once a poll; the test at its own."""
NO_STRUCTURED_DATA = 'records_skipped_total{reason="no_structured_data"}'
IDLE_SECONDS = 0.3
INSPECT_SECONDS = 20.0
FRONTENDS = (
    "plain",
    "impatient",
    "silent",
    "refused",
    "redispatched",
    "unserved",
    "rejecting",
    "cutting",
    "passing",
    "routing",
    "inspecting",
    "terminating",
)


@dataclass(frozen=True, slots=True)
class Site:
    """What runs."""

    sink: OtlpSink
    agent: Agent
    haproxy: HAProxy
    version: tuple[int, int]
    ports: dict[str, int]
    """By frontend."""
    greeter: Greeter
    tls_greeter: Greeter
    trust: ssl.SSLContext


def config(agent: Agent, greeter: Greeter, tls_greeter: Greeter, ports: dict[str, int], certificate: Path) -> str:
    lines = indent(agent.wiring("tcp-frontend"), "    ")
    closed = f"{ADDRESS}:{free_port()}"
    delay = f"tcp-request inspect-delay {round(INSPECT_SECONDS)}s"
    tail = {
        "plain": "default_backend app",
        "impatient": f"timeout client {round(IDLE_SECONDS * 1000)}ms\n    default_backend app",
        "silent": "default_backend sleepy",
        "refused": "default_backend closed",
        "redispatched": "default_backend half-closed",
        "unserved": "default_backend gone",
        "rejecting": "tcp-request content reject\n    default_backend app",
        "cutting": "default_backend cut",
        "passing": "default_backend tls-app",
        "routing": f"{delay}\n    tcp-request content accept if {{ req.ssl_hello_type 1 }}\n"
        f"    use_backend tls-app if {{ req.ssl_sni -i {NAME} }}\n    default_backend gone",
        "inspecting": f"{delay}\n    tcp-request content reject if {{ src 192.0.2.1 }}\n    default_backend app",
        "terminating": "default_backend app",
    }
    frontends = "".join(
        f"frontend {name}\n    bind {ADDRESS}:{ports[name]}"
        f"{f' ssl crt {certificate} alpn imap' if name == 'terminating' else ''}\n{lines}    {tail[name]}\n"
        for name in FRONTENDS
    )
    return f"""
defaults
    mode tcp
    option tcplog
    timeout connect 500ms
    timeout client 30s
    timeout server 30s
    retries 1
{frontends}
backend app
    server app1 {greeter.address}
backend tls-app
    server tls1 {tls_greeter.address}
backend sleepy
    timeout server {round(IDLE_SECONDS * 1000)}ms
    server app1 {greeter.address}
backend closed
    server closed1 {closed}
backend half-closed
    balance first
    option redispatch 1
    server closed1 {closed}
    server app1 {greeter.address}
backend gone
    server gone1 {closed} disabled
backend cut
    tcp-response content reject
    server app1 {greeter.address}
{agent.wiring("sections")}"""


@contextlib.asynccontextmanager
async def running_site(found: FoundHAProxy, folder: Path) -> AsyncIterator[Site]:
    authority = trustme.CA()
    issued = authority.issue_cert(NAME)
    certificate = folder / "certificate.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(certificate)
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    issued.configure_cert(serving)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    trust.set_alpn_protocols(["imap"])
    ports = {name: free_port() for name in FRONTENDS}
    async with (
        OtlpSink() as sink,
        Greeter() as greeter,
        Greeter(tls=serving) as tls_greeter,
        Agent(folder, endpoint=sink.endpoint) as agent,
        HAProxy(config(agent, greeter, tls_greeter, ports, certificate), folder, binary=found.path) as haproxy,
    ):
        major, minor = found.version.split(".")[:2]
        version = (int(major), int(minor.partition("-")[0]))
        yield Site(sink, agent, haproxy, version, ports, greeter, tls_greeter, trust)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(found_haproxy: FoundHAProxy, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Site]:
    async with running_site(found_haproxy, tmp_path_factory.mktemp("site")) as running:
        yield running
    assert not [line for line in running.agent.process.lines if "ERROR" in line or "Traceback" in line]


@dataclass(frozen=True, slots=True)
class Client:
    """Who connected: a port is soon another client's."""

    port: int
    since_unix_nano: int

    @classmethod
    def of(cls, connection: RawConnection) -> "Client":
        """The client of a connection that was just opened."""
        return cls(connection.local_port, time.time_ns() - 1_000_000_000)

    def opened(self, span: SinkSpan) -> bool:
        """Whether this is the SERVER span of its connection."""
        ours = span.attributes.get("network.peer.port") == self.port and span.start_unix_nano >= self.since_unix_nano
        return span.kind == "SERVER" and ours


def of_client(spans: list[SinkSpan], client: Client) -> list[SinkSpan]:
    """The spans of a client's connection, SERVER first."""
    servers = [span for span in spans if client.opened(span)]
    trace_ids = {span.trace_id for span in servers}
    return servers + [span for span in spans if span.kind == "CLIENT" and span.trace_id in trace_ids]


async def spans_of(site: Site, client: Client) -> list[SinkSpan]:
    return of_client(await site.sink.wait_for(lambda spans: bool(of_client(spans, client)), timeout_seconds=10), client)


Act = Callable[[RawConnection], Awaitable[None]]


async def talk_and_close(connection: RawConnection) -> None:
    await connection.read_until(GREETING)
    await connection.send(b"ping\n")
    assert await connection.read_until(b"\n") == b"ping\n"
    connection.close()


async def talk_and_reset(connection: RawConnection) -> None:
    await connection.read_until(GREETING)
    await connection.send(b"ping\n")
    assert await connection.read_until(b"\n") == b"ping\n"
    connection.reset()


def say(line: bytes) -> Act:
    async def act(connection: RawConnection) -> None:
        await connection.read_until(GREETING)
        await connection.send(line)
        await connection.read_all()
        connection.close()

    return act


async def listen(connection: RawConnection) -> None:
    await connection.read_all()
    connection.close()


async def close_after_the_greeting(connection: RawConnection) -> None:
    await connection.read_until(GREETING)
    connection.close()


@dataclass(frozen=True, kw_only=True)
class Row:
    """One connection."""

    frontend: str = "plain"
    act: Act
    termination: str = "--"
    error: str | None = None
    """`error.type`; with one the spans' status is ERROR, without it UNSET."""
    backend: str | None = "app"
    """None if none was chosen."""
    server: str | None = "app1"
    received: int = 0
    sent: int = len(GREETING)
    tls: bool = False
    seconds: tuple[float, float] = (0.0, 0.6)
    attributes: dict[str, object] = field(default_factory=dict)
    """Further attributes of the SERVER span."""
    client_attributes: dict[str, object] = field(default_factory=dict)


TERMINATED: dict[str, object] = {
    "network.protocol.name": "tls",
    "server.address": NAME,
    "tls.cipher": "TLS_AES_256_GCM_SHA384",
    "tls.next_protocol": "imap",
    "tls.protocol.version": "1.3",
}

ROWS = {
    "client closes": Row(act=talk_and_close, received=5, sent=len(GREETING) + 5),
    "client resets": Row(act=talk_and_reset, termination="CD", received=5, sent=len(GREETING) + 5),
    "server closes": Row(act=say(b"close\n"), received=6),
    "server resets": Row(act=say(b"reset\n"), received=6, termination="SD", error="haproxy.server_abort"),
    "client silent for too long": Row(
        frontend="impatient", act=listen, termination="cD", seconds=(IDLE_SECONDS - 0.01, IDLE_SECONDS + 0.6)
    ),
    "server silent for too long": Row(
        frontend="silent",
        act=listen,
        termination="sD",
        error="haproxy.server_timeout",
        backend="sleepy",
        seconds=(IDLE_SECONDS - 0.01, IDLE_SECONDS + 0.6),
    ),
    "server refuses": Row(
        frontend="refused",
        act=listen,
        termination="SC",
        error="haproxy.connect",
        backend="closed",
        server="closed1",
        sent=0,
        seconds=(0.0, 3.0),
        client_attributes={"haproxy.retries": 1, "haproxy.redispatched": False},
    ),
    "server refuses, another takes it": Row(
        frontend="redispatched",
        act=talk_and_close,
        backend="half-closed",
        received=5,
        sent=len(GREETING) + 5,
        seconds=(0.0, 3.0),
        client_attributes={"haproxy.retries": 1, "haproxy.redispatched": True},
    ),
    "no server": Row(
        frontend="unserved", act=listen, termination="SC", error="haproxy.connect", backend="gone", server=None, sent=0
    ),
    "rejected by a rule": Row(frontend="rejecting", act=listen, termination="PR", backend=None, server=None, sent=0),
    "cut by a rule on the answer": Row(
        frontend="cutting", act=listen, termination="PD", error="haproxy.denied", backend="cut", sent=0
    ),
    "TLS terminated": Row(
        frontend="terminating", act=talk_and_close, tls=True, received=5, sent=len(GREETING) + 5, attributes=TERMINATED
    ),
    "TLS terminated, client resets": Row(
        frontend="terminating",
        act=talk_and_reset,
        tls=True,
        termination="CD",
        received=5,
        sent=len(GREETING) + 5,
        attributes=TERMINATED,
    ),
}


def check(span: SinkSpan, row: Row) -> None:
    assert span.attributes.get("error.type") == row.error
    assert span.status_code == ("UNSET" if row.error is None else "ERROR")
    assert span.attributes["network.transport"] == "tcp"


@pytest.mark.parametrize("name", ROWS)
async def test_a_connection_has_exactly_its_spans(site: Site, name: str) -> None:
    row = ROWS[name]
    began_seconds = time.time()
    tls = site.trust if row.tls else None
    async with RawConnection.open(site.ports[row.frontend], tls=tls, server_name=NAME if row.tls else None) as connection:
        who = Client.of(connection)
        await row.act(connection)
    server, *clients = await spans_of(site, who)
    ended_seconds = time.time()
    check(server, row)
    assert server.name == f"tcp {row.frontend}"
    assert server.parent_span_id == ""
    assert server.trace_state == "ot=th:0"
    assert server.attributes["haproxy.termination_state"] == row.termination
    assert server.attributes["haproxy.frontend.name"] == row.frontend
    assert server.attributes.get("haproxy.backend.name") == row.backend
    assert server.attributes["server.port"] == site.ports[row.frontend]
    assert (server.attributes["haproxy.bytes.received"], server.attributes["haproxy.bytes.sent"]) == (row.received, row.sent)
    assert server.attributes.items() >= row.attributes.items()
    assert row.seconds[0] <= server.seconds <= row.seconds[1]
    assert began_seconds - CLOCK_TOLERANCE_SECONDS <= server.start_unix_nano / 1e9
    assert server.end_unix_nano / 1e9 <= ended_seconds + CLOCK_TOLERANCE_SECONDS
    if row.server is None:
        assert clients == []
        return
    (client,) = clients
    check(client, row)
    assert client.name == f"tcp {row.backend}"
    assert client.parent_span_id == server.span_id
    assert server.start_unix_nano <= client.start_unix_nano <= client.end_unix_nano == server.end_unix_nano
    assert client.attributes["haproxy.backend.name"] == row.backend
    assert client.attributes["haproxy.server.name"] == row.server
    assert client.attributes.items() >= row.client_attributes.items()


async def test_a_good_connection_says_all_of_this_and_no_more(site: Site) -> None:
    async with RawConnection.open(site.ports["plain"]) as connection:
        who = Client.of(connection)
        await talk_and_close(connection)
    server, client = await spans_of(site, who)
    for name in ("haproxy.time.queue", "haproxy.time.total"):
        assert 0 <= float(str(server.attributes.pop(name))) < 1
    assert server.attributes == {
        "client.address": ADDRESS,
        "haproxy.backend.name": "app",
        "haproxy.bytes.received": 5,
        "haproxy.bytes.sent": len(GREETING) + 5,
        "haproxy.frontend.name": "plain",
        "haproxy.termination_state": "--",
        "network.peer.address": ADDRESS,
        "network.peer.port": who.port,
        "network.transport": "tcp",
        "server.address": ADDRESS,
        "server.port": site.ports["plain"],
    }
    assert 0 <= float(str(client.attributes.pop("haproxy.time.connect"))) < 1
    assert client.attributes == {
        "haproxy.backend.name": "app",
        "haproxy.server.name": "app1",
        "network.peer.address": ADDRESS,
        "network.peer.port": site.greeter.port,
        "network.transport": "tcp",
        "server.address": ADDRESS,
        "server.port": site.greeter.port,
    }


async def test_the_name_that_tls_passing_through_asks_for_is_known_where_rules_wait_for_it(site: Site) -> None:
    async with RawConnection.open(site.ports["routing"], tls=site.trust, server_name=NAME) as connection:
        who = Client.of(connection)
        await talk_and_close(connection)
    server, client = await spans_of(site, who)
    for span in (server, client):
        assert span.attributes["server.address"] == NAME
        assert span.attributes["network.protocol.name"] == "tls"
        assert "tls.protocol.version" not in span.attributes
    assert client.attributes["haproxy.backend.name"] == "tls-app"
    assert client.attributes["network.peer.port"] == site.tls_greeter.port


async def test_tls_passes_through_untouched_where_no_rule_waits(site: Site) -> None:
    async with RawConnection.open(site.ports["passing"], tls=site.trust, server_name=NAME) as connection:
        who = Client.of(connection)
        await talk_and_close(connection)
    server, client = await spans_of(site, who)
    assert server.attributes["server.address"] in (ADDRESS, NAME)  # the name, if the client happened to have been quick
    assert client.attributes["haproxy.server.name"] == "tls1"


@pytest.mark.parametrize("frontend", ["plain", "inspecting"])
async def test_a_client_that_waits_for_the_server_to_speak_does_not_wait_for_us(site: Site, frontend: str) -> None:
    """Even where the user has an `inspect-delay` for rules that look at no bytes."""
    began_seconds = time.monotonic()
    async with RawConnection.open(site.ports[frontend]) as connection:
        who = Client.of(connection)
        await close_after_the_greeting(connection)
    assert time.monotonic() - began_seconds < INSPECT_SECONDS / 4
    server, _client = await spans_of(site, who)
    assert server.status_code == "UNSET"
    assert float(str(server.attributes["haproxy.time.total"])) < INSPECT_SECONDS / 4


async def test_a_connection_has_spans_only_when_it_is_over(site: Site) -> None:
    async with RawConnection.open(site.ports["plain"]) as long:
        who = Client.of(long)
        await long.read_until(GREETING)
        async with RawConnection.open(site.ports["plain"]) as short:
            passing_by = Client.of(short)
            await talk_and_close(short)
        short_server, _ = await spans_of(site, passing_by)
        assert of_client(site.sink.spans, who) == []
        await talk_and_close_again(long)
    server, client = await spans_of(site, who)
    assert server.start_unix_nano < short_server.start_unix_nano
    assert server.end_unix_nano == client.end_unix_nano > short_server.end_unix_nano


async def talk_and_close_again(connection: RawConnection) -> None:
    await connection.send(b"ping\n")
    await connection.read_until(b"\n")
    connection.close()


async def test_a_probe_that_reaches_a_server_is_a_connection(site: Site) -> None:
    """HAProxy connects to the server before a byte comes; the server has seen it."""
    async with RawConnection.open(site.ports["plain"]) as connection:
        who = Client.of(connection)
        await close_after_the_greeting(connection)
    server, client = await spans_of(site, who)
    assert server.attributes["haproxy.bytes.received"] == 0
    assert (server.status_code, client.status_code) == ("UNSET", "UNSET")


async def test_a_probe_that_reaches_no_server_is_counted_only(site: Site) -> None:
    name = 'exchanges_recorded_total{start="probe"}'
    before = (await site.agent.metrics())[name]
    async with RawConnection.open(site.ports["routing"]) as connection:
        who = Client.of(connection)

        async def is_taken() -> bool:
            return f"src={ADDRESS}:{who.port} " in await site.haproxy.command("show sess")

        await until(is_taken, what="HAProxy waits for the client to speak")
        connection.reset()
    await site.agent.wait_for_metric(name, before + 1)
    assert of_client(site.sink.spans, who) == []


async def test_connections_that_end_while_the_agent_is_away_have_their_spans_when_it_is_back(site: Site) -> None:
    await site.agent.stop()
    clients = []
    for _ in range(3):
        async with RawConnection.open(site.ports["plain"]) as connection:
            clients.append(Client.of(connection))
            await talk_and_close(connection)
    await site.agent.start()
    for who in clients:
        server, client = await spans_of(site, who)
        assert server.status_code == client.status_code == "UNSET"


async def test_haproxy_has_no_objection(site: Site) -> None:
    assert [line for line in site.haproxy.log if "config : " in line] == []


async def test_nothing_was_skipped_or_lost(site: Site) -> None:
    metrics = await site.agent.metrics()
    assert {name: value for name, value in metrics.items() if name.startswith("records_skipped_total") and value} == {}
    assert {name: value for name, value in metrics.items() if name.startswith("spans_dropped_total") and value} == {}
    servers = [span.trace_id for span in site.sink.spans if span.kind == "SERVER"]
    assert len(servers) == len(set(servers))


async def test_a_client_that_leaves_during_the_handshake_is_a_probe(site: Site) -> None:
    """Before 3.1 HAProxy has a line of its own for this, without structured data."""
    name = 'exchanges_recorded_total{start="probe"}' if site.version >= (3, 1) else NO_STRUCTURED_DATA
    before = (await site.agent.metrics())[name]
    async with RawConnection.open(site.ports["terminating"]) as connection:
        who = Client.of(connection)
        await connection.send(b"no TLS at all\n")
        await connection.read_all()
    await site.agent.wait_for_metric(name, before + 1)
    assert of_client(site.sink.spans, who) == []
