"""The sampler at work: the share that was set is recorded, and every hop and backend is told."""

from pathlib import Path

from support.agent import Agent
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.load import SteadyLoad
from support.otlp_sink import OtlpSink
from support.ports import free_port
from support.site import haproxy_config
from support.upstream import Upstream


async def test_a_quarter_of_the_traces_is_recorded_and_says_so(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    environment = {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}
    async with OtlpSink() as sink, Upstream() as upstream:
        async with Agent(tmp_path, endpoint=sink.endpoint, environment=environment) as agent:
            agent.spoe_path.write_text(agent.wiring("spoe"))
            port = free_port()
            config = haproxy_config(agent, upstream, http_port=port, http2_port=free_port())
            async with HAProxy(config, tmp_path, binary=found_haproxy.path):
                async with SteadyLoad(port, clients=8, pause_seconds=0) as load:
                    await load.wait_for_answers(400)
                await agent.wait_for_metric('exchanges_recorded_total{start="answered"}', len(upstream.requests))
                await agent.stop()
        told = [((request.header("traceparent") or "").split("-"), request.header("tracestate")) for request in upstream.requests]
        sampled = {trace_id for (_, trace_id, _, flags), _ in told if flags == "03"}
        assert {tracestate for (_, _, _, flags), tracestate in told if flags == "03"} == {"ot=th:c"}
        assert {tracestate for (_, _, _, flags), tracestate in told if flags == "02"} == {None}
        # 400 trials at 0.25: six standard deviations are 52.
        assert abs(len(sampled) / len(told) - 0.25) < 0.13
        assert {span.trace_id for span in sink.spans} == sampled
        # The decision is the trace id's own: its last 56 bits, at least three quarters of the way up.
        assert all(int(trace_id[-14:], 16) >= 0xC0_0000_0000_0000 for trace_id in sampled)
