"""Settings of what spans say, and what must not leave with them."""

from collections.abc import Iterable
from typing import Annotated, Literal

import msgspec

from ..tracing.redaction import Redactor, is_sensitive_header
from ..tracing.semconv import HTTP_REQUEST_HEADER, KNOWN_METHODS, SENSITIVE_QUERY_PARAMETERS, collision
from .explanation import SettingsError
from .networks import check_networks
from .types import Struct

__all__ = ["Attribute", "CapturedHeader", "Forwarded", "PathScrub", "Sample", "SpanLimits", "Spans", "check_spans"]

CapturedHeader = Annotated[
    str,
    msgspec.Meta(
        # What a parameter of HAProxy's record may be called, less the two characters in front of the name. No underscores:
        # HAProxy's variables have them in place of dashes.
        pattern=r"^[A-Za-z0-9][A-Za-z0-9-]{0,29}$(?!\n)",
        description="a header's name of at most 30 letters, digits and dashes",
    ),
]
AttributeName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*$(?!\n)",
        max_length=128,
        description="an attribute's name, such as deployment.region",
    ),
]
SampleName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9_]+)*$(?!\n)",
        max_length=30,
        description="a name of at most 30 lower-case letters, digits, _ and dots; the attribute is haproxy.<name>",
    ),
]
SampleFetch = Annotated[
    str,
    msgspec.Meta(
        # Fetch, arguments, converters. It goes into haproxy.cfg as it is: no blank, quote, backslash, #, $, %, bracket or brace.
        pattern=r"^[a-z][a-z0-9_.]*(\([A-Za-z0-9_.:/@*+=<>~^!?,-]*\))?(,[a-z][a-z0-9_.]*(\([A-Za-z0-9_.:/@*+=<>~^!?,-]*\))?)*$(?!\n)",
        max_length=256,
        description="a sample expression of HAProxy's without blanks and quotes, such as req.cook(region),lower",
        examples=["src,ipmask(24)"],
    ),
]


class PathScrub(Struct, frozen=True):
    """A rule for paths."""

    pattern: Annotated[str, msgspec.Meta(min_length=1)]
    """A regular expression; what may take too long over a text that clients choose is refused."""
    replacement: Annotated[str, msgspec.Meta(max_length=256)] = "REDACTED"
    r"""What every match becomes; \1 is the first group."""


class Forwarded(Struct, frozen=True):
    """Whether Forwarded and X-Forwarded-* tell the client, the scheme and the host."""

    trust: Literal["Ignore", "TrustedNetworks", "All"] = "Ignore"
    """All is right only where nobody can reach HAProxy but through a proxy that sets the headers anew."""
    networks: list[str] = msgspec.field(default_factory=list)
    """Addresses of the proxies in front, as CIDRs; unix for unix sockets."""
    headers: Literal["Any", "Forwarded", "XForwarded"] = "Any"
    """The kind that the proxies in front set; with Any, a client can forge the other kind in some cases."""


class Attribute(Struct, frozen=True):
    """An attribute of both spans; exactly one of value, env and requestHeader."""

    name: AttributeName
    value: Annotated[str, msgspec.Meta(max_length=1024)] | None = None
    env: Annotated[str, msgspec.Meta(min_length=1, max_length=128)] | None = None
    """A variable of the agent's environment; no attribute if it is empty or not set."""
    request_header: CapturedHeader | None = None


class Sample(Struct, frozen=True):
    """Anything that HAProxy can fetch, as attribute haproxy.<name> of the SERVER span."""

    name: SampleName
    fetch: SampleFetch
    at: Literal["Request", "Response", "End"] = "Request"
    """When it is fetched: many fetches work at one of these moments only."""


class SpanLimits(Struct, frozen=True):
    """How much a span may hold."""

    attribute_count: Annotated[int, msgspec.Meta(ge=0)] = 128
    attribute_value_length: Annotated[int, msgspec.Meta(ge=0)] | None = None
    """Characters; none: no limit."""
    event_count: Annotated[int, msgspec.Meta(ge=0)] = 128
    link_count: Annotated[int, msgspec.Meta(ge=0)] = 128


class Spans(Struct, frozen=True):
    """What spans say."""

    redact_query: bool = True
    """Replace the values of sensitive query parameters by REDACTED."""
    query_mode: Literal["DenyList", "AllowList"] = "DenyList"
    """DenyList redacts sensitiveQueryParameters, AllowList all but allowedQueryParameters."""
    sensitive_query_parameters: list[str] = msgspec.field(default_factory=lambda: sorted(SENSITIVE_QUERY_PARAMETERS))
    """Keys whose values are redacted; replaces the default list."""
    allowed_query_parameters: list[str] = msgspec.field(default_factory=list)
    """Keys whose values are not redacted, with queryMode AllowList."""
    scrub_paths: Annotated[list[PathScrub], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)
    """Rules for paths, applied one after the other."""
    known_methods: list[str] = msgspec.field(default_factory=lambda: sorted(KNOWN_METHODS))
    """Methods that may stand in span names; all others are _OTHER."""
    forwarded: Forwarded = msgspec.field(default_factory=Forwarded)
    routes_file: Annotated[str, msgspec.Meta(min_length=1)] | None = None
    """A file of routes, for http.route and the span's name; it is read again when it changes."""
    request_headers: Annotated[list[CapturedHeader], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)
    """Headers that become http.request.header.<name>."""
    response_headers: Annotated[list[CapturedHeader], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)
    allow_sensitive_headers: bool = False
    """Allow Authorization, Cookie, API keys and the like in the lists of headers."""
    attributes: Annotated[list[Attribute], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)
    samples: Annotated[list[Sample], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)
    tls: bool = False
    """Add tls.* of the client's connection."""
    grpc: bool = False
    """Add rpc.* to gRPC calls, and name their spans after them."""
    service_peer_name: Literal["Off", "Backend", "KubernetesBackend"] = "Off"
    """Where service.peer.name is from: the backend's name, or the service in namespace_service_port."""
    peer_service: bool = False
    """Add the deprecated peer.service as well, which some service graphs still read."""
    limits: SpanLimits = msgspec.field(default_factory=SpanLimits)


def check_spans(spans: Spans) -> None:
    """Check what fields can't tell by themselves.

    Raises:
        SettingsError: names the field, its value and the fix.
    """
    _check_redaction(spans)
    _check_forwarded(spans.forwarded)
    _check_headers(spans)
    _check_attributes(spans)
    if spans.peer_service and spans.service_peer_name == "Off":
        raise SettingsError("spans.peerService: true with servicePeerName Off: it says the same as service.peer.name: set both")


def _check_redaction(spans: Spans) -> None:
    if spans.query_mode == "AllowList" and not spans.redact_query:
        raise SettingsError("spans.queryMode: 'AllowList' with redactQuery false: drop one of them")
    if spans.allowed_query_parameters and spans.query_mode != "AllowList":
        raise SettingsError("spans.allowedQueryParameters: only with queryMode AllowList: set it, or drop the list")
    for index, scrub in enumerate(spans.scrub_paths):
        try:
            Redactor(scrubs=[(scrub.pattern, scrub.replacement)])
        except ValueError as error:
            raise SettingsError(f"spans.scrubPaths[{index}].pattern: {scrub.pattern!r}: {error}") from None


def _check_forwarded(forwarded: Forwarded) -> None:
    if forwarded.trust == "TrustedNetworks" and not forwarded.networks:
        raise SettingsError("spans.forwarded.networks: [] with trust TrustedNetworks: list the proxies, such as 10.0.0.0/8")
    if forwarded.networks and forwarded.trust != "TrustedNetworks":
        raise SettingsError(f"spans.forwarded.networks: only with trust TrustedNetworks, not {forwarded.trust}")
    check_networks("spans.forwarded.networks", forwarded.networks, unix=True)


def _check_headers(spans: Spans) -> None:
    named = [
        *((f"requestHeaders[{index}]", name) for index, name in enumerate(spans.request_headers)),
        *((f"responseHeaders[{index}]", name) for index, name in enumerate(spans.response_headers)),
        *((f"attributes[{index}].requestHeader", attribute.request_header) for index, attribute in enumerate(spans.attributes)),
    ]
    for field, name in named:
        if name is not None and is_sensitive_header(name) and not spans.allow_sensitive_headers:
            raise SettingsError(
                f"spans.{field}: {name!r}: carries secrets: drop it, or set spans.allowSensitiveHeaders to true "
                "to have them in your tracing backend"
            )
    for field, names in (("requestHeaders", spans.request_headers), ("responseHeaders", spans.response_headers)):
        twice = _first_twice([name.lower() for name in names])
        if twice is not None:
            raise SettingsError(f"spans.{field}[{twice}]: {names[twice]!r}: is there already (case does not count)")


def _check_attributes(spans: Spans) -> None:
    for index, attribute in enumerate(spans.attributes):
        field = f"spans.attributes[{index}]"
        if [attribute.value, attribute.env, attribute.request_header].count(None) != 2:
            raise SettingsError(f"{field}: {attribute.name!r}: exactly one of value, env and requestHeader is required")
        _check_name(f"{field}.name", attribute.name, attribute.name, (other.name for other in spans.attributes[:index]))
    earlier = [attribute.name for attribute in spans.attributes]
    for index, sample in enumerate(spans.samples):
        name = f"haproxy.{sample.name}"
        _check_name(f"spans.samples[{index}].name", sample.name, name, earlier)
        earlier.append(name)


def _check_name(field: str, value: str, name: str, earlier: Iterable[str]) -> None:
    other = collision(name) or collision(name, earlier)
    # Headers have names of their own below a common one.
    if other == HTTP_REQUEST_HEADER and name.startswith(f"{HTTP_REQUEST_HEADER}."):
        raise SettingsError(f"{field}: {value!r}: belongs to spans.requestHeaders: list the header there")
    if other == name:
        raise SettingsError(f"{field}: {value!r}: the attribute {name} is there already: rename it")
    if other is not None:
        raise SettingsError(f"{field}: {value!r}: the attribute {name} can't stand beside {other}: rename it")


def _first_twice(names: list[str]) -> int | None:
    return next((index for index, name in enumerate(names) if name in names[:index]), None)
