"""Sampling by HAProxy alone: each of its decisions is the one that the agent's own sampler takes for the same trace and request."""

import asyncio
import itertools
from collections.abc import Iterable
from pathlib import Path
from textwrap import indent
from typing import NamedTuple

import yaml

from haproxy_telemetry_agent.samplers import (
    default_threshold,
    follows_parent,
    looked_at_headers,
    make_excluder,
    make_sampler,
    threshold_force,
    threshold_rules,
)
from haproxy_telemetry_agent.settings import parse_settings
from haproxy_telemetry_agent.settings.sampling import Sampling, path_kind
from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.request import Request
from haproxy_telemetry_agent.tracing.sampling import child_context
from haproxy_telemetry_agent.wiring.thresholds import exclusion_lines, sampled_condition, threshold_lines, tracestate_lines
from support.haproxies import FoundHAProxy
from support.haproxy import HAProxy
from support.ports import ADDRESS, free_port

SETTINGS = r"""
type: ParentBasedTraceIDRatio
ratio: 0.25
rules:
  - {name: none, ratio: 0, path: /none}
  - {name: glob, ratio: 0.125, path: {glob: /static/*.css}}
  - {name: star, ratio: 0.375, path: {glob: "/a*(b)*c"}}
  - {name: regex, ratio: 0.75, path: {regex: "^/api/v[0-9]{1,3}/.*'\\.#?[x]$"}}
  - {name: spaces, ratio: 1, header: {name: x-tenant, value: '-i "a"  $HOME \n it''s #1'}}
  - {name: any-header, ratio: 0.5, header: {name: X-Any}, method: POST}
  - {name: below, ratio: 0.0625, host: "*.Example.com", frontend: f*, path: /t}
  - {name: host, ratio: 0.9, host: example.org, networks: [127.0.0.0/8, "::1"]}
  - {name: elsewhere, ratio: 1, networks: [192.0.2.0/24]}
  - {name: over, ratio: 0.5, path: /over, overrideParent: true}
  - {name: empty, ratio: 0, header: {name: x-empty, value: ""}}
  - name: longest
    ratio: 1
    host: "*.example.com"
    path: {glob: "*"}
    method: PUT
    frontend: "*"
    header: {name: x-tenant, value: a b}
    networks: ["192.0.2.0/24", "::2", "::3", "::4", "::5", "::6", "::7", "::8", "::9", "::10", "::11", "127.0.0.0/8"]
    overrideParent: true
exclude: {paths: [/healthz, {glob: "/*/ready"}, {regex: "^/live$"}], userAgents: [kube-probe/]}
force: {header: x-force, value: "yes", networks: [127.0.0.0/8]}
"""
TARGETS = [
    {"path": "/"},
    {"path": "/other"},
    {"path": "/none/x"},
    {"path": "/none", "x-force": "yes"},
    {"path": "/none", "x-force": "no"},
    {"path": "/static/a/b.css"},
    {"path": "/static/a/b.css.map"},
    {"path": "/a-(b)-c"},
    {"path": "/a-b-c"},
    {"path": "/api/v12/x'.x"},
    {"path": "/api/v12/x'.y"},
    {"path": "/t", "x-tenant": '-i "a"  $HOME \\n it\'s #1'},
    {"path": "/t", "x-tenant": "a"},
    {"path": "/t", "x-any": "", "method": "POST"},
    {"path": "/t", "x-any": "1", "method": "POST"},
    {"path": "/t", "x-any": "1"},
    {"path": "/t", "host": "a.example.COM:8080"},
    {"path": "/t", "host": "example.com"},
    {"path": "/t", "host": "Example.org:80"},
    {"path": "/over"},
    {"path": "/e", "x-empty": ""},
    {"path": "/e", "x-empty": "1"},
    {"path": "/l", "x-tenant": "a b", "method": "PUT", "host": "a.example.com"},
    {"path": "/l", "x-tenant": "a  b", "method": "PUT", "host": "a.example.com"},
    {"path": "/healthz/x"},
    {"path": "/x/ready"},
    {"path": "/live"},
    {"path": "/t", "user-agent": "kube-probe/1.33"},
]
CALLERS = [None, "01", "00"]
ROUNDS = 60
BATCH = 50
SPAN_ID = SpanId(b"12345678")


class Case(NamedTuple):
    """One request: what is asked, and what HAProxy has made of it."""

    target: dict[str, str]
    caller: str | None
    """The caller's flags."""
    answer: dict[str, str]


def haproxy_config(sampling: Sampling, port: int) -> str:
    rules, default = threshold_rules(sampling), default_threshold(sampling)
    called = "{ req.fhdr(x-caller) -m found }"
    lines = [
        *exclusion_lines(map(path_kind, sampling.exclude.paths), sampling.exclude.user_agents),
        *threshold_lines(rules, default, force=threshold_force(sampling), follows_parent=follows_parent(sampling)),
        "http-request set-var(txn.id) uuid(),regsub(-,,g)",
        f"http-request set-var(txn.flags) str(01) if {sampled_condition('var(txn.id)')}",
        f"http-request set-var(txn.flags) req.fhdr(x-caller) if {called} !{{ var(txn.otel.override) -m found }}",
        *tracestate_lines(rules, default, condition="{ var(txn.flags) -m str 01 } !" + called),
    ]
    excluded, tracestate = "hdr x-excluded %[var(txn.otel.excluded)]", "hdr x-tracestate %[var(txn.otel.tracestate)]"
    return f"""
defaults
    mode http
    timeout connect 1s
    timeout client 30s
    timeout server 1s
frontend front
    bind {ADDRESS}:{port}
{indent(chr(10).join(lines), "    ")}
    http-request return status 200 hdr x-id %[var(txn.id)] hdr x-flags %[var(txn.flags)] {excluded} {tracestate}
"""


async def ask(port: int, requests: Iterable[tuple[dict[str, str], str | None]]) -> list[Case]:
    """All requests over one connection; pipelined, since there are many."""
    requests = list(requests)
    reader, writer = await asyncio.open_connection(ADDRESS, port)
    cases = []
    for start in range(0, len(requests), BATCH):
        batch = requests[start : start + BATCH]
        writer.write("".join(head(target, caller) for target, caller in batch).encode())
        for target, caller in batch:
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().splitlines()
            assert answer[0].startswith("HTTP/1.1 200"), answer
            cases.append(Case(target, caller, dict(line.split(": ", 1) for line in answer[1:] if ": " in line)))
    writer.close()
    await writer.wait_closed()
    return cases


def head(target: dict[str, str], caller: str | None) -> str:
    headers = {"host": "localhost", **{name: value for name, value in target.items() if name not in ("path", "method")}}
    if caller is not None:
        headers["x-caller"] = caller
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
    return f"{target.get('method', 'GET')} {target['path']} HTTP/1.1\r\ncontent-length: 0\r\n{lines}\r\n"


def as_the_agent_sees_it(target: dict[str, str], sampling: Sampling) -> Request:
    return Request(
        method=target.get("method", "GET"),
        host=target.get("host", "localhost"),
        path=target["path"],
        frontend="front",
        user_agent=target.get("user-agent"),
        client_address=ADDRESS,
        headers={name: target[name] for name in looked_at_headers(sampling) if name in target},
    )


async def test_haproxy_decides_as_the_agent_does(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    sampling = parse_settings({"sampling": yaml.safe_load(SETTINGS)}).sampling
    sampler, excluder = make_sampler(sampling), make_excluder(sampling)
    assert excluder is not None
    port = free_port()
    async with HAProxy(haproxy_config(sampling, port), tmp_path, binary=found_haproxy.path):
        cases = await ask(port, itertools.product(TARGETS * ROUNDS, CALLERS))
    for target, caller, answer in cases:
        trace_id = TraceId(bytes.fromhex(answer["x-id"]))
        parent = None if caller is None else SpanContext(trace_id, SPAN_ID, int(caller, 16))
        request = as_the_agent_sees_it(target, sampling)
        assert ("x-excluded" in answer) is excluder.excludes(request), target
        decision = sampler.decide(trace_id, parent, request)
        assert answer.get("x-flags", "00") == ("01" if decision.sampled else "00"), (target, caller, answer)
        if caller is None:
            assert answer.get("x-tracestate", "") == child_context(None, decision)[1], (target, answer)
    begun = [case.answer.get("x-flags") == "01" for case in cases if case.target["path"] == "/" and case.caller is None]
    # At 0.25; five standard deviations.
    assert abs(sum(begun) - len(begun) * 0.25) < 5 * (len(begun) * 0.25 * 0.75) ** 0.5
