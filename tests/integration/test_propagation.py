"""Trace context on its way through HAProxy: in whatever format it comes, it goes on, and names our CLIENT span to the server.

OpenTelemetry's own propagators say what a client sends, and are what a server behind us reads.
"""

import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.context import Context
from opentelemetry.propagators.aws.aws_xray_propagator import AwsXRayPropagator
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat
from opentelemetry.propagators.jaeger import JaegerPropagator
from opentelemetry.propagators.textmap import TextMapPropagator
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, get_current_span, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from haproxy_telemetry_agent.wiring.names import AGENT_BACKEND
from support.haproxies import FoundHAProxy
from support.otlp_sink import SinkSpan
from support.raw_client import request_head, single_request
from support.site import Site, running_site
from support.upstream import UpstreamRequest

PROFILES = ["Standard", "Stream"]
CALLER = "00f067aa0ba902b7"
FORMATS: dict[str, TextMapPropagator] = {
    "tracecontext": TraceContextTextMapPropagator(),
    "b3": B3SingleFormat(),
    "b3multi": B3MultiFormat(),
    "jaeger": JaegerPropagator(),
    "xray": AwsXRayPropagator(),
}
ALL = ["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray"]


def settings(profile: str, propagators: Iterable[str], **propagation: Any) -> dict[str, Any]:
    return {"profile": profile, "propagation": {"propagators": list(propagators), **propagation}}


def headers_of(name: str, trace_id: str, *, sampled: bool = True) -> dict[str, str]:
    """What a client that speaks this format sends."""
    flags = TraceFlags.SAMPLED if sampled else TraceFlags.DEFAULT
    span = NonRecordingSpan(SpanContext(int(trace_id, 16), int(CALLER, 16), is_remote=False, trace_flags=TraceFlags(flags)))
    carrier: dict[str, str] = {}
    FORMATS[name].inject(carrier, set_span_in_context(span, Context()))
    return carrier


def read_by(name: str, request: UpstreamRequest) -> tuple[str, str, bool]:
    """Trace id, span id and sampling state as a server that speaks this format reads them; the ids are 0 if there is none."""
    lines = [key for key, _ in request.headers]
    assert len(lines) == len(set(lines)), f"some header is there twice: {lines}"
    carrier = dict(request.headers)
    if name == "xray":
        carrier = {key.replace("x-amzn-trace-id", "X-Amzn-Trace-Id"): value for key, value in carrier.items()}
    context = get_current_span(FORMATS[name].extract(carrier, Context())).get_span_context()
    return f"{context.trace_id:032x}", f"{context.span_id:016x}", context.trace_flags.sampled


NOTHING = ("0" * 32, "0" * 16, False)


async def exchange(site: Site, headers: Mapping[str, str], *, path: str = "/") -> UpstreamRequest:
    """What the server is sent."""
    answer = await single_request(site.http_port, request_head(path, headers=dict(headers)))
    assert answer.startswith(b"HTTP/1.1 200"), answer
    return site.upstream.requests[-1]


def spans_of_trace(spans: list[SinkSpan], trace_id: str) -> tuple[SinkSpan, SinkSpan]:
    """SERVER and CLIENT."""
    (server,) = (span for span in spans if span.trace_id == trace_id and span.kind == "SERVER")
    (client,) = (span for span in spans if span.trace_id == trace_id and span.kind == "CLIENT")
    assert client.parent_span_id == server.span_id
    return server, client


async def leave_alone(site: Site) -> None:
    """The agent goes, and HAProxy knows."""
    # HAProxy 3.2 loses the first two records of its life, if it must wait for the agent with them.
    await single_request(site.http_port, request_head("/return"))
    await site.spans_of(1)
    site.sink.spans.clear()
    await site.agent.stop()
    await site.haproxy.wait_for_server(AGENT_BACKEND, "agent", "DOWN")


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("name", FORMATS)
async def test_a_format_by_itself(one_haproxy: FoundHAProxy, tmp_path: Path, profile: str, name: str) -> None:
    others = [other for other in FORMATS if other != name and {other, name} != {"b3", "b3multi"}]
    async with running_site(one_haproxy, tmp_path, settings=settings(profile, [name])) as site:
        trace_id, unsampled, foreign = (secrets.token_hex(16) for _ in range(3))
        told = await exchange(site, headers_of(name, trace_id))
        told_unsampled = await exchange(site, headers_of(name, unsampled, sampled=False))
        told_begun = await exchange(site, {})
        # Other formats are not ours to read or write.
        sent = {key: value for other in others for key, value in headers_of(other, foreign).items()}
        told_foreign = await exchange(site, sent)
        spans = await site.spans_of(4)
    server, client = spans_of_trace(spans, trace_id)
    assert server.parent_span_id == CALLER
    assert read_by(name, told) == (trace_id, client.span_id, True)
    assert all(read_by(other, told) == NOTHING for other in others)
    assert read_by(name, told_unsampled)[::2] == (unsampled, False)
    assert read_by(name, told_unsampled)[1] != CALLER
    assert {span.trace_id for span in spans} == {trace_id, read_by(name, told_begun)[0], read_by(name, told_foreign)[0]}
    for begun in (told_begun, told_foreign):
        server, client = spans_of_trace(spans, read_by(name, begun)[0])
        assert server.parent_span_id == ""
        assert read_by(name, begun) == (server.trace_id, client.span_id, True)
    lines = dict(told_foreign.headers)
    assert {key: lines.get(key.lower()) for key in sent} == sent


@pytest.mark.parametrize("profile", [*PROFILES, "alone"])
async def test_all_formats_at_once(found_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    """Whichever the client speaks, the server is told in all of them; with profile Standard also while the agent is away."""
    wanted = settings("Standard" if profile == "alone" else profile, ALL)
    async with running_site(found_haproxy, tmp_path, settings=wanted) as site:
        if profile == "alone":
            await leave_alone(site)
        trace_ids = {(name, sampled): secrets.token_hex(16) for name in FORMATS for sampled in (True, False)}
        told = {key: await exchange(site, headers_of(key[0], trace_id, sampled=key[1])) for key, trace_id in trace_ids.items()}
        begun = await exchange(site, {"baggage": "a=1"})
        if profile == "alone":
            await site.agent.start()
        spans = await site.spans_of(len(told) + 1)
        metrics = await site.agent.metrics()
    start = {"Standard": "answered", "Stream": "unasked", "alone": "unanswered"}[profile]
    assert metrics[f'exchanges_recorded_total{{start="{start}"}}'] == len(told) + 1
    for (name, sampled), request in told.items():
        (told_by_all,) = {read_by(each, request) for each in FORMATS}
        trace_id = trace_ids[name, sampled]
        assert told_by_all[::2] == (trace_id, sampled)
        if sampled:
            server, client = spans_of_trace(spans, trace_id)
            assert server.parent_span_id == CALLER
            assert told_by_all[1] == client.span_id
    (told_by_all,) = {read_by(each, begun) for each in FORMATS}
    _, client = spans_of_trace(spans, told_by_all[0])
    assert told_by_all[1:] == (client.span_id, True)
    assert begun.header("baggage") == "a=1"
    assert len({span.trace_id for span in spans}) == len(FORMATS) + 1


@pytest.mark.parametrize("profile", PROFILES)
async def test_the_first_propagator_that_finds_a_context_wins(one_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    first, second = secrets.token_hex(16), secrets.token_hex(16)
    wanted = settings(profile, ["xray", "tracecontext", "b3"])
    async with running_site(one_haproxy, tmp_path, settings=wanted) as site:
        both = {**headers_of("tracecontext", second), "tracestate": "a=1", **headers_of("xray", first)}
        told = await exchange(site, both)
        # A load balancer of AWS names no span; then the next one counts.
        fallback = await exchange(site, {**both, "X-Amzn-Trace-Id": f"Root=1-{first[:8]}-{first[8:]}"})
        spans = await site.spans_of(2)
    server, client = spans_of_trace(spans, first)
    assert server.parent_span_id == CALLER
    assert {read_by(name, told) for name in ("tracecontext", "xray", "b3")} == {(first, client.span_id, True)}
    assert told.header("tracestate") is None  # it belongs to a trace that is not continued
    server, client = spans_of_trace(spans, second)
    assert {read_by(name, fallback) for name in ("tracecontext", "xray", "b3")} == {(second, client.span_id, True)}
    assert fallback.header("tracestate") == "a=1"


@pytest.mark.parametrize("profile", PROFILES)
async def test_b3_alone_knows_debug_and_denial(one_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    async with running_site(one_haproxy, tmp_path, settings=settings(profile, ["b3"])) as site:
        trace_id, short = secrets.token_hex(16), secrets.token_hex(8)
        debug = await exchange(site, {"b3": f"{trace_id}-{CALLER}-d"})
        padded = await exchange(site, {"X-B3-TraceId": short, "X-B3-SpanId": CALLER})
        denied = [await exchange(site, {"b3": "0"}), await exchange(site, {"X-B3-Sampled": "0"})]
        spans = await site.spans_of(4)
    _, client = spans_of_trace(spans, trace_id)
    assert debug.header("b3") == f"{trace_id}-{client.span_id}-{'d' if profile == 'Standard' else '1'}"
    server, client = spans_of_trace(spans, short.zfill(32))
    assert server.parent_span_id == CALLER
    assert padded.header("b3") == f"{short.zfill(32)}-{client.span_id}-1"
    assert [name for name, _ in padded.headers if name.startswith("x-b3")] == []
    assert {read_by("b3", request)[2] for request in denied} == {False}
    assert len(spans) == 4


@pytest.mark.parametrize("profile", PROFILES)
async def test_baggage_passes_untouched_and_spans_show_what_is_asked_for(
    one_haproxy: FoundHAProxy, tmp_path: Path, profile: str
) -> None:
    baggage = 'tenant=a%20b%C3%A9 ; note="x] y\\" , user = 7,other=secret,=not valid,,'
    wanted = settings(profile, ["tracecontext"], baggageAttributes=["tenant", "user", "more"])
    async with running_site(one_haproxy, tmp_path, settings=wanted) as site:
        told = await exchange(site, {"baggage": baggage, "Baggage": "more=1"} if profile == "Standard" else {"baggage": baggage})
        spans = await site.spans_of(1)
    server, client = spans_of_trace(spans, read_by_w3c(told)[0])
    shown = {name: value for name, value in server.attributes.items() if name.startswith("baggage.")}
    expected = {"baggage.tenant": "a bé", "baggage.user": "7"}
    if profile == "Standard":
        expected["baggage.more"] = "1"
    assert shown == expected
    assert not [name for name in client.attributes if name.startswith("baggage.")]
    assert told.header_values("baggage") == [baggage, *(["more=1"] if profile == "Standard" else [])]


def read_by_w3c(request: UpstreamRequest) -> tuple[str, str, str]:
    """Trace id, span id, flags."""
    _, trace_id, span_id, flags = (request.header("traceparent") or "---").split("-")
    return trace_id, span_id, flags


@pytest.mark.parametrize("mode", ["Propagate", "Extract", "Inject", "Ignore"])
@pytest.mark.parametrize("profile", PROFILES)
async def test_modes(one_haproxy: FoundHAProxy, tmp_path: Path, profile: str, mode: str) -> None:
    trace_id, other = secrets.token_hex(16), secrets.token_hex(16)
    sent = {**headers_of("tracecontext", trace_id), "tracestate": "a=1", **headers_of("b3", other)}
    wanted = settings(profile, ["tracecontext", "b3"], mode=mode)
    async with running_site(one_haproxy, tmp_path, settings=wanted) as site:
        told = await exchange(site, sent)
        server, client = await site.spans_of(1)
    reads, writes = mode in ("Propagate", "Extract"), mode in ("Propagate", "Inject")
    assert server.parent_span_id == (CALLER if reads else "")
    assert (server.trace_id == trace_id) is reads
    assert server.trace_id != other
    assert server.links == ()
    headers = {name: told.header(name) for name in ("traceparent", "tracestate", "b3")}
    if not writes:
        assert headers == sent
        return
    assert read_by("tracecontext", told) == read_by("b3", told) == (server.trace_id, client.span_id, True)
    assert headers["tracestate"] == ("a=1" if reads else "ot=th:0")
    assert server.trace_state == client.trace_state == headers["tracestate"]


@pytest.mark.parametrize("profile", PROFILES)
async def test_whom_we_believe(one_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    for networks, link_untrusted in ((["127.0.0.0/8", "fd00::/8"], True), (["10.0.0.0/8"], False), (["10.0.0.0/8"], True)):
        trusted = networks[0] == "127.0.0.0/8"
        trace_ids = {name: secrets.token_hex(16) for name in ("tracecontext", "b3")}
        wanted = settings(
            profile,
            ["tracecontext", "b3"],
            trustedNetworks=networks,
            linkUntrusted=link_untrusted,
        )
        async with running_site(one_haproxy, tmp_path, settings=wanted) as site:
            told = {
                name: await exchange(site, {**headers_of(name, trace_id), "tracestate": "a=1"})
                for name, trace_id in trace_ids.items()
            }
            # Nobody unknown forbids us to record.
            denied = await exchange(site, {"b3": "0"})
            spans = await site.spans_of(3)
        for name, trace_id in trace_ids.items():
            server, client = spans_of_trace(spans, read_by_w3c(told[name])[0])
            assert (server.trace_id, server.parent_span_id) == (trace_id, CALLER) if trusted else server.trace_id != trace_id
            assert read_by("b3", told[name]) == (server.trace_id, client.span_id, True)
            links = [(link.trace_id, link.span_id) for link in server.links]
            assert links == ([(trace_id, CALLER)] if link_untrusted and not trusted else []), name
            assert client.links == ()
            if not trusted:
                assert server.parent_span_id == ""
                assert told[name].header("tracestate") == "ot=th:0"
        assert read_by("b3", denied)[2] is not trusted
