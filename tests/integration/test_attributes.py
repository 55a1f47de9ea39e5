"""What spans say, as it was set, through every HAProxy: headers, samples, TLS, forwarding proxies, gRPC, routes, limits, redaction.

With profile Standard most of it travels in the state token, with Stream in variables of HAProxy's: the spans say the same.
"""

import os
import secrets
import signal
import ssl
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
import trustme
import yaml

from haproxy_telemetry_agent.wiring.names import AGENT_BACKEND
from support.haproxies import FoundHAProxy
from support.otlp_sink import SinkSpan
from support.raw_client import RawConnection, request_head, single_request
from support.site import Site, running_site

pytestmark = pytest.mark.asyncio(loop_scope="module")

PROFILES = ["Standard", "Stream"]
CALLER = "00f067aa0ba902b7"
NAME = "shop.example"
AUTHORITY = trustme.CA()
SPANS: dict[str, Any] = {
    "requestHeaders": ["X-Request-Id", "Referer", "X-Odd"],
    "responseHeaders": ["X-Cache", "Location", "Content-Type"],
    "attributes": [
        {"name": "deployment.region", "value": "eu 1"},
        {"name": "k8s.pod.name", "env": "TEST_POD_NAME"},
        {"name": "not.set", "env": "TEST_NOT_SET"},
        {"name": "tenant.id", "requestHeader": "X-Tenant"},
    ],
    "samples": [
        {"name": "region", "fetch": "req.cook(region),lower"},
        {"name": "net", "fetch": "src,ipmask(24)"},
        {"name": "cache", "fetch": "res.fhdr(x-cache),upper", "at": "Response"},
        {"name": "answer.code", "fetch": "status", "at": "Response"},
        {"name": "http.major", "fetch": "fc_http_major", "at": "End"},
    ],
    "tls": True,
    "grpc": True,
    "forwarded": {"trust": "TrustedNetworks", "networks": ["127.0.0.0/8"]},
    "servicePeerName": "Backend",
}
ORDINARY = {
    "http.request.method",
    "url.scheme",
    "url.path",
    "http.response.status_code",
    "network.protocol.version",
    "server.address",
    "server.port",
    "client.address",
    "network.peer.address",
    "network.peer.port",
    "user_agent.original",
    "http.request.size",
    "http.response.size",
    "haproxy.frontend.name",
    "haproxy.backend.name",
    "haproxy.termination_state",
    "haproxy.time.request",
    "haproxy.time.queue",
}
"""The names on the SERVER span of every exchange that reached a server."""


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=PROFILES)
async def site(
    found_haproxy: FoundHAProxy, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    certificate = folder / "edge.pem"
    AUTHORITY.issue_cert(NAME).private_key_and_cert_chain_pem.write_to_path(certificate)
    environment = os.environ | {"TEST_POD_NAME": "edge-7"}
    settings = {"profile": request.param, "spans": SPANS}
    async with running_site(found_haproxy, folder, certificate=certificate, settings=settings, environment=environment) as running:
        yield running
    assert not [line for line in running.agent.process.lines if "ERROR" in line or "Traceback" in line]


def in_trace(trace_id: str) -> dict[str, str]:
    return {"traceparent": f"00-{trace_id}-{CALLER}-01"}


async def spans_of(site: Site, trace_id: str, *, count: int = 2) -> list[SinkSpan]:
    """The spans of a trace, SERVER first."""
    spans = await site.sink.wait_for(lambda spans: len([s for s in spans if s.trace_id == trace_id]) >= count, timeout_seconds=15)
    return sorted((span for span in spans if span.trace_id == trace_id), key=lambda span: span.kind, reverse=True)


async def exchange(
    site: Site, path: str, headers: Mapping[str, str] | None = None, *, count: int = 2, method: str = "GET"
) -> list[SinkSpan]:
    """The spans of one request."""
    trace_id = secrets.token_hex(16)
    answer = await single_request(
        site.http_port, request_head(path, method=method, headers={**(headers or {}), **in_trace(trace_id)})
    )
    assert answer.startswith(b"HTTP/1.1 "), answer
    return await spans_of(site, trace_id, count=count)


def beginning(span: SinkSpan, *beginnings: str) -> dict[str, object]:
    """The attributes whose names begin so."""
    return {name: value for name, value in span.attributes.items() if name.startswith(beginnings)}


ASKED_FOR = {
    "X-Request-Id": "r-1",
    "Referer": "https://u:p@other.example/a?sig=x#y",
    "X-Tenant": "acme",
    "Cookie": "a=b; region=EU",
}


class TestEverything:
    async def test_headers_attributes_and_samples(self, site: Site) -> None:
        server, client = await exchange(site, "/", {**ASKED_FOR, "answer-with": "x-cache=hit"})
        on_both = {"deployment.region": "eu 1", "k8s.pod.name": "edge-7", "tenant.id": "acme"}
        asked_for = {
            "http.request.header.x-request-id": ["r-1"],
            "http.request.header.referer": ["https://other.example/a?sig=REDACTED"],
            "http.response.header.x-cache": ["hit"],
            "http.response.header.content-type": ["text/plain"],
            "haproxy.region": "eu",
            "haproxy.net": "127.0.0.0",
            "haproxy.cache": "HIT",
            "haproxy.answer.code": "200",
            "haproxy.http.major": "1",
            **on_both,
        }
        assert {name: value for name, value in server.attributes.items() if name not in ORDINARY} == asked_for
        assert set(server.attributes) == ORDINARY | set(asked_for)
        assert on_both.items() <= client.attributes.items()
        assert client.attributes["service.peer.name"] == "app"
        assert not beginning(client, "http.request.header", "http.response.header", "haproxy.net")

    async def test_nothing_that_was_not_there(self, site: Site) -> None:
        server, client = await exchange(site, "/", {"X-Request-Id": "", "X-Other": "1"})
        assert set(server.attributes) == ORDINARY | {
            "deployment.region",
            "k8s.pod.name",
            "haproxy.net",
            "haproxy.answer.code",
            "haproxy.http.major",
            "http.response.header.content-type",
        }
        assert "tenant.id" not in client.attributes

    @pytest.mark.parametrize(
        ("path", "code", "answered"),
        [
            ("/deny", 403, {"http.response.header.content-type": ["text/html"]}),
            ("/redirect", 302, {"http.response.header.location": ["/elsewhere"]}),
            ("/return", 204, {}),
            ("/none", 503, {"http.response.header.content-type": ["text/html"]}),
        ],
    )
    async def test_answers_of_haproxys_own(self, site: Site, path: str, code: int, answered: dict[str, list[str]]) -> None:
        (server,) = await exchange(site, path, ASKED_FOR, count=1)
        assert server.attributes["http.response.status_code"] == code
        assert beginning(server, "http.request.header.x-") == {"http.request.header.x-request-id": ["r-1"]}
        assert beginning(server, "http.response.header") == answered
        assert server.attributes["tenant.id"] == "acme"
        assert server.attributes["haproxy.answer.code"] == str(code)

    @pytest.mark.parametrize(
        "value",
        ['say "hi"', "a] b[c] \\", '\\"]', '"] x="y', "tab\tand  two spaces", "é ü 漢", "%[var(txn.x)] %s", "0", "x" * 500],
    )
    async def test_odd_values(self, site: Site, value: str) -> None:
        trace_id = secrets.token_hex(16)
        lines = [f"X-Odd: {value}", f"X-Tenant: {value}", f"answer-with: x-cache={value}", "host: a", "connection: close"]
        lines.append(f"traceparent: {in_trace(trace_id)['traceparent']}")
        await single_request(site.http_port, ("\r\n".join(["GET / HTTP/1.1", *lines]) + "\r\n\r\n").encode())
        server, client = await spans_of(site, trace_id)
        assert server.attributes["http.request.header.x-odd"] == [value]
        assert client.attributes["tenant.id"] == value
        latin = value.encode().decode("latin-1")  # as the upstream reads and writes it
        assert server.attributes["http.response.header.x-cache"] == [latin.encode("latin-1").decode()]

    async def test_bytes_that_are_no_text(self, site: Site) -> None:
        trace_id = secrets.token_hex(16)
        head = request_head("/", headers={**in_trace(trace_id), "X-Odd": "a@b"}).replace(b"a@b", b"a\xe9b")
        await single_request(site.http_port, head)
        server, _ = await spans_of(site, trace_id)
        assert server.attributes["http.request.header.x-odd"] == ["a\N{REPLACEMENT CHARACTER}b"]

    async def test_tls(self, site: Site) -> None:
        assert site.https_port is not None
        trust = ssl.create_default_context()
        AUTHORITY.configure_trust(trust)
        for protocol, version in (("TLSv1_2", "1.2"), ("TLSv1_3", "1.3")):
            trust.minimum_version = trust.maximum_version = ssl.TLSVersion[protocol]
            trust.set_alpn_protocols(["http/1.1"])
            trace_id = secrets.token_hex(16)
            async with RawConnection.open(site.https_port, tls=trust, server_name=NAME) as connection:
                host = {"traceparent": in_trace(trace_id)["traceparent"]}
                await connection.send(request_head("/", headers=host).replace(b"shop.example:8443", b"other.example"))
                await connection.read_all()
            server, client = await spans_of(site, trace_id)
            assert server.attributes["url.scheme"] == "https"
            tls = beginning(server, "tls.")
            assert str(tls.pop("tls.cipher")).isprintable()
            assert tls == {
                "tls.protocol.name": "tls",
                "tls.protocol.version": version,
                "tls.next_protocol": "http/1.1",
                "tls.resumed": False,
            }
            assert server.attributes["haproxy.tls.server_name"] == NAME
            assert (server.attributes["server.address"], server.attributes["server.port"]) == ("other.example", 443)
            assert not beginning(client, "tls.")

    @pytest.mark.parametrize(
        "headers",
        [
            {
                "X-Forwarded-For": "198.51.100.1, 203.0.113.7",
                "X-Forwarded-Proto": "https",
                "X-Forwarded-Host": "public.example",
                "X-Forwarded-Port": "8444",
            },
            {"Forwarded": 'for=198.51.100.1;host=x, for="203.0.113.7:4711";proto=https;host="public.example:8444"'},
        ],
        ids=["x-forwarded", "forwarded"],
    )
    async def test_a_proxy_in_front(self, site: Site, headers: dict[str, str]) -> None:
        server, _ = await exchange(site, "/", headers)
        assert server.attributes["client.address"] == "203.0.113.7"
        assert server.attributes["network.peer.address"] == "127.0.0.1"
        assert server.attributes["url.scheme"] == "https"
        assert (server.attributes["server.address"], server.attributes["server.port"]) == ("public.example", 8444)
        assert server.attributes.get("client.port") == (4711 if "Forwarded" in headers else None)

    @pytest.mark.parametrize(
        ("status", "name", "server_error", "client_error"),
        [
            ("0", "OK", None, None),
            ("5", "NOT_FOUND", None, "NOT_FOUND"),
            ("13", "INTERNAL", "INTERNAL", "INTERNAL"),
            (None, None, None, None),
        ],
    )
    async def test_grpc(
        self, site: Site, status: str | None, name: str | None, server_error: str | None, client_error: str | None
    ) -> None:
        trace_id = secrets.token_hex(16)
        headers = {**in_trace(trace_id), "content-type": "application/grpc+proto", "te": "trailers"}
        if status is not None:
            headers["answer-with"] = f"grpc-status={status}"
        async with httpx.AsyncClient(http1=False, http2=True, trust_env=False) as caller:
            answer = await caller.post(f"http://127.0.0.1:{site.http2_port}/shop.v1.Cart/Add", headers=headers, content=b"\0" * 5)
        assert (answer.status_code, answer.headers.get("grpc-status")) == (200, status)
        spans = await spans_of(site, trace_id)
        for span, error in zip(spans, (server_error, client_error), strict=True):
            assert span.name == "shop.v1.Cart/Add"
            assert beginning(span, "rpc.") == {
                "rpc.system.name": "grpc",
                "rpc.method": "shop.v1.Cart/Add",
                **({} if name is None else {"rpc.response.status_code": name}),
            }
            assert (span.status_code, span.attributes.get("error.type")) == ("UNSET" if error is None else "ERROR", error)

    async def test_a_call_of_a_method_that_nobody_knows(self, site: Site) -> None:
        headers = {"content-type": "application/grpc", "answer-with": "grpc-status=12"}
        server, client = await exchange(site, "/made/Up", headers, method="POST")
        assert (server.name, client.name) == ("grpc", "grpc")
        assert server.attributes["rpc.method"] == "_OTHER"
        assert server.attributes["rpc.method_original"] == "made/Up"


async def test_while_the_agent_is_away(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    environment = os.environ | {"TEST_POD_NAME": "edge-7"}
    async with running_site(one_haproxy, tmp_path, settings={"spans": SPANS}, environment=environment) as site:
        sent = {**ASKED_FOR, "answer-with": "x-cache=hit", "X-Forwarded-For": "203.0.113.7"}
        told = [(await exchange(site, "/", sent))[0].attributes]
        await site.agent.stop()
        await site.haproxy.wait_for_server(AGENT_BACKEND, "agent", "DOWN")
        trace_id = secrets.token_hex(16)
        await single_request(site.http_port, request_head("/", headers={**sent, **in_trace(trace_id)}))
        await site.agent.start()
        told.append((await spans_of(site, trace_id))[0].attributes)
    changing = {"network.peer.port", "haproxy.time.request", "haproxy.time.queue"}
    answered, unanswered = ({name: value for name, value in each.items() if name not in changing} for each in told)
    assert answered == unanswered


@pytest.mark.parametrize("profile", PROFILES)
async def test_many_long_headers_cost_no_request_and_no_span(found_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    count, length = 32, 200  # as many as there may be
    names = [f"x-h{number}" for number in range(count)]
    settings = {"profile": profile, "spans": {"requestHeaders": names, "responseHeaders": names}}
    async with running_site(found_haproxy, tmp_path, settings=settings) as site:
        values = {name: f"{number:03}" + "v" * (length - 3) for number, name in enumerate(names)}
        server, client = await exchange(site, "/", values)
        shown = beginning(server, "http.request.header.")
    # The state token takes some, a record of HAProxy's own variables takes all.
    assert len(shown) == (7 if profile == "Standard" else count)
    assert shown.items() <= {f"http.request.header.{name}": [value] for name, value in values.items()}.items()
    assert server.parent_span_id == CALLER
    assert client.parent_span_id == server.span_id
    assert server.attributes["server.address"] == NAME


async def test_no_text_of_a_client_costs_its_trace(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    """Of long headers the record has the beginning, or nothing; a record that is too long all the same is cut by HAProxy."""
    many = [f"X-Long-{number:02}" for number in range(20)]
    async with running_site(found_haproxy, tmp_path, settings={"profile": "Stream", "spans": {"requestHeaders": many}}) as site:
        for header in ({"user-agent": "x" * 9000}, {"tracestate": "a=" + "x" * 9000}, {"user-agent": '"' * 5000}):
            server, client = await exchange(site, "/path?a=1", header)
            assert (server.parent_span_id, client.parent_span_id) == (CALLER, server.span_id)
            assert (server.attributes["url.path"], server.attributes["url.query"]) == ("/path", "a=1")
            assert server.attributes["http.response.status_code"] == 200
        assert (await site.agent.metrics())["records_cut_total"] == 0
        server, client = await exchange(site, "/path", dict.fromkeys(many, "x" * 600))
        assert (server.parent_span_id, client.parent_span_id) == (CALLER, server.span_id)
        assert server.attributes["url.path"] == "/path"
        assert (await site.agent.metrics())["records_cut_total"] == 1


async def test_a_message_that_is_too_long_for_haproxy(found_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    """It can't ask the agent, and goes on by itself."""
    spans = {"requestHeaders": ["User-Agent", "X-Request-Id"]}
    async with running_site(found_haproxy, tmp_path, settings={"spans": spans}) as site:
        server, client = await exchange(site, "/path", {"user-agent": "x" * 9000, "x-request-id": "1"})
        metrics = await site.agent.metrics()
    assert (server.parent_span_id, client.parent_span_id) == (CALLER, server.span_id)
    assert server.attributes["url.path"] == "/path"
    assert metrics['exchanges_recorded_total{start="unanswered"}'] == 1
    assert sum(value for name, value in metrics.items() if name.startswith("spoe_errors_total")) == 1


async def test_forwarding_proxies_that_are_not_trusted(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    forwarded = {"trust": "TrustedNetworks", "networks": ["10.0.0.0/8"]}
    async with running_site(one_haproxy, tmp_path, settings={"spans": {"forwarded": forwarded}}) as site:
        server, _ = await exchange(site, "/", {"X-Forwarded-For": "203.0.113.7", "X-Forwarded-Proto": "https"})
    assert (server.attributes["client.address"], server.attributes["url.scheme"]) == ("127.0.0.1", "http")


async def test_routes_are_read_again(one_haproxy: FoundHAProxy, tmp_path: Path) -> None:
    file = tmp_path / "routes.yaml"

    def write(text: str) -> None:
        new = file.with_suffix(".new")
        new.write_text(text)
        new.replace(file)

    def routes(route: str, **attributes: str) -> str:
        return yaml.safe_dump({"routes": [{"host": NAME, "path": "/cart", "route": route, "attributes": attributes}]})

    async def read(result: str, count: int) -> None:
        await site.agent.wait_for_metric(f'routes_read_total{{result="{result}"}}', count)

    write(routes("/cart/{id}", **{"app.team": "cart"}))
    async with running_site(one_haproxy, tmp_path, settings={"spans": {"routesFile": str(file)}}) as site:
        server, client = await exchange(site, "/cart/1?x=1")
        assert (server.name, server.attributes["http.route"], client.name) == ("GET /cart/{id}", "/cart/{id}", "GET")
        assert server.attributes["app.team"] == client.attributes["app.team"] == "cart"
        server, _ = await exchange(site, "/cartoon")
        assert (server.name, server.attributes.get("http.route")) == ("GET", None)

        write(routes("/cart/*"))
        site.agent.process.send_signal(signal.SIGHUP)
        await read("ok", 1)
        assert (await exchange(site, "/cart/1"))[0].name == "GET /cart/*"

        write("routes: [{path: no slash}]")
        site.agent.process.send_signal(signal.SIGHUP)
        await read("refused", 1)
        assert (await exchange(site, "/cart/1"))[0].name == "GET /cart/*"
        assert [line for line in site.agent.process.lines if "routes[0].path" in line]

        # By itself.
        write(routes("/carts"))
        await read("ok", 2)
        assert (await exchange(site, "/cart/1"))[0].name == "GET /carts"
        assert (await site.agent.metrics())['routes_read_total{result="refused"}'] == 1


@pytest.mark.parametrize("profile", PROFILES)
async def test_limits(one_haproxy: FoundHAProxy, tmp_path: Path, profile: str) -> None:
    limits = {"attributeCount": 20, "attributeValueLength": 5, "linkCount": 0}
    spans = {**SPANS, "limits": limits}
    propagation = {"trustedNetworks": ["10.0.0.0/8"], "linkUntrusted": True}
    settings = {"profile": profile, "spans": spans, "propagation": propagation}
    async with running_site(one_haproxy, tmp_path, settings=settings) as site:
        await single_request(site.http_port, request_head("/", headers={**ASKED_FOR, **in_trace(secrets.token_hex(16))}))
        server, client = sorted(await site.spans_of(1), key=lambda span: span.kind, reverse=True)
    # 18 ordinary ones, then 2 headers, 1 of the answer, 4 samples, 2 of our own.
    assert len(server.attributes) == 20
    assert server.dropped_attributes_count == 7
    assert client.dropped_attributes_count == 0
    assert server.attributes["http.request.header.referer"] == ["https"]
    assert server.attributes["network.peer.address"] == "127.0"
    assert (server.links, server.dropped_links_count) == ((), 1)


@pytest.mark.parametrize(
    ("spans", "path", "query"),
    [
        ({}, "/user/42/x", "a=1&sig=REDACTED&Signature=REDACTED&b"),
        ({"redactQuery": False}, "/user/42/x", "a=1&sig=2&Signature=3&b"),
        ({"sensitiveQueryParameters": ["a"]}, "/user/42/x", "a=REDACTED&sig=2&Signature=3&b"),
        ({"queryMode": "AllowList", "allowedQueryParameters": ["a"]}, "/user/42/x", "a=1&sig=REDACTED&Signature=REDACTED&REDACTED"),
        (
            {"scrubPaths": [{"pattern": "/user/[0-9]+", "replacement": "/user/N"}]},
            "/user/N/x",
            "a=1&sig=REDACTED&Signature=REDACTED&b",
        ),
    ],
    ids=["default", "off", "own list", "allow list", "path"],
)
async def test_redaction(one_haproxy: FoundHAProxy, tmp_path: Path, spans: dict[str, Any], path: str, query: str) -> None:
    settings = {"spans": {**spans, "requestHeaders": ["Referer"]}}
    target = "/user/42/x?a=1&sig=2&Signature=3&b"
    async with running_site(one_haproxy, tmp_path, settings=settings) as site:
        server, client = await exchange(site, target, {"Referer": f"http://shop.example{target}"})
        sent = site.upstream.requests[-1].target
    assert sent == target
    assert (server.attributes["url.path"], server.attributes["url.query"]) == (path, query)
    assert client.attributes["url.full"] == f"http://{NAME}:8443{path}?{query}"
    assert server.attributes["http.request.header.referer"] == [f"http://{NAME}{path}?{query}"]
