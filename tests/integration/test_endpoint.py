"""The page of metrics when it is long: whole, in parts, and no matter who goes away in the middle; and the endpoint by TLS."""

import asyncio
import random
import ssl
import subprocess
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import trustme
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from haproxy_telemetry_agent.endpoint import Endpoint
from haproxy_telemetry_agent.listener import listen
from haproxy_telemetry_agent.request_exposition import NAME
from haproxy_telemetry_agent.request_metrics import RequestMetrics
from haproxy_telemetry_agent.telemetry import PREFIX, Telemetry
from haproxy_telemetry_agent.tracing import AlwaysOn, ExchangeTracer, IdGenerator
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from haproxy_telemetry_agent.wiring import Plan, record_fields
from support.agent import PROGRAM, Agent
from support.ports import ADDRESS, free_port

SERIES = 2_000
OPENMETRICS = {"Accept": "application/openmetrics-text; version=1.0.0"}
NUMBERS = {"ST": "200", "TR": "0", "Tw": "0", "Tc": "1", "Tr": "2", "Ta": "3", "rc": "0", "bq": "0", "sq": "0", "U": "1", "B": "2"}
TEXTS = {"ts": "--", "HM": "GET", "HV": "HTTP/1.1", "f": "fe", "s": "one", "ssl_bc": "0", "HPO": "/", "HQ": ""}
PARAMETERS = {field.name: "-" for field in record_fields(Plan())} | NUMBERS | TEXTS


@pytest.fixture
def requests() -> RequestMetrics:
    """As many label sets as there may be by default, and some more."""
    attributes = AttributeBuilder()
    requests = RequestMetrics(attributes=attributes, max_series=SERIES)
    tracer = ExchangeTracer(sampler=AlwaysOn(), ids=IdGenerator(random.Random(1).getrandbits), attributes=attributes)
    for number in range(SERIES + 10):
        requests.count(tracer.trace(1_795_355_434_119_025_000, PARAMETERS | {"b": f"backend-{number}"}))
    return requests


@pytest.fixture
async def url(requests: RequestMetrics) -> AsyncIterator[str]:
    telemetry = Telemetry()
    telemetry.watch_requests(requests)
    endpoint = Endpoint(telemetry=telemetry, ready=lambda: True, requests=requests)
    address = f"127.0.0.1:{free_port()}"
    with listen("listen.http", address) as listening:
        await endpoint.start(listening)
        yield f"http://{address}/metrics"
        await endpoint.close()


async def test_both_formats_are_whole(url: str) -> None:
    async with aiohttp.ClientSession() as session:
        async with session.get(url, headers=OPENMETRICS) as response:
            text = await response.text()
        assert text.endswith("# EOF\n")
        families = {family.name: family for family in parse_openmetrics(text)}
        assert len(families[NAME].samples) == SERIES * 17
        (series,) = families[f"{PREFIX}request_series"].samples
        assert series.value == SERIES
        async with session.get(url) as response:
            families = {family.name: family for family in text_string_to_metric_families(await response.text())}
        assert len(families[NAME].samples) == SERIES * 17


async def test_others_have_their_turns_while_it_is_written(url: str) -> None:
    turns = 0

    async def take_turns() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    others = asyncio.create_task(take_turns())
    async with aiohttp.ClientSession() as session, session.get(url, headers=OPENMETRICS) as response:
        await response.read()
    others.cancel()
    assert turns > SERIES / 20


async def test_a_scraper_that_goes_away_costs_nothing(url: str, caplog: pytest.LogCaptureFixture) -> None:
    host, port = url.removeprefix("http://").removesuffix("/metrics").split(":")
    for _ in range(3):
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        await reader.readexactly(1_000)
        writer.transport.abort()
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.status == 200
        await response.read()
    assert [record.getMessage() for record in caplog.records if record.levelname in ("WARNING", "ERROR")] == []


class TestTls:
    """The endpoint by https: the agent as its users start it, with certificates of a throw-away authority."""

    @pytest.fixture
    def authority(self, tmp_path: Path) -> trustme.CA:
        authority = trustme.CA()
        authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
        self.issue(tmp_path, authority)
        return authority

    def issue(self, folder: Path, authority: trustme.CA) -> None:
        certificate = authority.issue_cert(ADDRESS)
        certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
        certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))

    def agent(self, folder: Path, trust: ssl.SSLContext, *, clients: bool) -> Agent:
        tls = {"certificateFile": str(folder / "cert.pem"), "keyFile": str(folder / "key.pem")}
        if clients:
            tls["clientCaFile"] = str(folder / "ca.pem")
        return Agent(folder, endpoint="http://127.0.0.1:1", listen={"httpTls": tls}, trust=trust)

    def client(self, authority: trustme.CA, own: trustme.CA | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context()
        authority.configure_trust(context)
        if own is not None:
            own.issue_cert("scraper@example.org").configure_cert(context)
        return context

    async def get(self, agent: Agent, path: str, context: ssl.SSLContext) -> int:
        async with aiohttp.ClientSession() as session, session.get(agent.url(path), ssl=context) as response:
            await response.read()
            return response.status

    async def test_a_certificate_that_is_renewed_is_used(self, authority: trustme.CA, tmp_path: Path) -> None:
        async with self.agent(tmp_path, self.client(authority), clients=False) as agent:
            assert (await agent.metrics())["worker_restarts_total"] == 0
            other = trustme.CA()
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await self.get(agent, "/metrics", self.client(other))
            self.issue(tmp_path, other)
            assert await self.get(agent, "/metrics", self.client(other)) == 200
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await self.get(agent, "/metrics", self.client(authority))
            assert [line for line in agent.process.lines if "listen.httpTls: the certificates were read again" in line]
            async with aiohttp.ClientSession() as session:
                with pytest.raises(aiohttp.ClientError):
                    await session.get(f"http://{agent.listen['http']}/metrics")
        assert not [line for line in agent.process.lines if "Traceback" in line]

    async def test_without_a_certificate_a_client_sees_the_probes_only(self, authority: trustme.CA, tmp_path: Path) -> None:
        async with self.agent(tmp_path, self.client(authority), clients=True) as agent:
            stranger, known = self.client(authority), self.client(authority, own=authority)
            assert [await self.get(agent, path, stranger) for path in ("/healthz", "/readyz")] == [200, 200]
            assert [await self.get(agent, path, stranger) for path in ("/metrics", "/elsewhere", "/healthz/")] == [403, 403, 403]
            assert [await self.get(agent, path, known) for path in ("/metrics", "/elsewhere", "/healthz")] == [200, 404, 200]
            with pytest.raises((aiohttp.ClientError, ConnectionError)):
                await self.get(agent, "/healthz", self.client(authority, own=trustme.CA()))
        assert not [line for line in agent.process.lines if "Traceback" in line]

    @pytest.mark.parametrize("command", ["run", "check-config"])
    def test_a_wrong_file_is_one_line_that_names_the_field(self, authority: trustme.CA, tmp_path: Path, command: str) -> None:
        (tmp_path / "key.pem").write_text("no key")
        agent = self.agent(tmp_path, self.client(authority), clients=True)
        agent.write_settings()
        run = subprocess.run(
            [PROGRAM, command, "--config", agent.settings_path], capture_output=True, text=True, timeout=30, check=False
        )
        assert run.returncode == 2
        (line,) = [line for line in run.stderr.splitlines() if "httpTls" in line]
        assert line.startswith("haproxy-telemetry-agent: listen.httpTls.certificateFile: ")
        assert "Traceback" not in run.stderr
