"""The samplers at work: the share that was set is recorded, and every hop and backend is told, whoever decides.

With profile Stream HAProxy decides by itself, and so it does for Standard while the agent is away: all three keep the same traces.
"""

import asyncio
import os
import secrets
import time
from pathlib import Path
from typing import Any

import pytest

from haproxy_telemetry_agent.wiring.names import AGENT_BACKEND
from support.agent import Agent
from support.burst import burst
from support.haproxies import FoundHAProxy, found_haproxies
from support.haproxy import HAProxy
from support.load import SteadyLoad
from support.otlp_sink import OtlpSink, SinkSpan
from support.ports import free_port
from support.raw_client import request_head, single_request
from support.site import haproxy_config, running_site
from support.upstream import Upstream

PROFILES = ["Standard", "Stream"]
CALLER = "00f067aa0ba902b7"
RATIO = 0.25
REQUESTS = 20_000
AT_ONCE = 1_000
"""The ring holds some 1,500 records for an agent that comes behind."""


def measured_haproxies() -> list[FoundHAProxy]:
    """Two versions are enough for many requests: the one that the tests bring along, and the newest."""
    found = sorted(found_haproxies(), key=lambda each: [int(part) for part in each.version.partition("-")[0].split(".")])
    return [each for each in found if each.version.startswith("2.8.") or each is found[-1]]


def settings(profile: str, **sampling: Any) -> dict[str, Any]:
    return {"profile": profile, "sampling": sampling}


def new_trace() -> str:
    return secrets.token_hex(16)


def kept_at(trace_id: str, ratio: float) -> bool:
    """Whether its last 56 bits are in the upper share of all numbers."""
    return int(trace_id[-14:], 16) >= round((1 - ratio) * (1 << 56))


def servers(spans: list[SinkSpan]) -> list[SinkSpan]:
    return [span for span in spans if span.kind == "SERVER"]


def attribute(spans: list[SinkSpan], trace_id: str, name: str) -> object:
    (span,) = (span for span in servers(spans) if span.trace_id == trace_id)
    return span.attributes.get(name)


async def test_a_quarter_of_the_traces_is_recorded_and_says_so(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    environment = os.environ | {"OTEL_TRACES_SAMPLER": "parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.25"}
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


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("measured_haproxy", measured_haproxies(), ids=str)
async def test_the_share_of_many_traces_is_what_was_set(measured_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    wanted = settings(profile, type="ParentBasedTraceIDRatio", ratio=RATIO)
    async with running_site(measured_haproxy, tmp_path, settings=wanted) as site:
        for start in range(0, REQUESTS, AT_ONCE):
            # HAProxy answers, so that the test's own upstream takes no time.
            codes = await burst(site.http_port, [request_head("/redirect", close=False)] * AT_ONCE)
            assert codes == [302] * AT_ONCE
            spans = await site.spans_of(start + AT_ONCE)
    assert len({span.trace_id for span in spans}) == len(spans)
    # Five standard deviations: wrong once in 1.7 million.
    assert abs(len(spans) - REQUESTS * RATIO) < 5 * (REQUESTS * RATIO * (1 - RATIO)) ** 0.5
    assert all(kept_at(span.trace_id, RATIO) for span in spans)
    assert {(span.trace_state, span.flags & 0xFF) for span in spans} == {("ot=th:c", 0x03)}


NESTED = {"/three-quarters": 0.75, "/half": 0.5, "/tenth": 0.1}


async def kept_of_deferred(
    found: FoundHAProxy, folder: Path, profile: str, trace_ids: list[str], *, alone: bool = False
) -> set[str]:
    """`path trace_id` of what is kept of these traces, whose callers leave the decision to us; `alone`: the agent is away."""
    rules = [{"name": path[1:], "path": path, "ratio": ratio} for path, ratio in NESTED.items() if path != "/three-quarters"]
    wanted = settings(profile, type="ParentBasedTraceIDRatio", ratio=0.75, rules=rules)
    asked = [(path, trace_id) for trace_id in trace_ids for path in NESTED]
    requests = [request_head(path, headers={"b3": f"{trace_id}-{CALLER}"}, close=False) for path, trace_id in asked]
    async with running_site(found, folder, settings={**wanted, "propagation": {"propagators": ["b3"]}}) as site:
        if alone:
            # HAProxy 3.2 loses the first two records of its life, if it must wait for the agent with them.
            await single_request(site.http_port, request_head("/return"))
            await site.spans_of(1)
            site.sink.spans.clear()
            await site.agent.stop()
            await site.haproxy.wait_for_server(AGENT_BACKEND, "agent", "DOWN")
        assert set(await burst(site.http_port, requests)) == {200}
        if alone:
            await site.agent.start()
        kept = servers(await site.spans_of(len(requests)))
        # Every server behind us is told what was decided.
        told = {(request.path, *(request.header("b3") or "").split("-")[::2]) for request in site.upstream.requests}
    assert {span.parent_span_id for span in kept} == {CALLER}
    result = {f"{span.attributes['url.path']} {span.trace_id}" for span in kept}
    assert told == {(path, trace_id, str(int(f"{path} {trace_id}" in result))) for path, trace_id in asked}
    return result


async def test_ratios_are_nested_and_everybody_keeps_the_same_traces(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    trace_ids = [new_trace() for _ in range(200)]
    # The bounds themselves.
    trace_ids += [new_trace()[:18] + bound for bound in ("80000000000000", "7fffffffffffff", "40000000000000", "3fffffffffffff")]
    expected = {f"{path} {trace_id}" for path, ratio in NESTED.items() for trace_id in trace_ids if kept_at(trace_id, ratio)}
    standard = await kept_of_deferred(found_haproxy, tmp_path, "Standard", trace_ids)
    stream = await kept_of_deferred(found_haproxy, tmp_path, "Stream", trace_ids)
    assert standard == expected
    assert stream == expected
    by_path = {path: {each.split()[1] for each in standard if each.split()[0] == path} for path in NESTED}
    assert by_path["/tenth"] < by_path["/half"] < by_path["/three-quarters"] < set(trace_ids)


async def test_haproxy_alone_keeps_the_traces_that_the_agent_would(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    trace_ids = [new_trace() for _ in range(100)]
    expected = {f"{path} {trace_id}" for path, ratio in NESTED.items() for trace_id in trace_ids if kept_at(trace_id, ratio)}
    assert await kept_of_deferred(found_haproxy, tmp_path, "Standard", trace_ids, alone=True) == expected


@pytest.mark.parametrize("profile", PROFILES)
async def test_without_parent_based_the_caller_decides_nothing(one_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    force = {"header": "x-trace", "networks": ["10.0.0.0/8"]}  # we are not there
    wanted = settings(profile, type="TraceIDRatio", ratio=0.5, force=force)
    asked = [(new_trace(), flags) for flags in ("00", "01") for _ in range(50)]
    async with running_site(one_haproxy, tmp_path, settings=wanted) as site:
        headers = [{"traceparent": f"00-{trace_id}-{CALLER}-{flags}", "x-trace": "1"} for trace_id, flags in asked]
        await burst(site.http_port, [request_head("/", headers=each, close=False) for each in headers])
        spans = await site.spans_of(len(asked))
        told = {request.header("traceparent")[3:35]: request.header("traceparent")[-2:] for request in site.upstream.requests}  # type: ignore[index]
    kept = {trace_id for trace_id, _ in asked if kept_at(trace_id, 0.5)}
    assert {span.trace_id for span in spans} == kept
    assert {span.parent_span_id for span in servers(spans)} == {CALLER}
    assert told == {trace_id: "01" if trace_id in kept else "00" for trace_id, _ in asked}


RULES = [
    {
        "name": "all",
        "ratio": 1,
        "host": "*.example",
        "path": "/all",
        "method": "PUT",
        "frontend": "e*",
        "overrideParent": True,
    },
    {"name": "path", "ratio": 1, "path": "/path"},
    {"name": "glob", "ratio": 1, "path": {"glob": "/static/*.css"}},
    {"name": "regex", "ratio": 1, "path": {"regex": "^/api/v[0-9]+/"}},
    {"name": "method", "ratio": 1, "method": "PATCH"},
    {"name": "host", "ratio": 1, "host": "other.example"},
    {"name": "header", "ratio": 1, "header": {"name": "X-Tenant", "value": "a b"}},
    {"name": "elsewhere", "ratio": 1, "path": "/network", "networks": ["10.0.0.0/8", "::1"]},
    {"name": "network", "ratio": 1, "path": "/loopback", "networks": ["127.0.0.0/8"]},
    {"name": "no-frontend", "ratio": 1, "path": "/frontend", "frontend": "inner*"},
    {"name": "frontend", "ratio": 1, "header": {"name": "x-frontend"}, "frontend": "edg*"},
    {"name": "keep", "ratio": 1, "path": "/keep", "overrideParent": True},
    {"name": "drop", "ratio": 0, "path": "/drop", "overrideParent": True},
]
SAMPLING: dict[str, Any] = {
    "type": "ParentBasedAlwaysOff",
    "rules": RULES,
    "force": {"header": "x-trace", "value": "yes", "networks": ["127.0.0.0/8"]},
    "exclude": {"paths": ["/healthz", {"glob": "*/ready"}, {"regex": "^/live$"}], "userAgents": ["kube-probe/"]},
}
CASES: dict[str, tuple[dict[str, str], str | None, str]] = {
    # What is asked, the caller's flags, and the reason to keep it: "" is the caller's decision, "-" that it is not kept.
    "nothing": ({}, None, "-"),
    "sampled caller": ({}, "01", ""),
    "unsampled caller": ({}, "00", "-"),
    "path": ({"path": "/path/below"}, None, "rule path"),
    "path, unsampled caller": ({"path": "/path/below"}, "00", "-"),
    "path, sampled caller": ({"path": "/path/below"}, "01", ""),
    "query is no path": ({"path": "/?/path"}, None, "-"),
    "glob": ({"path": "/static/a/b.css?v=1"}, None, "rule glob"),
    "glob, not all of it": ({"path": "/static/a/b.css.map"}, None, "-"),
    "regex": ({"path": "/api/v12/x"}, None, "rule regex"),
    "method": ({"method": "PATCH"}, None, "rule method"),
    "host": ({"host": "Other.example:8443"}, None, "rule host"),
    "other host": ({"host": "another.example"}, None, "-"),
    "header": ({"x-tenant": "a b"}, None, "rule header"),
    "other value": ({"x-tenant": "a  b"}, None, "-"),
    "network": ({"path": "/loopback"}, None, "rule network"),
    "other network": ({"path": "/network"}, None, "-"),
    "frontend": ({"x-frontend": "1"}, None, "rule frontend"),
    "other frontend": ({"path": "/frontend"}, None, "-"),
    "all of it": ({"path": "/all", "method": "PUT", "host": "shop.example"}, "00", "rule all"),
    "not all of it": ({"path": "/all", "method": "PUT", "host": "shop.test"}, "00", "-"),
    "kept against the caller": ({"path": "/keep"}, "00", "rule keep"),
    "dropped against the caller": ({"path": "/drop"}, "01", "-"),
    "dropped without a caller": ({"path": "/drop"}, None, "-"),
    "forced": ({"x-trace": "yes"}, None, "forced"),
    "forced against the caller": ({"x-trace": "yes"}, "00", "forced"),
    "forced against a rule": ({"x-trace": "yes", "path": "/drop"}, "01", "forced"),
    "not forced": ({"x-trace": "no"}, "00", "-"),
}


def request_of(case: dict[str, str], context: dict[str, str]) -> bytes:
    headers = {"host": "shop.example", "user-agent": "raw/1.0", **case, **context}
    path, method = headers.pop("path", "/"), headers.pop("method", "GET")
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "content-length: 0"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.mark.parametrize("profile", PROFILES)
async def test_rules_and_force_decide_for_what_they_name(found_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    async with running_site(found_haproxy, tmp_path, settings=settings(profile, **SAMPLING)) as site:
        told: dict[str, tuple[str, bool]] = {}
        for name, (case, flags, _) in CASES.items():
            context = {} if flags is None else {"traceparent": f"00-{new_trace()}-{CALLER}-{flags}"}
            assert await burst(site.http_port, [request_of(case, context)]) == [200]
            traceparent = site.upstream.requests[-1].header("traceparent") or ""
            if context:
                assert traceparent[:36] == context["traceparent"][:36]
            told[name] = traceparent[3:35], int(traceparent[-2:], 16) & 1 == 1
        spans = servers(await site.spans_of(len(CASES)))
        metrics = await site.agent.metrics()
    expected = {name: reason for name, (_, _, reason) in CASES.items()}
    assert {name: sampled for name, (_, sampled) in told.items()} == {name: reason != "-" for name, reason in expected.items()}
    assert {span.trace_id for span in spans} == {trace_id for trace_id, sampled in told.values() if sampled}
    if profile == "Standard":
        reasons = {span.trace_id: span.attributes.get("haproxy.sampling.reason", "") for span in spans}
        assert {name: reasons.get(trace_id, "-") for name, (trace_id, _) in told.items()} == expected
        assert metrics['sampling_reasons_total{reason="forced"}'] == 3


@pytest.mark.parametrize("profile", PROFILES)
async def test_what_is_excluded_leaves_no_trace(found_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    excluded = [{"path": "/healthz/x"}, {"path": "/app/ready"}, {"path": "/live"}, {"user-agent": "kube-probe/1.33"}]
    contexts: list[dict[str, str]] = [
        {"traceparent": f"00-{new_trace()}-{CALLER}-01", "tracestate": "a=1,ot=th:8", "b3": "1", "baggage": "a=1"},
        {"traceparent": f"cc-{new_trace()}-{CALLER}-09-what the future brings", "tracestate": "not valid"},
        {},
    ]
    sampling = {**SAMPLING, "type": "AlwaysOn", "keep": {"errors": True, "slowerThan": "1ms"}}
    wanted = {**settings(profile, **sampling), "propagation": {"propagators": ["tracecontext", "b3", "xray"]}}
    async with running_site(found_haproxy, tmp_path, settings=wanted) as site:
        asked = [(case, context) for case in excluded for context in contexts]
        for case, context in asked:
            assert await burst(site.http_port, [request_of({**case, "x-trace": "yes"}, context)]) == [200]
            ours = {"traceparent", "tracestate", "b3", "baggage", "x-amzn-trace-id", "x-b3-traceid"}
            assert {name: value for name, value in site.upstream.requests[-1].headers if name in ours} == context
        assert await site.spans_of(len(asked)) == []
        assert (await site.agent.metrics())['sampling_reasons_total{reason="excluded"}'] == len(asked)
        # The next one is not.
        await burst(site.http_port, [request_of({"path": "/not/healthz"}, {})])
        assert len(await site.spans_of(len(asked) + 1)) == 2


@pytest.mark.parametrize("profile", PROFILES)
async def test_what_goes_wrong_is_kept(one_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    sampling = {"type": "ParentBasedAlwaysOff", "keep": {"errors": True, "slowerThan": "500ms", "maxPerSecond": 1_000}}
    reasons = {
        "/status/503": "error",  # the server's
        "/none": "error",  # HAProxy's own
        "/slow?ms=620": "slow",
        "/slow?ms=3000": "error",  # HAProxy's 504; slow as well
        "/status/404": None,
        "/": None,
    }
    async with running_site(one_haproxy, tmp_path, settings=settings(profile, **sampling)) as site:
        trace_ids = {(path, with_caller): new_trace() for path in reasons for with_caller in (True, False)}
        unsampled = {"tracestate": "a=1,ot=th:8"}
        contexts = {
            (path, with_caller): {**unsampled, "traceparent": f"00-{trace_id}-{CALLER}-00"} if with_caller else {}
            for (path, with_caller), trace_id in trace_ids.items()
        }
        requests = [request_head(path, headers=context) for (path, _), context in contexts.items()]
        await asyncio.gather(*(single_request(site.http_port, request) for request in requests))
        spans = servers(await site.spans_of(len(requests)))
        metrics = await site.agent.metrics()
    kept = sorted((path.split("?")[0], reason) for path, reason in reasons.items() if reason is not None)
    for of_callers in (True, False):
        those = [span.attributes for span in spans if bool(span.parent_span_id) is of_callers]
        assert sorted((each["url.path"], each["haproxy.sampling.reason"]) for each in those) == kept
    assert {span.flags & 0x01 for span in spans} == {0}
    assert {span.trace_state for span in spans} == {"a=1", ""}
    assert metrics['sampling_reasons_total{reason="slow"}'] == 2
    assert metrics['sampling_reasons_total{reason="error"}'] == 6
    # Nobody was told more than that it is not sampled.
    told = {(request.header("traceparent") or "")[-2:] for request in site.upstream.requests}
    assert told == {"00", "02"}


async def test_a_flood_of_errors_is_not_kept(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    keep = {"errors": True, "maxPerSecond": 3}
    start_seconds = time.monotonic()
    async with running_site(one_haproxy, tmp_path, settings=settings("Standard", type="AlwaysOff", keep=keep)) as site:
        assert set(await burst(site.http_port, [request_head("/none", close=False)] * 100)) == {503}
        spans = await site.spans_of(100)
        seconds = time.monotonic() - start_seconds
    assert 3 <= len(spans) <= 3 + 3 * seconds


async def test_new_traces_are_capped_and_callers_are_not(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    capped = settings(
        "Standard", type="ParentBasedAlwaysOn", maxTracesPerSecond=5, rules=[{"name": "some", "ratio": 1, "path": "/r"}]
    )
    start_seconds = time.monotonic()
    async with running_site(one_haproxy, tmp_path, settings=capped) as site:
        begun = [request_head(path, close=False) for path in ("/", "/r") * 100]
        callers = [new_trace() for _ in range(50)]
        continued = [request_head("/", headers={"traceparent": f"00-{trace_id}-{CALLER}-01"}, close=False) for trace_id in callers]
        await asyncio.gather(burst(site.http_port, begun), burst(site.http_port, continued))
        spans = servers(await site.spans_of(len(begun) + len(continued)))
        seconds = time.monotonic() - start_seconds
        metrics = await site.agent.metrics()
    assert {span.trace_id for span in spans if span.parent_span_id} == set(callers)
    new = [span for span in spans if not span.parent_span_id]
    assert 5 <= len(new) <= 5 + 5 * seconds
    assert {span.trace_state for span in new} == {""}  # nobody knows of how many they are
    assert metrics['sampling_reasons_total{reason="rate_limited"}'] == len(begun) - len(new)


async def test_the_debug_flag_forces_only_where_it_is_trusted(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    for network, forced in (("127.0.0.0/8", True), ("10.0.0.0/8", False)):
        force = {"header": "x-trace", "networks": [network]}
        rules = [{"name": "none", "ratio": 0, "path": "/", "overrideParent": True}]
        wanted = settings("Standard", type="ParentBasedAlwaysOn", rules=rules, force=force)
        async with running_site(one_haproxy, tmp_path, settings={**wanted, "propagation": {"propagators": ["b3"]}}) as site:
            trace_id = new_trace()
            await single_request(site.http_port, request_head("/", headers={"b3": f"{trace_id}-{CALLER}-d"}))
            spans = await site.spans_of(1)
            assert len(spans) == (2 if forced else 0)
            if forced:
                assert attribute(spans, trace_id, "haproxy.sampling.reason") == "forced"
