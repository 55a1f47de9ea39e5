"""The machine's clock is set while exchanges are under way: by an hour, forward and back, for HAProxy and the agent alike.

What is real: HAProxy and the agent, who ask for the time and are lied to (libfaketime), with the monotonic clock going on. The
clocks of the tests' own programs are not set. It is done with one HAProxy only, because those that run on libraries of another
Debian do not start under it; what the others read from the clock is in the unit tests of the timeline.
"""

import os
import secrets
from pathlib import Path

import pytest

from support.agent import Agent
from support.faketime import WallClock, library_path
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.load import SteadyLoad
from support.otlp_sink import OtlpSink, SinkSpan
from support.ports import free_port
from support.raw_client import RawConnection, request_head
from support.site import haproxy_config
from support.upstream import Upstream

HOUR_SECONDS = 3600


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    library = library_path()
    if library is None:
        reason = "no libfaketime: `make faketime` fetches Debian's"
        assert not os.environ.get("CI"), reason
        pytest.skip(reason)
    return WallClock(library, tmp_path)


@pytest.mark.parametrize("profile", ["Standard", "Full"])
async def test_a_clock_that_is_set_costs_no_span_and_no_span_its_duration(
    one_haproxy: FoundHAProxy, tmp_path: Path, clock: WallClock, profile: str
) -> None:
    async with OtlpSink() as sink, Upstream() as upstream:
        agent = Agent(tmp_path, endpoint=sink.endpoint, settings={"profile": profile}, environment=clock.environment)
        agent.spoe_path.write_text(agent.wiring("spoe"))
        port = free_port()
        config = haproxy_config(agent, upstream, http_port=port, http2_port=free_port())
        async with agent, HAProxy(config, tmp_path, binary=one_haproxy.path, environment=clock.environment) as haproxy:
            await haproxy.wait_for_server("haproxy-telemetry-spoa", "agent", "UP")
            async with SteadyLoad(port) as load:
                for ahead_seconds in (HOUR_SECONDS, 0, -HOUR_SECONDS, 0):
                    trace_id = secrets.token_hex(16)
                    headers = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
                    async with RawConnection.open(port) as connection:
                        await connection.send(request_head("/slow?ms=300", headers=headers))
                        await upstream.wait_for_request(lambda request, it=trace_id: it in (request.header("traceparent") or ""))
                        clock.set(ahead_seconds)
                        assert b" 200 " in await connection.read_all()
                    await load.wait_for_answers(20)
                    await the_pair(sink, trace_id)
            assert all(answer.status == 200 for answer in load.answers)
            exchanges = len(load.answers) + 4
            spans = await sink.wait_for(lambda spans: len(of_kind(spans, "SERVER")) >= exchanges, timeout_seconds=15)
        # What the load has just begun when it ends has spans, too.
        assert len(of_kind(spans, "SERVER")) == len({span.trace_id for span in spans}) <= exchanges + load.clients
        assert max(span.seconds for span in spans) < 2
        assert not [line for line in agent.process.lines if "Traceback" in line]


def of_kind(spans: list[SinkSpan], kind: str) -> list[SinkSpan]:
    return [span for span in spans if span.kind == kind]


async def the_pair(sink: OtlpSink, trace_id: str) -> None:
    """Both spans of an exchange of 300 ms say so, although the clock was set by an hour in it."""
    spans = await sink.wait_for(lambda spans: any(s.trace_id == trace_id and s.kind == "CLIENT" for s in spans), timeout_seconds=10)
    for kind in ("SERVER", "CLIENT"):
        (span,) = of_kind([span for span in spans if span.trace_id == trace_id], kind)
        assert 0.25 < span.seconds < 2
