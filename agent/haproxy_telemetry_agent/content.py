"""What the settings say of the spans' content, made into the objects that make it, and into what HAProxy is asked for.

What is captured has a key that says what it is (see ``tracing.attributes``); the agent shows what its own settings name, whatever
HAProxy sends.
"""

from collections.abc import Mapping

from .settings import Settings
from .settings.spans import Spans
from .tracing.answer import SAMPLING_ONLY
from .tracing.attributes import AttributeBuilder, AttributeOptions, ServicePeer
from .tracing.forwarded import ForwardedReader, Headers, Trust
from .tracing.limits import SpanLimits
from .tracing.redaction import Redactor
from .tracing.routes import NO_ROUTES, RouteTable
from .wiring import Capture

__all__ = ["captures", "make_attribute_builder", "make_limits", "static_attributes"]

_TLS = (
    Capture("tls.version", "ssl_fc_protocol", "end"),
    Capture("tls.cipher", "ssl_fc_cipher", "end"),
    Capture("tls.alpn", "ssl_fc_alpn", "end"),
    Capture("tls.sni", "ssl_fc_sni", "end"),
    Capture("tls.resumed", "ssl_fc_is_resumed", "end"),
    Capture("tls.client_subject", "ssl_c_s_dn", "end"),
)
_GRPC = (Capture("content_type", "req.fhdr(content-type)"), Capture("grpc_status", "res.fhdr(grpc-status)", "response"))
_FORWARDED = {
    "Forwarded": ("forwarded",),
    "XForwarded": ("x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port"),
}
_MOMENTS = {"Request": "request", "Response": "response", "End": "end"}


def make_attribute_builder(spans: Spans, environ: Mapping[str, str], routes: RouteTable = NO_ROUTES) -> AttributeBuilder:
    """What makes the attributes; ``environ`` is where ``env`` attributes are from."""
    options = AttributeOptions(
        known_methods=frozenset(spans.known_methods),
        redactor=_make_redactor(spans),
        forwarded=ForwardedReader(
            Trust(spans.forwarded.trust),
            networks=spans.forwarded.networks,
            headers=Headers(spans.forwarded.headers),
        ),
        attributes=static_attributes(spans, environ),
        header_attributes=tuple(
            (attribute.name, attribute.request_header.lower())
            for attribute in spans.attributes
            if attribute.request_header is not None
        ),
        request_headers=tuple(name.lower() for name in spans.request_headers),
        response_headers=tuple(name.lower() for name in spans.response_headers),
        samples=tuple(sample.name for sample in spans.samples),
        tls=spans.tls,
        grpc=spans.grpc,
        service_peer=ServicePeer(spans.service_peer_name),
        peer_service=spans.peer_service,
    )
    return AttributeBuilder(options, routes)


def static_attributes(spans: Spans, environ: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """Those that do not depend on the exchange; ``environ`` is where ``env`` attributes are from."""
    values = (
        (attribute.name, environ.get(attribute.env, "") if attribute.env is not None else attribute.value)
        for attribute in spans.attributes
    )
    return tuple((name, value) for name, value in values if value)


def make_limits(spans: Spans) -> SpanLimits:
    """The limits of spans."""
    limits = spans.limits
    return SpanLimits(limits.attribute_count, limits.attribute_value_length, limits.event_count, limits.link_count)


def captures(settings: Settings, looked_at_headers: list[str]) -> tuple[Capture, ...]:
    """What HAProxy is asked for beyond the table of fields; ``looked_at_headers`` are those that sampling needs."""
    spans = settings.spans
    named = [*spans.request_headers, *(attribute.request_header for attribute in spans.attributes if attribute.request_header)]
    headers = list(dict.fromkeys(name.lower() for name in named))
    # The first ones have room in the token for sure: who the client is must not depend on how long its other headers are.
    wanted: list[Capture] = []
    if spans.forwarded.trust != "Ignore":
        kinds = list(_FORWARDED) if spans.forwarded.headers == "Any" else [spans.forwarded.headers]
        wanted += [Capture(name, f"req.fhdr({name})") for kind in kinds for name in _FORWARDED[kind]]
    if spans.grpc:
        wanted += _GRPC
    wanted += [Capture(f"q.{name}", f"req.fhdr({name})") for name in headers]
    wanted += [
        Capture(f"{SAMPLING_ONLY}{name}", f"req.fhdr({name})", "decision") for name in looked_at_headers if name not in headers
    ]
    wanted += [Capture(f"r.{name.lower()}", f"res.fhdr({name.lower()})", "response") for name in spans.response_headers]
    for sample in spans.samples:
        wanted.append(Capture(f"x.{sample.name}", sample.fetch, _MOMENTS[sample.at]))  # type: ignore[arg-type]
    if spans.tls:
        wanted += _TLS
    return tuple(wanted)


def _make_redactor(spans: Spans) -> Redactor:
    return Redactor(
        sensitive=frozenset(spans.sensitive_query_parameters) if spans.redact_query else frozenset(),
        allowed=frozenset(spans.allowed_query_parameters) if spans.query_mode == "AllowList" else None,
        scrubs=[(scrub.pattern, scrub.replacement) for scrub in spans.scrub_paths],
    )
