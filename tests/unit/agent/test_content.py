"""Content: what the settings want of spans is asked of HAProxy, and comes out as attributes."""

from collections.abc import Callable
from typing import Any

import pytest

from haproxy_telemetry_agent.content import captures, make_attribute_builder, make_limits, static_attributes
from haproxy_telemetry_agent.settings import Settings, parse_settings
from haproxy_telemetry_agent.settings.spans import Spans
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from haproxy_telemetry_agent.tracing.ending import read_ending
from haproxy_telemetry_agent.tracing.limits import SpanLimits
from haproxy_telemetry_agent.tracing.routes import parse_routes
from haproxy_telemetry_agent.tracing.span import Attribute
from haproxy_telemetry_agent.wiring import Capture, Plan, record_fields

RECORD = {field.name: "-" for field in record_fields(Plan())} | {
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
    assert attributes(make_attribute_builder(Spans(), {})) == attributes(AttributeBuilder())
    assert make_limits(Spans()) == SpanLimits()


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
    server, client = attributes(make_attribute_builder(settings, {"RACK": "r7", "NONE": ""}, routes))
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
    query: Callable[[Spans], Attribute] = lambda settings: attributes(make_attribute_builder(settings, {}))[0]["url.query"]  # noqa: E731
    assert query(spans(redactQuery=False, sensitiveQueryParameters=["email"])) == "page=1&email=x"
    assert query(spans(sensitiveQueryParameters=["email"])) == "page=1&email=REDACTED"


def test_limits() -> None:
    settings = spans(limits={"attributeCount": 1, "attributeValueLength": 2, "eventCount": 3, "linkCount": 4})
    assert make_limits(settings) == SpanLimits(attribute_count=1, attribute_value_length=2, event_count=3, link_count=4)


def test_by_default_nothing_is_captured() -> None:
    assert captures(Settings(), []) == ()


@pytest.mark.parametrize(
    ("spans", "expected"),
    [
        ({"requestHeaders": ["X-Tenant"]}, [Capture("q.x-tenant", "req.fhdr(x-tenant)")]),
        ({"responseHeaders": ["Age"]}, [Capture("r.age", "res.fhdr(age)", "response")]),
        ({"attributes": [{"name": "a", "requestHeader": "X-A"}]}, [Capture("q.x-a", "req.fhdr(x-a)")]),
        ({"attributes": [{"name": "a", "value": "b"}]}, []),
        ({"samples": [{"name": "rtt", "fetch": "fc_rtt(us)", "at": "End"}]}, [Capture("x.rtt", "fc_rtt(us)", "end")]),
        (
            {"grpc": True},
            [Capture("content_type", "req.fhdr(content-type)"), Capture("grpc_status", "res.fhdr(grpc-status)", "response")],
        ),
        (
            {"forwarded": {"trust": "All", "headers": "Forwarded"}},
            [Capture("forwarded", "req.fhdr(forwarded)")],
        ),
    ],
)
def test_what_is_wanted_is_asked_for(spans: dict[str, object], expected: list[Capture]) -> None:
    assert list(captures(parse_settings({"spans": spans}), [])) == expected


def test_a_header_that_only_sampling_looks_at_stays_out_of_the_record() -> None:
    assert captures(parse_settings({"spans": {"requestHeaders": ["X-A"]}}), ["x-a", "x-b"]) == (
        Capture("q.x-a", "req.fhdr(x-a)"),
        Capture("s.x-b", "req.fhdr(x-b)", "decision"),
    )


def test_every_key_that_is_captured_is_one_that_the_builder_knows() -> None:
    settings = parse_settings(
        {
            "spans": {
                "requestHeaders": ["X-Tenant"],
                "responseHeaders": ["Cache-Control"],
                "samples": [{"name": "country", "fetch": "src"}],
                "tls": True,
                "grpc": True,
                "forwarded": {"trust": "All"},
            }
        }
    )
    assert {capture.key for capture in captures(settings, [])} >= set(EXTRAS) - {"q.authorization"}


def test_static_attributes_are_those_that_have_a_value() -> None:
    attributes = [
        {"name": "a", "value": "1"},
        {"name": "b", "env": "B"},
        {"name": "c", "env": "C"},
        {"name": "d", "requestHeader": "x-d"},
    ]
    assert static_attributes(spans(attributes=attributes), {"B": "2"}) == (("a", "1"), ("b", "2"))


def test_who_the_client_is_comes_first_in_the_token() -> None:
    """It has room there, however long the headers are that are captured besides."""
    settings = parse_settings({"spans": {"requestHeaders": ["x-a"], "grpc": True, "forwarded": {"trust": "All"}}})
    keys = [capture.key for capture in captures(settings, ["x-b"])]
    assert keys.index("x-forwarded-for") < keys.index("content_type") < keys.index("q.x-a") < keys.index("s.x-b")
