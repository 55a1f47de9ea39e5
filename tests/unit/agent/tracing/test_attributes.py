"""Attributes: by default those of an ordinary exchange and no others; everything else by its own option."""

import re
from collections.abc import Callable, Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder, AttributeOptions, Facts, ServicePeer
from haproxy_telemetry_agent.tracing.ending import Ending, read_ending
from haproxy_telemetry_agent.tracing.forwarded import ForwardedReader, Trust
from haproxy_telemetry_agent.tracing.redaction import Redactor
from haproxy_telemetry_agent.tracing.routes import RouteTable, parse_routes
from haproxy_telemetry_agent.tracing.semconv import ATTRIBUTES
from haproxy_telemetry_agent.tracing.span import Attribute, Attributes

Record = Callable[..., dict[str, str]]

END = 1_795_355_434_000_250_000
EVERYTHING = {
    "q.x-tenant": "acme",
    "q.cookie": "secret",
    "q.referer": "https://ann:pw@other.example/x?sig=1#top",
    "r.cache-control": "no-store",
    "r.set-cookie": "secret",
    "x.country": "DE",
    "x.city": "Berlin",
    "tls.version": "TLSv1.3",
    "tls.cipher": "TLS_AES_128_GCM_SHA256",
    "tls.alpn": "h2",
    "tls.sni": "shop.example.com",
    "tls.resumed": "1",
    "tls.client_subject": "/CN=ann",
    "grpc_status": "14",
    "content_type": "application/grpc",
    "forwarded": "for=6.6.6.6",
    "x-forwarded-for": "6.6.6.6",
    "x-forwarded-proto": "https",
    "x-forwarded-host": "forged.example",
    "x-forwarded-port": "1",
}
"""All that HAProxy could send, wanted or not."""


@pytest.fixture
def ending(record: Record) -> Callable[..., Ending]:
    """The ending of the ordinary record, with these parameters changed."""

    def build(**parameters: str) -> Ending:
        return read_ending(END, record(**parameters))

    return build


def once(attributes: Attributes) -> dict[str, Attribute]:
    """As a mapping: OTLP wants each key once."""
    mapping = dict(attributes)
    assert len(mapping) == len(attributes)
    return mapping


class Both:
    """The attributes of both spans, and what came before them."""

    def __init__(self, builder: AttributeBuilder, ending: Ending, extras: Mapping[str, str] | None = None) -> None:
        self.facts: Facts = builder.read(ending) if extras is None else builder.read(ending, extras)
        self.server = once(builder.server(ending, self.facts))
        self.client = once(builder.client(ending, self.facts, ending.status_code))


def with_options(**options: Any) -> AttributeBuilder:
    return AttributeBuilder(AttributeOptions(**options))


ROUTES = parse_routes(
    {
        "routes": [
            {
                "host": "shop.example.com",
                "path": "/x",
                "route": "/x/{id}",
                "attributes": {"k8s.ingress.name": "shop", "team": "r"},
            }
        ]
    }
)


class TestDefault:
    def test_an_ordinary_exchange(self, ending: Callable[..., Ending]) -> None:
        both = Both(AttributeBuilder(), ending(host="shop.example.com:8443", user_agent="curl/8", HQ="?a=1&sig=x", ID="id", TR="1"))
        assert both.server == {
            "http.request.method": "GET",
            "url.scheme": "http",
            "url.path": "/x/200",
            "url.query": "a=1&sig=REDACTED",
            "http.response.status_code": 200,
            "network.protocol.version": "1.1",
            "server.address": "shop.example.com",
            "server.port": 8443,
            "client.address": "192.0.2.10",
            "network.peer.address": "192.0.2.10",
            "network.peer.port": 54_614,
            "user_agent.original": "curl/8",
            "http.request.size": 170,
            "http.response.size": 51,
            "haproxy.frontend.name": "fe",
            "haproxy.backend.name": "be",
            "haproxy.termination_state": "--",
            "haproxy.time.request": 0.001,
            "haproxy.time.queue": 0.0,
            "haproxy.unique_id": "id",
        }
        assert both.client == {
            "http.request.method": "GET",
            "server.address": "shop.example.com",
            "server.port": 8443,
            "url.full": "http://shop.example.com:8443/x/200?a=1&sig=REDACTED",
            "http.response.status_code": 200,
            "network.peer.address": "192.0.2.20",
            "network.peer.port": 8080,
            "haproxy.backend.name": "be",
            "haproxy.server.name": "one",
            "haproxy.time.connect": 0.0,
            "haproxy.time.response": 0.003,
        }
        assert (both.facts.server_name, both.facts.client_name) == ("GET", "GET")

    def test_whatever_haproxy_sends_is_not_said_unless_it_is_asked_for(self, ending: Callable[..., Ending]) -> None:
        plain, sent = Both(AttributeBuilder(), ending()), Both(AttributeBuilder(), ending(), EVERYTHING)
        assert (sent.server, sent.client) == (plain.server, plain.client)
        assert sent.facts.server_name == "GET"

    def test_a_server_that_is_named_by_nothing_but_its_address(self, ending: Callable[..., Ending]) -> None:
        both = Both(AttributeBuilder(), ending(si="2001:db8::1", sp="443", ssl_bc="1"))
        assert both.client["url.full"] == "https://[2001:db8::1]:443/x/200"
        assert (both.client["server.address"], both.client["server.port"]) == ("2001:db8::1", 443)
        assert "server.address" not in both.server

    def test_credentials_in_a_host_stay_out(self, ending: Callable[..., Ending]) -> None:
        both = Both(AttributeBuilder(), ending(host="ann:pw@shop.example.com"))
        assert "pw" not in str([*both.server.values(), *both.client.values()])

    def test_an_unparsable_request_has_no_path(self, ending: Callable[..., Ending]) -> None:
        builder = AttributeBuilder(routes=parse_routes({"routes": [{}]}))
        bad = ending(HM="<BADREQ>", HPO="<BADREQ>", HQ="<BADREQ>", HV="<BADREQ>", s="<NOSRV>", b="fe")
        facts = builder.read(bad)
        server = once(builder.server(bad, facts))
        assert (facts.server_name, server["http.request.method"]) == ("HTTP", "_OTHER")
        assert server.keys().isdisjoint(
            {"url.path", "url.query", "http.route", "http.request.method_original", "haproxy.backend.name"}
        )

    def test_an_unknown_method(self, ending: Callable[..., Ending]) -> None:
        both = Both(with_options(known_methods=frozenset({"GET"})), ending(HM="BREW"))
        for attributes in (both.server, both.client):
            assert (attributes["http.request.method"], attributes["http.request.method_original"]) == ("_OTHER", "BREW")
        assert both.facts.server_name == "HTTP"

    def test_retries_and_queues(self, ending: Callable[..., Ending]) -> None:
        client = Both(AttributeBuilder(), ending(rc="+2", bq="3", sq="4", Tc="-1")).client
        assert client["http.request.resend_count"] == client["haproxy.retries"] == 2
        assert (client["haproxy.redispatched"], client["haproxy.queue.backend"], client["haproxy.queue.server"]) == (True, 3, 4)
        assert "haproxy.time.connect" not in client


class TestRedaction:
    def test_paths_are_scrubbed_on_both_spans(self, ending: Callable[..., Ending]) -> None:
        both = Both(with_options(redactor=Redactor(scrubs=[(r"\d+", "N")])), ending(host="h", HPO="/x/200"))
        assert (both.server["url.path"], both.client["url.full"]) == ("/x/N", "http://h/x/N")


class TestRoutes:
    def test_a_route_names_the_server_span_and_adds_its_attributes(self, ending: Callable[..., Ending]) -> None:
        both = Both(AttributeBuilder(routes=ROUTES), ending(host="shop.example.com"))
        assert (both.facts.server_name, both.facts.client_name) == ("GET /x/{id}", "GET")
        assert both.server["http.route"] == "/x/{id}"
        assert both.server["k8s.ingress.name"] == both.client["k8s.ingress.name"] == "shop"
        assert "http.route" not in both.client

    def test_an_unknown_method_with_a_route(self, ending: Callable[..., Ending]) -> None:
        assert Both(AttributeBuilder(routes=ROUTES), ending(host="shop.example.com", HM="BREW")).facts.server_name == "HTTP /x/{id}"

    def test_routes_are_matched_with_the_path_as_it_came(self, ending: Callable[..., Ending]) -> None:
        builder = AttributeBuilder(AttributeOptions(redactor=Redactor(scrubs=[(r"/x/\d+", "/N")])), ROUTES)
        both = Both(builder, ending(host="shop.example.com"))
        assert (both.server["http.route"], both.server["url.path"]) == ("/x/{id}", "/N")

    def test_the_table_can_be_replaced(self, ending: Callable[..., Ending]) -> None:
        builder = AttributeBuilder(routes=ROUTES)
        builder.routes = RouteTable()
        assert "http.route" not in Both(builder, ending(host="shop.example.com")).server

    def test_the_routes_attributes_win_over_the_options(self, ending: Callable[..., Ending]) -> None:
        options = AttributeOptions(attributes=(("team", "o"), ("region", "eu")), header_attributes=(("team", "x-tenant"),))
        both = Both(AttributeBuilder(options, ROUTES), ending(host="shop.example.com"), EVERYTHING)
        for attributes in (both.server, both.client):
            assert (attributes["team"], attributes["region"]) == ("r", "eu")


class TestForwarded:
    TRUSTING = ForwardedReader(Trust.TRUSTED_NETWORKS, ["192.0.2.0/24"])

    def test_client_scheme_and_host_are_as_forwarded(self, ending: Callable[..., Ending]) -> None:
        extras = {"x-forwarded-for": "9.9.9.9:99", "x-forwarded-proto": "https", "x-forwarded-host": "www.example"}
        both = Both(with_options(forwarded=self.TRUSTING), ending(host="inner:8080"), extras)
        server = both.server
        assert (server["client.address"], server["client.port"], server["url.scheme"]) == ("9.9.9.9", 99, "https")
        assert (server["server.address"], server["server.port"]) == ("www.example", 443)
        assert (server["network.peer.address"], server["network.peer.port"]) == ("192.0.2.10", 54_614)
        assert both.client["url.full"] == "http://inner:8080/x/200"

    def test_what_is_not_forwarded_is_the_requests_own(self, ending: Callable[..., Ending]) -> None:
        server = Both(with_options(forwarded=self.TRUSTING), ending(host="shop:81"), {"x-forwarded-for": "9.9.9.9"}).server
        assert (server["server.address"], server["server.port"], server["url.scheme"]) == ("shop", 81, "http")
        assert "client.port" not in server

    def test_a_port_of_its_own(self, ending: Callable[..., Ending]) -> None:
        extras = {"x-forwarded-for": "9.9.9.9", "x-forwarded-port": "8443"}
        server = Both(with_options(forwarded=self.TRUSTING), ending(host="shop:81"), extras).server
        assert (server["server.address"], server["server.port"]) == ("shop", 8443)


class TestHeadersAndSamples:
    def test_listed_headers_are_lists_on_the_server_span(self, ending: Callable[..., Ending]) -> None:
        builder = with_options(request_headers=("x-tenant", "x-absent", "referer"), response_headers=("cache-control",))
        both = Both(builder, ending(), EVERYTHING)
        headers = {name: value for name, value in both.server.items() if ".header." in name}
        assert headers == {
            "http.request.header.x-tenant": ["acme"],
            "http.request.header.referer": ["https://other.example/x?sig=REDACTED"],
            "http.response.header.cache-control": ["no-store"],
        }
        assert not [name for name in both.client if ".header." in name]

    def test_listed_samples(self, ending: Callable[..., Ending]) -> None:
        both = Both(with_options(samples=("country", "absent")), ending(), EVERYTHING)
        assert both.server["haproxy.country"] == "DE"
        assert both.server.keys().isdisjoint({"haproxy.city", "haproxy.absent"})
        assert "haproxy.country" not in both.client

    @pytest.mark.parametrize("value", ["", "-"])
    def test_what_haproxy_does_not_have_is_not_said(self, ending: Callable[..., Ending], value: str) -> None:
        builder = with_options(request_headers=("a",), samples=("b",), header_attributes=(("c", "a"),), tls=True)
        extras = {"q.a": value, "x.b": value, "tls.version": value, "tls.cipher": value, "tls.sni": value, "tls.resumed": value}
        assert Both(builder, ending(), extras).server == Both(AttributeBuilder(), ending()).server

    def test_attributes_of_the_users_own_are_on_both_spans(self, ending: Callable[..., Ending]) -> None:
        options = {"attributes": (("region", "eu"),), "header_attributes": (("tenant", "x-tenant"), ("none", "x-absent"))}
        both = Both(with_options(**options), ending(), EVERYTHING)
        for attributes in (both.server, both.client):
            assert (attributes["region"], attributes["tenant"]) == ("eu", "acme")
            assert "none" not in attributes


class TestTls:
    def test_attributes(self, ending: Callable[..., Ending]) -> None:
        server = Both(with_options(tls=True), ending(host="other.example"), EVERYTHING).server
        assert {name: value for name, value in server.items() if "tls." in name} == {
            "tls.protocol.name": "tls",
            "tls.protocol.version": "1.3",
            "tls.cipher": "TLS_AES_128_GCM_SHA256",
            "tls.next_protocol": "h2",
            "tls.resumed": True,
            "tls.client.subject": "/CN=ann",
            "haproxy.tls.server_name": "shop.example.com",
        }

    def test_the_server_name_is_the_host_where_there_is_no_other(self, ending: Callable[..., Ending]) -> None:
        server = Both(with_options(tls=True), ending(sslv="TLSv1.3"), EVERYTHING).server
        assert (server["server.address"], server["server.port"]) == ("shop.example.com", 443)
        assert "haproxy.tls.server_name" not in server

    def test_a_server_name_that_is_the_host_is_not_said_twice(self, ending: Callable[..., Ending]) -> None:
        server = Both(with_options(tls=True), ending(host="shop.example.com"), EVERYTHING).server
        assert "haproxy.tls.server_name" not in server

    @pytest.mark.parametrize(
        ("text", "name", "version"), [("SSLv3", "ssl", "3"), ("TLSv1", "tls", "1"), ("TLSv1.2", "tls", "1.2"), ("x", None, None)]
    )
    def test_versions(self, ending: Callable[..., Ending], text: str, name: str | None, version: str | None) -> None:
        server = Both(with_options(tls=True), ending(), {"tls.version": text, "tls.resumed": "0"}).server
        assert (server.get("tls.protocol.name"), server.get("tls.protocol.version")) == (name, version)
        assert server["tls.resumed"] is False

    @pytest.mark.parametrize("extras", [{}, {"tls.version": "-"}])
    def test_a_connection_without_tls_has_resumed_nothing(self, ending: Callable[..., Ending], extras: dict[str, str]) -> None:
        server = Both(with_options(tls=True), ending(), {**extras, "tls.resumed": "0"}).server
        assert "tls.resumed" not in server


class TestGrpc:
    def test_a_call(self, ending: Callable[..., Ending]) -> None:
        both = Both(with_options(grpc=True), ending(HM="POST", HPO="/shop.Cart/Add"), EVERYTHING)
        assert (both.facts.server_name, both.facts.client_name) == ("shop.Cart/Add", "shop.Cart/Add")
        for attributes in (both.server, both.client):
            assert attributes["rpc.system.name"] == "grpc"
            assert attributes["rpc.method"] == "shop.Cart/Add"
            assert attributes["rpc.response.status_code"] == "UNAVAILABLE"
            assert attributes["http.request.method"] == "POST"

    def test_another_request(self, ending: Callable[..., Ending]) -> None:
        both = Both(with_options(grpc=True), ending(), EVERYTHING | {"content_type": "text/html"})
        assert both.facts.call is None
        assert not [name for name in both.server if name.startswith("rpc.")]


class TestServicePeer:
    @pytest.mark.parametrize(
        ("peer", "backend", "name", "namespace"),
        [
            (ServicePeer.OFF, "shop_cart_http", None, None),
            (ServicePeer.BACKEND, "shop_cart_http", "shop_cart_http", None),
            (ServicePeer.KUBERNETES_BACKEND, "shop_cart_http", "cart", "shop"),
            (ServicePeer.KUBERNETES_BACKEND, "shop_svc_cart_http", "cart", "shop"),
            (ServicePeer.KUBERNETES_BACKEND, "shop_cart-num_8080", "cart-num", "shop"),
            (ServicePeer.KUBERNETES_BACKEND, "be", None, None),
            (ServicePeer.KUBERNETES_BACKEND, "_error404", None, None),
            (ServicePeer.KUBERNETES_BACKEND, "a_b_c_d", None, None),
            (ServicePeer.KUBERNETES_BACKEND, "__", None, None),
        ],
    )
    def test_its_name(
        self, ending: Callable[..., Ending], peer: ServicePeer, backend: str, name: str | None, namespace: str | None
    ) -> None:
        both = Both(with_options(service_peer=peer, peer_service=True), ending(b=backend))
        said = tuple(both.client.get(f"{key}") for key in ("service.peer.name", "service.peer.namespace", "peer.service"))
        assert said == (name, namespace, name)
        assert not [key for key in both.server if "peer.name" in key or key == "peer.service"]

    def test_the_deprecated_name_has_to_be_asked_for(self, ending: Callable[..., Ending]) -> None:
        assert "peer.service" not in Both(with_options(service_peer=ServicePeer.BACKEND), ending()).client


TEXT = st.sampled_from(["", "-", "0", "1", "TLSv1.3", "application/grpc", "for=1.2.3.4", "10.0.0.1, 9.9.9.9:1", "https", "ä\x00\n"])


TYPES = {"string": str, "string[]": list, "int": int, "double": float, "boolean": bool}


@given(
    extras=st.dictionaries(st.sampled_from(sorted(EVERYTHING)), TEXT),
    parameters=st.fixed_dictionaries(
        {
            "HPO": st.sampled_from(["/", "/x/1", "*", "/a.B/c"]),
            "HM": st.sampled_from(["GET", "BREW", "<BADREQ>"]),
            "host": st.sampled_from(["-", "shop.example.com", "x:1"]),
            "ST": st.sampled_from(["-1", "200", "404"]),
        }
    ),
)
def test_every_attribute_is_in_the_table_with_its_type_and_span(
    record: Record, extras: dict[str, str], parameters: dict[str, str]
) -> None:
    options = AttributeOptions(
        forwarded=ForwardedReader(Trust.ALL),
        request_headers=("x-tenant", "referer"),
        response_headers=("cache-control",),
        tls=True,
        grpc=True,
        service_peer=ServicePeer.BACKEND,
        peer_service=True,
    )
    routes = parse_routes({"routes": [{"host": "shop.example.com"}]})
    both = Both(AttributeBuilder(options, routes), read_ending(END, record(**parameters)), extras)
    table = {definition.name: definition for definition in ATTRIBUTES}
    for kind, attributes in (("SERVER", both.server), ("CLIENT", both.client)):
        for name, value in attributes.items():
            definition = table[re.sub(r"(header\.).*", r"\1<key>", name)]
            assert type(value) is TYPES[definition.type]
            assert kind in definition.spans
