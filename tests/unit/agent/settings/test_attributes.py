"""From settings to the parts of the core."""

from collections.abc import Callable
from typing import Any

from haproxy_telemetry_agent.settings import parse_settings
from haproxy_telemetry_agent.settings.attributes import attribute_builder, captured_request_headers, span_limits
from haproxy_telemetry_agent.settings.spans import Spans
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from haproxy_telemetry_agent.tracing.ending import read_ending
from haproxy_telemetry_agent.tracing.limits import SpanLimits
from haproxy_telemetry_agent.tracing.routes import parse_routes
from haproxy_telemetry_agent.tracing.span import Attribute
from haproxy_telemetry_agent.wiring import record_fields

RECORD = {field.name: "-" for field in record_fields()} | {
    "ST": "200",
    "ts": "--",
    "HM": "GET",
    "HV": "HTTP/1.1",
    "f": "fe",
    "b": "shop_cart_http",
    "s": "one",
    "ci": "192.0.2.10",
    "host": "shop.example",
    "HPO": "/users/ann",
    "HQ": "?page=1&email=x",
    **dict.fromkeys(("TR", "Tw", "Tc", "Tr", "Ta", "rc", "bq", "sq", "U", "B", "ssl_bc"), "0"),
}
EXTRAS = {
    "q.x-tenant": "acme",
    "q.authorization": "s3cret",
    "r.cache-control": "no-store",
    "x.country": "DE",
    "tls.alpn": "h2",
    "content_type": "application/grpc",
    "x-forwarded-for": "9.9.9.9",
}


def spans(**fields: Any) -> Spans:
    return parse_settings({"spans": fields}).spans


def attributes(builder: AttributeBuilder) -> tuple[dict[str, Attribute], dict[str, Attribute]]:
    ending = read_ending(10**18, RECORD)
    facts = builder.read(ending, EXTRAS)
    return dict(builder.server(ending, facts)), dict(builder.client(ending, facts, 200))


def test_the_default_settings_are_the_cores_defaults() -> None:
    assert attributes(attribute_builder(Spans(), {})) == attributes(AttributeBuilder())
    assert span_limits(Spans()) == SpanLimits()
    assert captured_request_headers(Spans()) == []


def test_every_setting_arrives() -> None:
    settings = spans(
        queryMode="AllowList",
        allowedQueryParameters=["page"],
        scrubPaths=[{"pattern": "^/users/[^/]+", "replacement": "/users/N"}],
        knownMethods=["BREW"],
        forwarded={"trust": "TrustedNetworks", "networks": ["192.0.2.0/24"], "headers": "XForwarded"},
        requestHeaders=["X-Tenant"],
        responseHeaders=["Cache-Control"],
        attributes=[
            {"name": "region", "value": "eu"},
            {"name": "rack", "env": "RACK"},
            {"name": "none", "env": "NONE"},
            {"name": "tenant", "requestHeader": "X-Tenant"},
        ],
        samples=[{"name": "country", "fetch": "src"}],
        tls=True,
        grpc=True,
        servicePeerName="KubernetesBackend",
        peerService=True,
    )
    routes = parse_routes({"routes": [{"path": "/users"}]})
    server, client = attributes(attribute_builder(settings, {"RACK": "r7", "NONE": ""}, routes))
    expected = {
        "http.request.method": "_OTHER",
        "url.path": "/users/N",
        "url.query": "page=1&email=REDACTED",
        "client.address": "9.9.9.9",
        "http.route": "/users",
        "http.request.header.x-tenant": ["acme"],
        "http.response.header.cache-control": ["no-store"],
        "region": "eu",
        "rack": "r7",
        "tenant": "acme",
        "haproxy.country": "DE",
        "tls.next_protocol": "h2",
        "rpc.system.name": "grpc",
    }
    assert {name: server[name] for name in expected} == expected
    assert "none" not in server
    assert "s3cret" not in str(server) + str(client)
    assert (client["service.peer.name"], client["service.peer.namespace"], client["peer.service"]) == ("cart", "shop", "cart")


def test_redaction_of_queries_can_be_off_or_have_another_list() -> None:
    query: Callable[[Spans], Attribute] = lambda settings: attributes(attribute_builder(settings, {}))[0]["url.query"]  # noqa: E731
    assert query(spans(redactQuery=False, sensitiveQueryParameters=["email"])) == "page=1&email=x"
    assert query(spans(sensitiveQueryParameters=["email"])) == "page=1&email=REDACTED"


def test_headers_to_capture_are_those_of_all_attributes() -> None:
    own = [{"name": "c", "requestHeader": "X-C"}, {"name": "b", "requestHeader": "x-b"}]
    assert captured_request_headers(spans(requestHeaders=["X-B", "x-a"], attributes=own)) == ["x-a", "x-b", "x-c"]


def test_limits() -> None:
    settings = spans(limits={"attributeCount": 1, "attributeValueLength": 2, "eventCount": 3, "linkCount": 4})
    assert span_limits(settings) == SpanLimits(attribute_count=1, attribute_value_length=2, event_count=3, link_count=4)
