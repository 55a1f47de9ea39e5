"""The page of metrics when it is long: whole, in parts, and no matter who goes away in the middle."""

import asyncio
import random
from collections.abc import AsyncIterator

import aiohttp
import pytest
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
from support.ports import free_port

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
