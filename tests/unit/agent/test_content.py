"""Content: what the settings want of spans is asked of HAProxy, and comes out as attributes."""

from collections.abc import Mapping

import pytest

from haproxy_telemetry_agent.content import captures, make_attribute_builder, make_limits
from haproxy_telemetry_agent.settings import Settings, parse_settings
from haproxy_telemetry_agent.tracing.attributes import AttributeBuilder
from haproxy_telemetry_agent.tracing.ending import Ending, read_ending
from haproxy_telemetry_agent.tracing.limits import SpanLimits
from haproxy_telemetry_agent.wiring import FIELDS, Capture

NUMBERS = ("ST", "TR", "Tw", "Tc", "Tr", "Ta", "rc", "bq", "sq", "U", "B", "ssl_bc")


def settings_with(**spans: object) -> Settings:
    return parse_settings({"spans": spans})


def ending() -> Ending:
    fields = {field.name: "-" for field in FIELDS if field.record} | dict.fromkeys(NUMBERS, "0")
    return read_ending(1, fields | {"HM": "GET", "HV": "HTTP/1.1", "HPO": "/x", "HQ": "?token=a&b=1", "s": "one", "ci": "10.0.0.1"})


def server_attributes(builder: AttributeBuilder, extras: Mapping[str, str]) -> dict[str, object]:
    facts = builder.read(ending(), extras)
    return dict(builder.server(ending(), facts))


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
    assert list(captures(settings_with(**spans), [])) == expected


def test_a_header_that_only_sampling_looks_at_stays_out_of_the_record() -> None:
    assert captures(settings_with(requestHeaders=["X-A"]), ["x-a", "x-b"]) == (
        Capture("q.x-a", "req.fhdr(x-a)"),
        Capture("s.x-b", "req.fhdr(x-b)", "decision"),
    )


def test_what_is_captured_is_shown_and_nothing_else() -> None:
    settings = settings_with(
        requestHeaders=["X-Tenant"],
        responseHeaders=["Age"],
        samples=[{"name": "rtt", "fetch": "fc_rtt"}],
        attributes=[{"name": "region", "value": "eu"}, {"name": "zone", "env": "ZONE"}, {"name": "unset", "env": "UNSET"}],
        tls=True,
    )
    builder = make_attribute_builder(settings.spans, {"ZONE": "a"})
    extras = {"q.x-tenant": "t", "r.age": "3", "x.rtt": "7", "q.other": "no", "tls.version": "TLSv1.3", "tls.cipher": "AES"}
    attributes = server_attributes(builder, extras)
    assert (
        attributes.items()
        >= {
            "http.request.header.x-tenant": ["t"],
            "http.response.header.age": ["3"],
            "haproxy.rtt": "7",
            "region": "eu",
            "zone": "a",
            "tls.protocol.version": "1.3",
            "tls.cipher": "AES",
        }.items()
    )
    assert not {name for name in attributes if "other" in name or "unset" in name}
    # Every key that is captured is one that the builder knows.
    assert {capture.key for capture in captures(settings, [])} >= set(extras) - {"q.other"}


@pytest.mark.parametrize(("version", "expected"), [("TLSv1.3", False), ("-", None), ("", None)])
def test_a_connection_without_tls_resumes_nothing(version: str, expected: bool | None) -> None:
    builder = make_attribute_builder(settings_with(tls=True).spans, {})
    attributes = server_attributes(builder, {"tls.version": version, "tls.resumed": "0"})
    assert attributes.get("tls.resumed") is expected


def test_redaction_and_forwarded_headers() -> None:
    settings = settings_with(
        queryMode="AllowList",
        allowedQueryParameters=["b"],
        scrubPaths=[{"pattern": "^/x$", "replacement": "/y"}],
        forwarded={"trust": "TrustedNetworks", "networks": ["10.0.0.0/8"]},
    )
    attributes = server_attributes(make_attribute_builder(settings.spans, {}), {"x-forwarded-for": "192.0.2.7"})
    assert (attributes["url.query"], attributes["url.path"], attributes["client.address"]) == (
        "token=REDACTED&b=1",
        "/y",
        "192.0.2.7",
    )


def test_limits() -> None:
    assert make_limits(Settings().spans) == SpanLimits()
    assert make_limits(
        settings_with(limits={"attributeCount": 5, "attributeValueLength": 7, "eventCount": 1, "linkCount": 0}).spans
    ) == (SpanLimits(5, 7, 1, 0))
