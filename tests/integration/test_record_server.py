"""The record server on real sockets: what is of no use is counted and skipped, and costs nothing else.

The peer is a stand-in for HAProxy's ring, because HAProxy writes no such records.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from support.agent import Agent
from support.otlp_sink import OtlpSink
from support.ports import free_port
from support.record_factory import TRACE_ID, framed, record, syslog

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running_sink() -> AsyncIterator[OtlpSink]:
    async with OtlpSink() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["tcp", "unix"])
async def agent(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, running_sink: OtlpSink
) -> AsyncIterator[Agent]:
    """One for all tests: it must be as good as new after each."""
    folder = tmp_path_factory.mktemp("agent")
    address = f"unix:{folder}/ring.sock" if request.param == "unix" else f"127.0.0.1:{free_port()}"
    settings = {"limits": {"maxRecordBytes": 4096}}
    async with Agent(folder, endpoint=running_sink.endpoint, listen={"records": address}, settings=settings) as running:
        yield running


@pytest.fixture
def sink(running_sink: OtlpSink) -> OtlpSink:
    """Without what came in the tests before."""
    running_sink.spans.clear()
    return running_sink


async def skipped_records(agent: Agent) -> dict[str, float]:
    """How many, by reason."""
    prefix = 'records_skipped_total{reason="'
    return {
        name.removeprefix(prefix).removesuffix('"}'): value
        for name, value in (await agent.metrics()).items()
        if name.startswith(prefix)
    }


@contextlib.asynccontextmanager
async def ring(agent: Agent) -> AsyncIterator[asyncio.StreamWriter]:
    address = agent.listen["records"]
    if address.startswith("unix:"):
        _, writer = await asyncio.open_unix_connection(address.removeprefix("unix:"))
    else:
        _, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    try:
        yield writer
    finally:
        writer.close()


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        pytest.param(
            framed(syslog(b"- Connect from 10.244.0.1:58282 to 10.244.0.16:80 (fe/HTTP)")), "no_structured_data", id="none"
        ),
        pytest.param(framed(syslog(b'[other@1 a="b"] x')), "no_structured_data", id="another SD-ID"),
        pytest.param(framed(syslog(b'- GET /[ht@1 ST="200"] HTTP/1.1')), "no_structured_data", id="ours, but in the message"),
        pytest.param(framed(record()[:-200]), "truncated", id="cut by HAProxy"),
        pytest.param(framed(b"<134>Nov 22 13:50:34 host haproxy[37]: old syslog"), "foreign", id="RFC 3164"),
        pytest.param(framed(syslog(b'[ht@1 ST="200"] x')), "mismatched", id="another agent's parameters"),
        pytest.param(framed(record(ST="two hundred")), "mismatched", id="a number that is none"),
        pytest.param(framed(record(host="x" * 5000)), "too_long", id="too long"),
    ],
)
async def test_a_bad_record_is_counted_and_the_next_one_is_read(agent: Agent, sink: OtlpSink, bad: bytes, reason: str) -> None:
    before = await skipped_records(agent)
    async with ring(agent) as writer:
        writer.write(bad + framed(record()))
        (span,) = await sink.wait_for(lambda spans: len(spans) >= 1)
    assert (span.trace_id, span.kind) == (TRACE_ID, "SERVER")
    assert await skipped_records(agent) == before | {reason: before[reason] + 1}


async def test_a_stream_that_is_none_is_closed_and_others_go_on(agent: Agent, sink: OtlpSink) -> None:
    before = await skipped_records(agent)
    async with ring(agent) as well, ring(agent) as broken:
        broken.write(b"GET / HTTP/1.1\r\n\r\n")
        await agent.wait_for_metric('records_skipped_total{reason="foreign"}', before["foreign"] + 1)
        well.write(framed(record()))
        await sink.wait_for(lambda spans: len(spans) == 1)


async def test_a_record_that_its_connection_cut_is_counted(agent: Agent) -> None:
    before = await skipped_records(agent)
    async with ring(agent) as writer:
        writer.write(framed(record())[:-5])
        await writer.drain()
    await agent.wait_for_metric('records_skipped_total{reason="truncated"}', before["truncated"] + 1)


async def test_a_record_may_come_byte_by_byte(agent: Agent, sink: OtlpSink) -> None:
    async with ring(agent) as writer:
        for byte in framed(record()):
            writer.write(bytes((byte,)))
            await writer.drain()
        await sink.wait_for(lambda spans: len(spans) == 1)
