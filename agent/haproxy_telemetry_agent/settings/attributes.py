"""From the settings of spans to what builds their attributes and keeps their limits."""

from collections.abc import Mapping

from ..tracing.attributes import AttributeBuilder, AttributeOptions, ServicePeer
from ..tracing.forwarded import ForwardedReader, Headers, Trust
from ..tracing.limits import SpanLimits
from ..tracing.redaction import Redactor
from ..tracing.routes import NO_ROUTES, RouteTable
from .spans import Spans

__all__ = ["attribute_builder", "captured_request_headers", "span_limits"]


def attribute_builder(spans: Spans, environ: Mapping[str, str], routes: RouteTable = NO_ROUTES) -> AttributeBuilder:
    """The builder for checked settings; ``environ`` is where attributes with ``env`` are looked up, now."""
    fixed: list[tuple[str, str]] = []
    for attribute in spans.attributes:
        value = environ.get(attribute.env, "") if attribute.env is not None else attribute.value
        if value:
            fixed.append((attribute.name, value))
    options = AttributeOptions(
        known_methods=frozenset(spans.known_methods),
        redactor=_redactor(spans),
        forwarded=ForwardedReader(Trust(spans.forwarded.trust), spans.forwarded.networks, Headers(spans.forwarded.headers)),
        attributes=tuple(fixed),
        header_attributes=tuple((item.name, item.request_header.lower()) for item in spans.attributes if item.request_header),
        request_headers=tuple(name.lower() for name in spans.request_headers),
        response_headers=tuple(name.lower() for name in spans.response_headers),
        samples=tuple(sample.name for sample in spans.samples),
        tls=spans.tls,
        grpc=spans.grpc,
        service_peer=ServicePeer(spans.service_peer_name),
        peer_service=spans.peer_service,
    )
    return AttributeBuilder(options, routes)


def captured_request_headers(spans: Spans) -> list[str]:
    """The headers of a request that HAProxy has to capture, lower-case: for their own attributes and for those of other names."""
    names = [*spans.request_headers, *(item.request_header for item in spans.attributes if item.request_header)]
    return sorted({name.lower() for name in names})


def span_limits(spans: Spans) -> SpanLimits:
    """The limits, for the core."""
    limits = spans.limits
    return SpanLimits(limits.attribute_count, limits.attribute_value_length, limits.event_count, limits.link_count)


def _redactor(spans: Spans) -> Redactor:
    return Redactor(
        sensitive=frozenset(spans.sensitive_query_parameters) if spans.redact_query else frozenset(),
        allowed=frozenset(spans.allowed_query_parameters) if spans.query_mode == "AllowList" else None,
        scrubs=[(scrub.pattern, scrub.replacement) for scrub in spans.scrub_paths],
    )
