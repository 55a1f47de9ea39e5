"""What real HAProxies make of the lines of `wiring.propagation`: contexts they read, headers they write, and no agent in sight.

The agent is the oracle: a context that HAProxy continues by itself is one that the agent would have read from the same headers.
"""

from collections.abc import Sequence
from pathlib import Path
from textwrap import indent

from haproxy_telemetry_agent.tracing.context import SpanContext
from haproxy_telemetry_agent.tracing.propagation import Propagation
from haproxy_telemetry_agent.tracing.propagation.tracecontext import format_traceparent, parse_traceparent
from haproxy_telemetry_agent.wiring.names import variable_name
from haproxy_telemetry_agent.wiring.propagation import extraction_lines, injection_lines, link_lines, trust_lines, trusted_condition
from haproxy_telemetry_agent.wiring.thresholds import NEVER, sampled_condition, threshold_digits, threshold_lines
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.ports import ADDRESS, free_port
from support.raw_client import single_request
from support.upstream import Upstream, UpstreamRequest

TRACE, SHORT_TRACE = "0AF7651916cd43dd8448eb211c80319c", "8448EB211c80319c"
CALLER, OTHER = "B7ad6b7169203331", "00f067aa0ba902b7"
OURS = "1111111111111111"
ROOT = f"1-{TRACE[:8]}-{TRACE[8:]}"
Headers = dict[str, str]

W3C = {"traceparent": f"00-{TRACE.lower()}-{OTHER}-01"}
AGREED: list[Headers] = [
    {},
    W3C,
    {**W3C, "tracestate": "a=1"},
    {"traceparent": f"00-{TRACE}-{OTHER}-01", "tracestate": "a=1"},
    {"traceparent": f"00-{'0' * 32}-{OTHER}-01"},
    *({"b3": f"{TRACE}-{CALLER}{rest}"} for rest in ["", "-0", "-1", "-d", "-true", "-False", f"-1-{OTHER}", f"-0-{OTHER}"]),
    *({"b3": f"{TRACE}-{CALLER}{rest}"} for rest in ["-", "-2", "-1-", "-1-x", f"-{OTHER}", f"-1-{OTHER}-1"]),
    {"b3": f"{SHORT_TRACE}-{CALLER}-1"},
    {"b3": f"{'0' * 15}1-{'0' * 15}1-1-{'0' * 16}"},
    {"b3": f"{'0' * 16}-{CALLER}-1"},
    {"b3": f"{TRACE}-{'0' * 16}-1"},
    {"b3": f"{TRACE}-{'0' * 16}"},
    {"b3": f"{TRACE[1:]}-{CALLER}-1"},
    {"b3": f"{TRACE}-{CALLER[1:]}-1"},
    {"b3": "garbage, and more"},
    *({"b3": state} for state in ["0", "1", "d", "false"]),
    {"b3": "0", **W3C},
    {"b3": "", "x-b3-sampled": "0"},
    *({"x-b3-traceid": TRACE, "x-b3-spanid": CALLER, "x-b3-sampled": state} for state in ["0", "1", "d", "true", "False", ""]),
    *({"x-b3-traceid": TRACE, "x-b3-spanid": CALLER, "x-b3-sampled": state} for state in ["2", "01", "truE", "0,1", "yes"]),
    *({"x-b3-traceid": TRACE, "x-b3-spanid": CALLER, "x-b3-sampled": "0", "x-b3-flags": flags} for flags in ["0", "1", ""]),
    {"x-b3-traceid": TRACE, "x-b3-spanid": CALLER},
    {"x-b3-traceid": TRACE, "x-b3-spanid": CALLER, "x-b3-flags": "1"},
    {"x-b3-traceid": SHORT_TRACE, "x-b3-spanid": CALLER, "x-b3-sampled": "1"},
    {"x-b3-traceid": "0" * 16, "x-b3-spanid": CALLER, "x-b3-sampled": "1"},
    {"x-b3-traceid": TRACE, "x-b3-spanid": "0" * 16, "x-b3-sampled": "1"},
    {"x-b3-traceid": TRACE, "x-b3-sampled": "0"},
    {"x-b3-sampled": "0"},
    {"x-b3-sampled": "1"},
    {"b3": "garbage", "x-b3-traceid": TRACE, "x-b3-spanid": CALLER, "x-b3-sampled": "1"},
    {"b3": f"{SHORT_TRACE}-{OTHER}-0", "x-b3-traceid": TRACE, "x-b3-spanid": CALLER, "x-b3-sampled": "1"},
    *({"uber-trace-id": f"{TRACE}:{CALLER}:0:{flags}"} for flags in ["0", "1", "2", "3", "4", "8", "9", "c", "F", "01", "10"]),
    *({"uber-trace-id": f"{TRACE[: -number or None]}:{CALLER[number // 2 :]}::1"} for number in range(0, 32, 3)),
    {"uber-trace-id": f"{TRACE}%3A{CALLER}%3a0:1"},
    {"uber-trace-id": f"{TRACE}:{CALLER}:0:1%0A"},
    {"uber-trace-id": f"{TRACE}:{CALLER}:0"},
    {"uber-trace-id": f"{TRACE}:{CALLER}:0:"},
    {"uber-trace-id": f"{TRACE}:{CALLER}:0:100"},
    {"uber-trace-id": f"{TRACE}0:{CALLER}:0:1"},
    {"uber-trace-id": f"{TRACE}:{CALLER}0:0:1"},
    {"uber-trace-id": f"0:{CALLER}:0:1"},
    {"uber-trace-id": f"{TRACE}:000:0:1"},
    {"uber-trace-id": "1:0:0:1"},
    *({"x-amzn-trace-id": f"Root={ROOT};Parent={CALLER}{rest}"} for rest in ["", ";Sampled=0", ";Sampled=1", ";Sampled=?", ";"]),
    *({"x-amzn-trace-id": f"Root={ROOT};Parent={CALLER}{rest}"} for rest in ["0", ";Sampled=2", ";Sampled=", ";Sampled=01"]),
    {"x-amzn-trace-id": f"Sampled=1;Parent={CALLER};Root={ROOT}"},
    {"x-amzn-trace-id": f"Self={ROOT[:-1]};Root={ROOT};Lineage=a:1|b:2;Parent={CALLER};Sampled=0;x=(y)"},
    {"x-amzn-trace-id": f"XRoot=1-{'1' * 8}-{'2' * 24};Root={ROOT};XParent={OTHER};Parent={CALLER};YRoot=1-{'3' * 8}-{'4' * 24}"},
    {"x-amzn-trace-id": f"Root={ROOT}"},
    {"x-amzn-trace-id": f"XRoot={ROOT};XParent={CALLER}"},
    {"x-amzn-trace-id": f"Root=1-{'0' * 8}-{'0' * 24};Parent={CALLER}"},
    {"x-amzn-trace-id": f"Root={ROOT};Parent={'0' * 16}"},
    {"b3": f"{TRACE}-{CALLER}-0", "tracestate": "a=1", **W3C},
    {"b3": "garbage", "uber-trace-id": "garbage", "x-amzn-trace-id": "garbage", "tracestate": "a=1", **W3C},
]
"""HAProxy and the agent read the same from these."""
ONLY_THE_AGENTS: list[Headers] = [
    # A later version of traceparent.
    {"traceparent": f"01-{TRACE.lower()}-{CALLER.lower()}-01-more"},
    # White space, and a key that only ends as ours does.
    {"x-amzn-trace-id": f"Root={ROOT}; Parent={CALLER}; Sampled=1"},
    {"x-amzn-trace-id": f"Root={ROOT};Parent={CALLER};Sampled=1;XSampled=x"},
]
"""HAProxy takes less: these begin a trace."""

ORDERS = [
    ["b3", "jaeger", "xray", "tracecontext"],
    ["tracecontext", "xray", "jaeger", "b3multi"],
    ["b3multi"],
    ["xray"],
    ["jaeger", "baggage"],
    ["tracecontext", "baggage"],
    ["none"],
]
SET_BY_THE_TEST = """
    http-request set-var(txn.otel.state) str(x) if { req.fhdr(x-answer) -m found }
    http-request set-var(txn.otel.traceparent) req.fhdr(x-answer) if { req.fhdr(x-answer) -m found }
    http-request set-var(txn.otel.b3) req.fhdr(x-answer-b3) if { req.fhdr(x-answer-b3) -m found }
    http-request set-var(txn.otel.b3_sampled) req.fhdr(x-answer-b3-sampled) if { req.fhdr(x-answer-b3-sampled) -m found }
    http-request set-var(txn.otel.b3_flags) req.fhdr(x-answer-b3-flags) if { req.fhdr(x-answer-b3-flags) -m found }
    http-request set-var(txn.otel.span_id) str(1111111111111111)
"""
UNANSWERED = f"!{{ var({variable_name('state')}) -m found }}"
TOLD = """
    http-request set-header x-parent %[var(txn.otel.parent)]
    http-request set-header x-context %[var(txn.otel.traceparent)]
    http-request set-header x-tracestate %[var(txn.otel.tracestate)]
"""


def config(frontends: Sequence[str], upstream: Upstream) -> str:
    return f"""
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
{"".join(frontends)}
backend app
    server app1 {upstream.address}
"""


def frontend(
    port: int,
    propagators: Sequence[str],
    *,
    networks: Sequence[str] = (),
    threshold: str | None = None,
    injected: Sequence[str] | None = None,
) -> str:
    lines = trust_lines(networks, unanswered=UNANSWERED)
    lines += [] if threshold is None else threshold_lines([], threshold)
    lines += extraction_lines(
        propagators,
        unanswered=UNANSWERED,
        trusted=trusted_condition(networks),
        sampled=None if threshold is None else sampled_condition,
    )
    lines += injection_lines(propagators if injected is None else injected)
    text = indent("\n".join(lines), "    ")
    return f"frontend f{port}\n    bind {ADDRESS}:{port}\n{SET_BY_THE_TEST}\n{text}\n{TOLD}\n    default_backend app\n"


async def forwarded(upstream: Upstream, port: int, headers: Headers | Sequence[tuple[str, str]]) -> UpstreamRequest:
    """The request as the server saw it."""
    pairs = headers.items() if isinstance(headers, dict) else headers
    text = "".join(f"{name}: {value}\r\n" for name, value in pairs)
    answer = await single_request(port, f"GET / HTTP/1.1\r\nhost: a\r\n{text}connection: close\r\n\r\n".encode())
    assert b" 200 " in answer, answer
    return upstream.requests[-1]


def arguments(headers: Headers) -> dict[str, object]:
    """What HAProxy would have sent to the agent."""
    names = {"traceparent": "traceparent_1", "tracestate": "tracestate_1", "uber-trace-id": "jaeger", "x-amzn-trace-id": "xray"}
    return {names.get(name, name.replace("x-b3-", "b3_")): value for name, value in headers.items()}


def read_by_haproxy(request: UpstreamRequest) -> SpanContext | None:
    """The caller's context, as what HAProxy has set for the record says it."""
    parent = request.header("x-parent")
    if not parent:
        return None
    version, trace_id, span_id, flags = (request.header("x-context") or "").split("-")
    assert span_id == OURS
    return parse_traceparent(f"{version}-{trace_id}-{parent}-{flags}")


async def test_haproxy_reads_what_the_agent_reads(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    async with Upstream() as upstream:
        ports = [free_port() for _ in ORDERS]
        frontends = [frontend(port, order) for port, order in zip(ports, ORDERS, strict=True)]
        async with HAProxy(config(frontends, upstream), tmp_path, binary=found_haproxy.path):
            for port, order in zip(ports, ORDERS, strict=True):
                agent = Propagation(order)
                for headers in AGREED:
                    inbound = agent.extract(arguments(headers))
                    request = await forwarded(upstream, port, headers)
                    context = read_by_haproxy(request)
                    parent = inbound.parent
                    if parent is None:
                        assert context is None, (order, headers)
                        # A caller that denies gets an unsampled trace; where there is none, it is not for these lines to begin one.
                        assert (request.header("x-context") or "").endswith(f"-{OURS}-02" if inbound.denied else ""), headers
                        assert bool(request.header("x-context")) == inbound.denied, (order, headers)
                    else:
                        assert context is not None, (order, headers)
                        assert (context.trace_id, context.span_id) == (parent.trace_id, parent.span_id), (order, headers)
                        # A decision left to us is to sample, at a ratio of 1.
                        assert context.sampled == (parent.sampled or parent.deferred), (order, headers)
                        assert (request.header("x-tracestate") or "") == parent.tracestate, (order, headers)
                for headers in ONLY_THE_AGENTS:
                    assert read_by_haproxy(await forwarded(upstream, port, headers)) is None


async def test_what_haproxy_writes_says_the_same_in_every_format(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    """And nothing that the client said is left beside it."""
    order = ["tracecontext", "b3", "b3multi", "jaeger", "xray"]
    client = {
        "b3": f"{SHORT_TRACE}-{OTHER}-1-{OTHER}",
        "X-B3-TraceId": SHORT_TRACE,
        "X-B3-SpanId": OTHER,
        "X-B3-ParentSpanId": OTHER,
        "X-B3-Flags": "1",
        "uber-trace-id": "1:2:3:1",
        "uberctx-tenant": "a",
        "x-amzn-trace-id": f"Root={ROOT};Parent={OTHER};Sampled=1;Self={ROOT}",
        "baggage": "tenant=a",
        "tracestate": "a=1",
    }
    trace_id = TRACE.lower()
    async with Upstream() as upstream:
        port, b3_port, multi_port, only_reads = free_port(), free_port(), free_port(), free_port()
        frontends = [
            frontend(port, order),
            frontend(b3_port, ["b3"]),
            frontend(multi_port, ["b3multi"]),
            frontend(only_reads, ["b3", "tracecontext"], injected=[]),
        ]
        async with HAProxy(config(frontends, upstream), tmp_path, binary=found_haproxy.path):
            for flags, sampled in (("00", "0"), ("01", "1"), ("02", "0"), ("03", "1")):
                request = await forwarded(upstream, port, {**client, "x-answer": f"00-{trace_id}-{OURS}-{flags}"})
                headers = dict(request.headers)
                assert request.header("traceparent") == f"00-{trace_id}-{OURS}-{flags}"
                assert request.header("tracestate") is None
                assert request.header("b3") == f"{trace_id}-{OURS}-{sampled}"
                assert {name: value for name, value in headers.items() if name.startswith("x-b3-")} == {
                    "x-b3-traceid": trace_id,
                    "x-b3-spanid": OURS,
                    "x-b3-sampled": sampled,
                }
                assert request.header("uber-trace-id") == f"{trace_id}:{OURS}:0:{sampled}"
                assert request.header("x-amzn-trace-id") == (
                    f"Root=1-{trace_id[:8]}-{trace_id[8:]};Parent={OURS};Sampled={sampled}"
                )
                assert (request.header("uberctx-tenant"), request.header("baggage")) == ("a", "tenant=a")
                # Each of them is what the next agent reads.
                for name in order:
                    (argument,) = [{key: value for key, value in arguments(headers).items() if not key.startswith("x-")}]
                    parent = Propagation([name]).extract(argument).parent
                    assert parent is not None
                    assert (parent.trace_id.hex(), parent.span_id.hex()) == (trace_id, OURS)
                    assert (parent.sampled, parent.debug, parent.deferred) == (sampled == "1", False, False)

            # What the agent says of a header is taken as it is: only it knows of debug.
            debug = {"x-answer": f"00-{trace_id}-{OURS}-01", "x-answer-b3": f"{trace_id}-{OURS}-d", "x-answer-b3-flags": "1"}
            request = await forwarded(upstream, port, {**client, **debug})
            assert request.header("b3") == f"{trace_id}-{OURS}-d"
            assert (request.header("x-b3-flags"), request.header("x-b3-sampled")) == ("1", None)

            # The other kind of B3 is not ours to write, but would say another thing.
            request = await forwarded(upstream, b3_port, {**client, **W3C})
            b3 = [(name, value) for name, value in request.headers if "b3" in name]
            assert b3 == [("b3", f"{SHORT_TRACE.lower().zfill(32)}-{OURS}-1")]
            request = await forwarded(upstream, multi_port, client)
            names = sorted(name for name, _value in request.headers if "b3" in name)
            assert names == ["x-b3-sampled", "x-b3-spanid", "x-b3-traceid"]
            # Formats that are not configured stay as they are.
            assert request.header("uber-trace-id") == client["uber-trace-id"]
            assert request.header("x-amzn-trace-id") == client["x-amzn-trace-id"]

            # A context of another format takes no tracestate with it; one that is only read stays as it was.
            request = await forwarded(upstream, port, {"b3": f"{TRACE}-{CALLER}-1", "tracestate": "a=1"})
            assert (request.header("tracestate"), request.header("x-tracestate")) == (None, "")
            request = await forwarded(upstream, port, {**W3C, "tracestate": "a=1"})
            assert (request.header("tracestate"), request.header("x-tracestate")) == ("a=1", "a=1")
            request = await forwarded(upstream, only_reads, {**client, **W3C})
            assert {**client, **W3C}.items() <= {(given, request.header(given)) for given in {**client, **W3C}}
            assert request.header("x-parent") == OTHER


async def test_whom_haproxy_believes_and_how_it_decides(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    async with Upstream() as upstream:
        within, without, half, never, last = (free_port() for _ in range(5))
        many = [f"2001:db8:ffff:ffff:ffff:ffff:{number:04x}:0/112" for number in range(255)]
        frontends = [
            frontend(last, ["b3", "tracecontext"], networks=[*many, "127.0.0.1/32"]),
            frontend(within, ["b3", "tracecontext"], networks=["10.0.0.0/8", "127.0.0.0/8", "fd00::/8"]),
            frontend(without, ["b3", "tracecontext"], networks=["10.0.0.0/8", "::1/128"]),
            frontend(half, ["b3"], threshold=threshold_digits(0.5)),
            frontend(never, ["b3"], threshold=NEVER),
        ]
        async with HAProxy(config(frontends, upstream), tmp_path, binary=found_haproxy.path):
            for headers in (W3C, {"b3": f"{TRACE}-{OTHER}-1"}):
                assert (await forwarded(upstream, within, headers)).header("x-parent") == OTHER
                assert (await forwarded(upstream, last, headers)).header("x-parent") == OTHER
                assert (await forwarded(upstream, without, headers)).header("x-parent") == ""
            assert (await forwarded(upstream, within, {"b3": "0"})).header("x-context")
            assert not (await forwarded(upstream, without, {"b3": "0"})).header("x-context")

            for digits, flags in (("7", "00"), ("8", "01")):
                deferred = {"b3": f"{'a' * 18}{digits}{'f' * 13}-{OTHER}"}
                assert ((await forwarded(upstream, half, deferred)).header("x-context") or "").endswith(f"-{flags}")
            assert ((await forwarded(upstream, never, deferred)).header("x-context") or "").endswith("-00")
            # A decision that was made is kept.
            assert ((await forwarded(upstream, never, {"b3": f"{TRACE}-{OTHER}-d"})).header("x-context") or "").endswith("-01")


async def test_haproxy_links_to_what_the_agent_links_to(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    networks = ["10.0.0.0/8"]
    async with Upstream() as upstream:
        ports = [free_port() for _ in ORDERS]
        texts = []
        for port, order in zip(ports, ORDERS, strict=True):
            lines = trust_lines(networks) + link_lines(order, unanswered=UNANSWERED, trusted=trusted_condition(networks))
            lines.append("http-request set-header x-link %[var(txn.otel.link)]")
            text = indent("\n".join(lines), "    ")
            texts.append(f"frontend f{port}\n    bind {ADDRESS}:{port}\n{text}\n    default_backend app\n")
        async with HAProxy(config(texts, upstream), tmp_path, binary=found_haproxy.path):
            for port, order in zip(ports, ORDERS, strict=True):
                agent = Propagation(order, trusted_networks=networks, link_untrusted=True)
                for headers in AGREED:
                    link = agent.extract(arguments(headers), ADDRESS).link
                    request = await forwarded(upstream, port, headers)
                    assert request.header("x-link") == ("" if link is None else format_traceparent(link)), (order, headers)


async def test_the_first_of_several_headers_counts(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    async with Upstream() as upstream:
        port = free_port()
        async with HAProxy(config([frontend(port, ["b3", "tracecontext"])], upstream), tmp_path, binary=found_haproxy.path):
            request = await forwarded(upstream, port, [("b3", f"{TRACE}-{OTHER}-1"), ("b3", f"{TRACE}-{CALLER}-1")])
            assert request.header("x-parent") == OTHER
            assert request.header("b3") == f"{TRACE.lower()}-{OURS}-1"
            # But two of W3C's contradict each other.
            request = await forwarded(upstream, port, [*W3C.items(), *W3C.items()])
            assert request.header("x-parent") == ""
