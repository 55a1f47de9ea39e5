"""Looking inside a running agent with a real HAProxy before it: the page and its JSON, who may see them, and ``tail``."""

import asyncio
import contextlib
import json
import os
import re
import secrets
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme

from haproxy_telemetry_agent.wiring import Profile
from support.agent import PROGRAM, Agent
from support.chromium import chromium
from support.haproxies import FoundHAProxy
from support.otlp_sink import SinkSpan
from support.probe import until
from support.process import Process
from support.raw_client import request_head, single_request
from support.record_factory import framed, record
from support.record_sender import send_records
from support.site import Site, running_site

CALLER = "00f067aa0ba902b7"
SECRET = "s3cret"
NOWHERE = "http://127.0.0.1:1"
HOSTILE = (
    "/<script>document.title='owned'</script>",
    "/%3Cscript%3Edocument.title='owned'%3C/script%3E",
    "/'\"><img/src=x/onerror=document.title='owned'>",
    "/</title></style></td></table><svg/onload=document.title='owned'>",
    "/&lt;b&gt;\\x3cscript\\x3e",
)


async def ask(site: Site, target: str, *, sampled: bool = True, method: str = "GET") -> str:
    """One request; returns its trace id."""
    trace_id = secrets.token_hex(16)
    headers = {"traceparent": f"00-{trace_id}-{CALLER}-0{int(sampled)}"}
    await single_request(site.http_port, request_head(target, method=method, headers=headers))
    return trace_id


async def get(agent: Agent, path: str, status: int = 200, **headers: str) -> str:
    """What the agent says there."""
    address = agent.listen["http"]
    connector = aiohttp.UnixConnector(address.removeprefix("unix:")) if address.startswith("unix:") else None
    url = f"http://localhost{path}" if connector else f"http://{address}{path}"
    async with aiohttp.ClientSession(connector=connector) as session, session.get(url, headers=headers) as response:
        text = await response.text()
        assert response.status == status, text
        if path.startswith("/debug"):
            assert response.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
            assert response.headers["Cache-Control"] == "no-store"
        return text


async def lists(agent: Agent) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = json.loads(await get(agent, "/debug/exchanges"))
    return found


def names(exchanges: list[dict[str, Any]]) -> list[str]:
    return [exchange["name"] for exchange in exchanges]


@pytest.fixture
async def agent(tmp_path: Path) -> AsyncIterator[Agent]:
    async with Agent(tmp_path, endpoint=NOWHERE, settings={"exporter": {"type": "none"}}) as running:
        yield running


@pytest.fixture
async def site(one_haproxy: FoundHAProxy, tmp_path: Path) -> AsyncIterator[Site]:
    async with running_site(one_haproxy, tmp_path) as running:
        yield running


@contextlib.asynccontextmanager
async def following(*arguments: str | Path) -> AsyncIterator[Process]:
    """A running ``tail``."""
    async with Process("tail", [PROGRAM, "tail", *arguments]) as tail:
        yield tail


async def followers(agent: Agent, count: int) -> None:
    """Waits until so many follow."""

    async def follow() -> bool:
        return bool(json.loads(await get(agent, "/debug/agent"))["open"]["tails"] == count)

    await until(follow, what=f"{count} follow", timeout_seconds=10)


@pytest.mark.parametrize("profile", ["Standard", "Full", "Stream"])
async def test_every_exchange_is_shown_sampled_or_not(found_haproxy: FoundHAProxy, profile: Profile, tmp_path: Path) -> None:
    settings: dict[str, Any] = {"profile": profile, "sampling": {"exclude": {"paths": ["/healthz"]}}}
    async with running_site(found_haproxy, tmp_path, settings=settings) as site:
        good = await ask(site, "/checkout?token=s3cret")
        failed = await ask(site, "/refused")
        await ask(site, "/slow?ms=300")
        unsampled = await ask(site, "/status/500", sampled=False)
        await ask(site, "/deny")
        await ask(site, "/healthz")
        spans = await site.spans_of(6)
        found = await lists(site.agent)
        assert names(found["latest"]) == [
            "GET /healthz",
            "GET /deny",
            "GET /status/500",
            "GET /slow",
            "GET /refused",
            "GET /checkout",
        ]
        assert names(found["failed"]) == ["GET /status/500", "GET /refused"]
        assert names(found["slowest"])[:2] == ["GET /refused", "GET /slow"]
        by_name = {exchange["name"]: exchange for exchange in found["latest"]}
        assert (by_name["GET /checkout"]["traceId"], by_name["GET /refused"]["traceId"]) == (good, failed)
        how = {
            name: (
                shown["statusCode"],
                shown["backend"],
                shown["server"],
                shown["terminationState"],
                shown["sampled"],
                shown["decidedBy"],
            )
            for name, shown in by_name.items()
        }
        assert how == {
            "GET /checkout": (200, "app", "app1", "--", True, "caller"),
            "GET /refused": (503, "refused", "closed", "SC", True, "caller"),
            "GET /slow": (200, "app", "app1", "--", True, "caller"),
            "GET /status/500": (500, "app", "app1", "--", False, "caller"),
            "GET /deny": (403, "edge", None, "PR", True, "caller"),
            "GET /healthz": (200, "app", "app1", "--", False, "excluded"),
        }
        for trace_id in (good, failed, unsampled):
            (shown,) = json.loads(await get(site.agent, f"/debug/exchanges/{trace_id}"))
            exported = [span for span in spans if span.trace_id == trace_id]
            assert [as_exported(span) for span in shown["spans"]] == [as_sunk(span) for span in exported]
            page = await get(site.agent, f"/debug/traces/{trace_id}")
            assert page.count("<details>") == len(exported)
        page = await get(site.agent, "/debug")
        for trace_id in (good, failed, unsampled):
            assert f'<a href="/debug/traces/{trace_id}">' in page
        assert SECRET not in page


def as_exported(span: dict[str, Any]) -> tuple[object, ...]:
    return (
        span["name"],
        span["spanId"],
        span["parentSpanId"] or "",
        span["kind"].upper(),
        span["startUnixNano"],
        span["endUnixNano"],
        span["status"].upper(),
        span["attributes"],
    )


def as_sunk(span: SinkSpan) -> tuple[object, ...]:
    return (
        span.name,
        span.span_id,
        span.parent_span_id,
        span.kind,
        span.start_unix_nano,
        span.end_unix_nano,
        span.status_code,
        span.attributes,
    )


async def test_nothing_that_a_client_sends_runs_in_the_page(site: Site) -> None:
    for target in HOSTILE:
        await ask(site, target.replace('"', "%22"))
    await site.spans_of(len(HOSTILE))
    found = (await lists(site.agent))["latest"]
    assert any("<script>" in name for name in names(found))
    browser = chromium()
    dom = await browser.dom(f"http://{site.agent.listen['http']}/debug")
    assert "<title>edge: haproxy-telemetry-agent</title>" in dom
    assert "&lt;script&gt;document.title='owned'" in dom
    for exchange in found:
        dom = await browser.dom(f"http://{site.agent.listen['http']}/debug/traces/{exchange['traceId']}")
        assert f"<title>Trace {exchange['traceId']}</title>" in dom
        assert not re.search(r"<(script|img|svg/|svg o)", dom)


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("columns", [400, 1_400])
async def test_a_browser_shows_it_dark_and_light_wide_and_narrow(site: Site, tmp_path: Path, columns: int, dark: bool) -> None:
    browser = chromium()
    trace_id = await ask(site, "/status/500")
    await site.spans_of(1)
    for number, path in enumerate(("/debug", f"/debug/traces/{trace_id}")):
        picture = tmp_path / f"{number}.png"
        url = f"http://{site.agent.listen['http']}{path}"
        assert await browser.picture(url, picture, columns=columns, rows=900, dark=dark) == (columns, 900)
        # What is not styled, or not there at all, compresses to almost nothing.
        assert picture.stat().st_size > 10_000


async def test_only_this_machine_may_look(agent: Agent) -> None:
    for path in (
        "/debug",
        "/debug/tracez",
        "/debug/agent",
        "/debug/exchanges",
        "/debug/tail",
        "/debug/traces/00",
        "/debug/exchanges/00",
    ):
        refused = await get(agent, path, 403, Host="attacker.example")
        assert refused.startswith("Host 'attacker.example' is neither localhost nor an IP address")
        assert "comes" not in await get(agent, path, 403, **{"X-Forwarded-For": "10.1.2.3"})
    assert "ok" in await get(agent, "/healthz", Host="attacker.example")
    await get(agent, "/debug", Host="localhost:1")
    agent.settings["debug"] = {"remote": True}
    agent.write_settings()
    await agent.process.wait_for_line("changed: debug.remote", timeout_seconds=10)
    await get(agent, "/debug", Host="agent.example")


async def test_it_can_be_switched_off_and_on(agent: Agent) -> None:
    await send_records(agent, 1)
    assert len((await lists(agent))["latest"]) == 1
    agent.settings["debug"] = {"enabled": False}
    agent.write_settings()
    await agent.process.wait_for_line("changed: debug.enabled", timeout_seconds=10)
    assert await get(agent, "/debug", 404) == "debug.enabled is false in the agent's settings\n"
    await send_records(agent, 1)
    since = len(agent.process.lines)
    agent.settings["debug"] = {"enabled": True}
    agent.write_settings()
    await agent.process.wait_for_line("changed: debug.enabled", since=since, timeout_seconds=10)
    assert await lists(agent) == {"latest": [], "failed": [], "slowest": []}


async def test_settings_are_shown_with_their_sources_and_without_secrets(tmp_path: Path) -> None:
    settings: dict[str, Any] = {
        "exporter": {
            "endpoint": f"http://user:{SECRET}@127.0.0.1:1/x?key={SECRET}",
            "headers": [{"name": "authorization", "value": SECRET}],
        },
    }
    environment = os.environ | {"OTEL_BSP_SCHEDULE_DELAY": "100", "OTEL_TRACES_SAMPLER": "always_on"}
    async with Agent(tmp_path, endpoint=NOWHERE, settings=settings, environment=environment) as agent:
        shown = json.loads(await get(agent, "/debug/agent"))
        effective = {field: (value, source) for field, value, source in shown["settings"]["effective"]}
        assert effective["exporter.endpoint"] == ("http://***@127.0.0.1:1/x?***", "file")
        assert effective["exporter.headers[0].value"] == ("(not shown)", "file")
        assert effective["exporter.batch.delay"] == ("100ms", "OTEL_BSP_SCHEDULE_DELAY")
        assert effective["sampling.type"] == ("AlwaysOn", "OTEL_TRACES_SAMPLER")
        assert effective["limits.maxConnections"] == ("1024", "default")
        agent.settings["limits"] = {"maxConnections": 7}
        agent.write_settings()
        await agent.process.wait_for_line("wait for a restart", timeout_seconds=10)
        agent.settings["exporter"]["endpoint"] = f"htp://user:{SECRET}@127.0.0.1:1"
        agent.write_settings()
        await agent.process.wait_for_line("settings refused", timeout_seconds=10)
        shown = json.loads(await get(agent, "/debug/agent"))
        assert shown["settings"]["waiting"] == ["limits.maxConnections"]
        assert shown["settings"]["error"].startswith("exporter.endpoint: 'htp://***@127.0.0.1:1': expected a http://")
        page = await get(agent, "/debug")
        for words in (
            "The settings file is refused",
            "Settings wait for a restart of the agent: limits.maxConnections",
            "waits for a restart",
        ):
            assert words in page
        for path in ("/debug", "/debug/agent", "/debug/exchanges"):
            assert SECRET not in await get(agent, path)


async def test_what_is_open_is_counted(site: Site) -> None:
    held = asyncio.create_task(single_request(site.http_port, request_head("/hold")))
    await site.agent.wait_for_metric('exchanges_answered_total{parent="none",sampled="true"}', 1)
    shown = json.loads(await get(site.agent, "/debug/agent"))
    assert shown["open"]["exchangesUnrecorded"] == 1
    assert (shown["open"]["recordConnections"] >= 1, shown["open"]["spopConnections"] >= 1) == (True, True)
    assert (shown["profile"], shown["identity"]["serviceName"], shown["notes"]) == ("Standard", "edge", [])
    site.upstream.release()
    await held
    await site.spans_of(1)
    assert json.loads(await get(site.agent, "/debug/agent"))["open"]["exchangesUnrecorded"] == 0


async def test_what_is_not_remembered_is_not_found(agent: Agent) -> None:
    for path in ("/debug/traces/", "/debug/exchanges/"):
        for trace_id in (secrets.token_hex(16), "nonsense", "%3Cscript%3E"):
            assert "is not remembered" in await get(agent, path + trace_id, 404)
    assert 'content="5"' in await get(agent, "/debug?refresh=5")
    assert 'content="2"' in await get(agent, "/debug?refresh=0")
    assert "http-equiv" not in await get(agent, "/debug?refresh=x")


async def test_a_trace_with_many_exchanges(agent: Agent) -> None:
    host, _, port = agent.listen["records"].rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port))
    with contextlib.closing(writer):
        writer.writelines(framed(record(HPO=f"/{number}")) for number in range(30))
        await agent.wait_for_metric('exchanges_recorded_total{start="unanswered"}', 30)
    trace_id = (await lists(agent))["latest"][0]["traceId"]
    assert "and earlier ones" in await get(agent, f"/debug/traces/{trace_id}")
    assert len(json.loads(await get(agent, f"/debug/exchanges/{trace_id}"))) == 30


async def test_by_a_unix_socket(tmp_path: Path) -> None:
    address = f"unix:{tmp_path}/http.sock"
    async with UnixAgent(tmp_path, endpoint=NOWHERE, listen={"http": address}) as unix_agent:
        assert "haproxy-telemetry-agent" in await get(unix_agent, "/debug")
        async with following("--config", unix_agent.settings_path) as tail:
            await followers(unix_agent, 1)
            assert await unix_agent.stop() == 0
            await tail.wait_for_line("the end: the agent stops")


class UnixAgent(Agent):
    """One whose readiness is asked for by its socket."""

    async def _is_ready(self) -> bool:
        with contextlib.suppress(aiohttp.ClientError):
            return await get(self, "/readyz") == "ok\n"
        return False


@pytest.mark.parametrize("profile", ["Standard", "Full"])
async def test_tail_shows_waterfalls(found_haproxy: FoundHAProxy, profile: Profile, tmp_path: Path) -> None:
    async with running_site(found_haproxy, tmp_path, settings={"profile": profile}) as site:
        async with following("--config", site.agent.settings_path) as tail:
            await followers(site.agent, 1)
            await ask(site, "/unseen", sampled=False)
            trace_id = await ask(site, "/status/503")
            first = await tail.wait_for_line(trace_id)
            assert re.search(r"^\d\d:\d\d:\d\d\.\d{3}  GET /status/503  503  [\d.]+ m?s  edge > app/app1  trace ", first)
            await tail.wait_for_line("CLIENT" if profile == "Standard" else "HTTP response")
            assert re.search(r"^  \S.+SERVER.+503.+█$", tail.lines[1])
            assert any(re.search(r"^  └ .+CLIENT.+503.+█$", line) for line in tail.lines)
            assert "\x1b" not in "".join(tail.lines)
            assert "/unseen" not in "".join(tail.lines)
            tail.send_signal(signal.SIGINT)
            assert await tail.ended() == 0
            assert "Traceback" not in "".join(tail.lines)
        await followers(site.agent, 0)


async def test_tail_shows_what_is_wanted(site: Site) -> None:
    url = f"http://{site.agent.listen['http']}"
    async with (
        following("--url", url, "--errors", "--unsampled", "--json") as errors,
        following("--url", url, "--slower-than", "250ms") as slow,
    ):
        async with following("--url", url, "--frontend", "both") as other:
            await followers(site.agent, 3)
            await ask(site, "/")
            await ask(site, "/slow?ms=300")
            await ask(site, "/status/500", sampled=False)
            await ask(site, "/status/501")
            await single_request(site.listen_port, request_head("/by/the/other"))
            await slow.wait_for_line("GET /slow  200")
            await errors.wait_for_line("/status/501")
            await other.wait_for_line("GET /by/the/other")
            assert [json.loads(line)["name"] for line in errors.lines] == ["GET /status/500", "GET /status/501"]
            assert not any(word in line for line in slow.lines for word in ("/status", "GET /  "))
            assert not any(word in line for line in other.lines for word in ("/status", "GET /slow"))


async def test_tail_says_in_one_line_what_is_wrong(agent: Agent) -> None:
    url = f"http://{agent.listen['http']}"
    async with contextlib.AsyncExitStack() as stack:
        tails = [await stack.enter_async_context(following("--url", url)) for _ in range(4)]
        await followers(agent, 4)
        async with following("--url", url) as fifth:
            await fifth.wait_for_line("refuses (503): 4 follow already, which is the most there can be")
            assert await fifth.ended() == 1
        agent.settings["debug"] = {"enabled": False}
        agent.write_settings()
        await agent.process.wait_for_line("changed: debug.enabled", timeout_seconds=10)
        async with following("--url", url) as refused:
            line = await refused.wait_for_line("refuses (404)")
            assert line == f"haproxy-telemetry-agent: {url} refuses (404): debug.enabled is false in the agent's settings"
            assert (await refused.ended(), len(refused.lines)) == (1, 1)
        agent.process.send_signal(signal.SIGKILL)
        for tail in tails:
            await tail.wait_for_line("has gone away")
            assert (await tail.ended(), len(tail.lines)) == (1, 1)
    async with following("--url", url) as nobody:
        await nobody.wait_for_line("can't be reached")
        assert (await nobody.ended(), len(nobody.lines)) == (1, 1)


async def test_a_wrong_wish_is_refused(agent: Agent) -> None:
    for seconds in ("nan", "-1", "inf", "soon"):
        assert "expected a number of seconds" in await get(agent, f"/debug/tail?slowerThanSeconds={seconds}", 400)


async def test_tail_ends_when_nobody_reads_it_any_more(agent: Agent) -> None:
    command = f"{PROGRAM} tail --url http://{agent.listen['http']} | head -n 1"
    async with Process("tail | head", ["/bin/sh", "-c", f"{command}; echo ended"]) as pipe:
        await followers(agent, 1)
        await send_records(agent, 50)
        await pipe.wait_for_line("ended")
        assert "Traceback" not in "".join(pipe.lines)
    await followers(agent, 0)


async def test_a_reader_that_does_not_read_holds_up_nobody_and_is_told_what_it_lost(agent: Agent) -> None:
    host, _, port = agent.listen["http"].rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port), limit=2**16)
    writer.write(b"GET /debug/tail HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"200 OK" in await reader.readuntil(b"\r\n\r\n")
    sent = 8_000
    await send_records(agent, sent, HPO="/" + "x" * 800)
    metrics = await agent.metrics()
    assert metrics['exchanges_recorded_total{start="unanswered"}'] == sent
    seen = lost = 0
    async with asyncio.timeout(30):
        while seen + lost < sent:
            line = await reader.readline()
            seen += line.startswith(b'{"exchange"')
            if line.startswith(b'{"lost"'):
                lost += json.loads(line)["lost"]
    assert lost > 0
    writer.transport.abort()
    await followers(agent, 0)


async def test_an_agent_that_stops_says_good_bye_at_once(agent: Agent) -> None:
    async with following("--url", f"http://{agent.listen['http']}") as tail:
        await followers(agent, 1)
        assert await agent.stop() == 0
        await tail.wait_for_line("the end: the agent stops")
        assert await tail.ended() == 0


@pytest.mark.parametrize("by_unix_socket", [False, True])
async def test_tail_by_tls(tmp_path: Path, by_unix_socket: bool) -> None:
    """The agent's own certificate is enough where its settings are, whatever name is in it; clients' certificates may be wanted."""
    authority, stranger = trustme.CA(), trustme.CA()
    own, client = authority.issue_cert("agent.example"), authority.issue_cert("client@example.org")
    own.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    own.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    client.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    stranger.cert_pem.write_to_path(str(tmp_path / "stranger.pem"))
    tls = {"certificateFile": f"{tmp_path}/cert.pem", "keyFile": f"{tmp_path}/key.pem", "clientCaFile": f"{tmp_path}/ca.pem"}
    listen: dict[str, Any] = {"httpTls": tls} | ({"http": f"unix:{tmp_path}/http.sock"} if by_unix_socket else {})
    async with TlsAgent(tmp_path, endpoint=NOWHERE, listen=listen, settings={"exporter": {"type": "none"}}) as agent:
        settings = ("--config", agent.settings_path)
        async with following(*settings) as unknown:
            await unknown.wait_for_line("refuses (403): a client certificate is needed")
        async with following(*settings, "--ca-file", tmp_path / "stranger.pem") as distrusting:
            await distrusting.wait_for_line("can't be reached")
            assert (await distrusting.ended(), len(distrusting.lines)) == (1, 1)
        async with following(*settings, "--certificate-file", tmp_path / "client.pem") as tail:
            host, _, port = agent.listen["records"].rpartition(":")
            _, writer = await asyncio.open_connection(host, int(port))
            with contextlib.closing(writer):

                async def seen() -> bool:
                    writer.write(framed(record(HPO="/by/tls")))
                    return any("GET /by/tls  200" in line for line in tail.lines)

                await until(seen, what="an exchange is seen", timeout_seconds=10)
            assert await agent.stop() == 0
            await tail.wait_for_line("the end: the agent stops")


class TlsAgent(Agent):
    """One whose readiness its log tells."""

    async def _is_ready(self) -> bool:
        return any("listening: " in line for line in self.process.lines)
