"""The attributes of an exchange's two spans, from its ending and from what HAProxy captured besides.

What both spans need (method, redacted path and query, route, gRPC call) is read once, as ``Facts``. Captured texts come as
``extras``, by the keys of the record: ``q.<header>`` of the request, ``r.<header>`` of the response, ``x.<name>`` of a sample,
``tls.*``, ``content_type``, ``grpc_status``, ``forwarded`` and ``x-forwarded-*``. Only what the options name becomes an attribute,
whatever HAProxy sends. With default options and no extras, the attributes are what an ordinary exchange tells.
"""

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from enum import Enum
from functools import lru_cache
from typing import NamedTuple

import msgspec

from . import semconv
from .authority import split_authority
from .ending import BAD_REQUEST, Ending
from .forwarded import NOT_FORWARDED, Forwarded, ForwardedReader
from .hops import Add, add_peer, add_timer, add_tries
from .redaction import Redactor
from .routes import NO_ROUTES, Route, RouteTable
from .rpc import RpcCall, read_rpc
from .span import Attribute, Attributes

__all__ = ["NO_EXTRAS", "PROTOCOL_VERSIONS", "AttributeBuilder", "AttributeOptions", "Facts", "ServicePeer", "Summary"]

NO_EXTRAS: Mapping[str, str] = {}
_OTHER = "_OTHER"
PROTOCOL_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2", "HTTP/2": "2", "HTTP/3.0": "3", "HTTP/3": "3"}
"""``%HV`` of a request line longer than ``tune.http.logurilen`` says HTTP/0.9: then the version is not known."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HEADERS_WITH_URLS = frozenset({"content-location", "location", "referer"})
_TLS_VERSION = re.compile(r"(TLS|SSL)v([0-9.]+)")
_TLS_TEXTS = (
    ("tls.cipher", semconv.TLS_CIPHER),
    ("tls.alpn", semconv.TLS_NEXT_PROTOCOL),
    ("tls.client_subject", semconv.TLS_CLIENT_SUBJECT),
)


class ServicePeer(Enum):
    """Where ``service.peer.name`` is from."""

    OFF = "Off"
    BACKEND = "Backend"
    """The backend's name as it is."""
    KUBERNETES_BACKEND = "KubernetesBackend"
    """``namespace_service_port`` or ``namespace_svc_service_port``, as ingress controllers name backends."""


class AttributeOptions(msgspec.Struct, frozen=True, kw_only=True):
    """What the spans of one configuration say."""

    known_methods: AbstractSet[str] = semconv.KNOWN_METHODS
    """Methods that may stand in span names; all others are ``_OTHER``."""
    redactor: Redactor = msgspec.field(default_factory=Redactor)
    forwarded: ForwardedReader = msgspec.field(default_factory=ForwardedReader)
    attributes: tuple[tuple[str, Attribute], ...] = ()
    """On both spans of every exchange."""
    header_attributes: tuple[tuple[str, str], ...] = ()
    """Attributes and the headers of the request that they are from; on both spans."""
    request_headers: tuple[str, ...] = ()
    """Lower-case names."""
    response_headers: tuple[str, ...] = ()
    samples: tuple[str, ...] = ()
    """Names: the sample ``x.<name>`` becomes ``haproxy.<name>``."""
    tls: bool = False
    grpc: bool = False
    service_peer: ServicePeer = ServicePeer.OFF
    peer_service: bool = False
    """Whether the deprecated ``peer.service`` says the same."""


class Facts(msgspec.Struct, frozen=True, gc=False):
    """What both spans of an exchange need to know of it."""

    method: str
    """A known one, or ``_OTHER``."""
    path: str
    """Scrubbed."""
    query: str
    """Redacted, without its question mark; empty if there is none."""
    scheme: str
    """The client's."""
    server_name: str
    """The SERVER span's name."""
    client_name: str
    forwarded: Forwarded
    route: Route | None
    call: RpcCall | None
    """None if this is no gRPC call, or nobody wants to know."""
    extras: Mapping[str, str]


class Summary(NamedTuple):
    """What metrics want to know of an exchange: the same words as the spans', without the cost of the rest."""

    method: str
    scheme: str
    route: Route | None
    call: RpcCall | None


class AttributeBuilder:
    """Makes attributes.

    Args:
        options: what is wanted.
        routes: the table of routes; ``routes`` may be replaced at any time.
    """

    __slots__ = ("_captured", "_options", "_service_peer", "routes")

    def __init__(self, options: AttributeOptions | None = None, routes: RouteTable = NO_ROUTES) -> None:
        self._options = options = AttributeOptions() if options is None else options
        self.routes = routes
        self._captured = [
            *((f"q.{name}", f"{semconv.HTTP_REQUEST_HEADER}.{name}", _kind(name)) for name in options.request_headers),
            *((f"r.{name}", f"{semconv.HTTP_RESPONSE_HEADER}.{name}", _kind(name)) for name in options.response_headers),
            *((f"x.{name}", f"haproxy.{name}", _Kind.TEXT) for name in options.samples),
        ]
        self._service_peer = lru_cache(maxsize=1024)(self._read_service_peer)

    def read(self, ending: Ending, extras: Mapping[str, str] = NO_EXTRAS) -> Facts:
        """The facts of one exchange."""
        options = self._options
        known = ending.method in options.known_methods
        path = options.redactor.path(ending.path)
        query = options.redactor.query(ending.query) if ending.query else ""
        forwarded = options.forwarded.read(ending.client_address, extras) if extras else NOT_FORWARDED
        scheme = forwarded.scheme or ("https" if ending.encrypted else "http")
        parsed = ending.method != BAD_REQUEST
        route = self.routes.match(ending.host, ending.path) if parsed else None
        call = None
        if options.grpc and extras:
            call = read_rpc(path, extras.get("content_type"), extras.get("grpc_status"), ending.status_code)
        client_name = ending.method if known else "HTTP"
        server_name = client_name if route is None else f"{client_name} {route.route}"
        if call is not None:
            server_name = client_name = call.span_name
        method = ending.method if known else _OTHER
        return Facts(method, path, query, scheme, server_name, client_name, forwarded, route, call, extras)

    def summarize(self, ending: Ending) -> Summary:
        """The summary of one exchange, whether it has spans or not."""
        options = self._options
        extras = ending.extras
        scheme: str | None = None
        call = None
        if extras:
            scheme = options.forwarded.read(ending.client_address, extras).scheme
            if options.grpc:
                call = read_rpc(ending.path, extras.get("content_type"), extras.get("grpc_status"), ending.status_code)
        return Summary(
            ending.method if ending.method in options.known_methods else _OTHER,
            scheme or ("https" if ending.encrypted else "http"),
            self.routes.match(ending.host, ending.path) if ending.method != BAD_REQUEST else None,
            call,
        )

    def server(self, ending: Ending, facts: Facts) -> Attributes:
        """The SERVER span's, without ``error.type``."""
        attributes: Attributes = [(semconv.HTTP_REQUEST_METHOD, facts.method), (semconv.URL_SCHEME, facts.scheme)]
        add = attributes.append
        if ending.method != BAD_REQUEST:
            add((semconv.URL_PATH, facts.path))
            if facts.method != ending.method:
                add((semconv.HTTP_REQUEST_METHOD_ORIGINAL, ending.method))
        if facts.query:
            add((semconv.URL_QUERY, facts.query))
        if facts.route is not None:
            add((semconv.HTTP_ROUTE, facts.route.route))
        if ending.status_code is not None:
            add((semconv.HTTP_RESPONSE_STATUS_CODE, ending.status_code))
        version = PROTOCOL_VERSIONS.get(ending.protocol)
        if version is not None:
            add((semconv.NETWORK_PROTOCOL_VERSION, version))
        self._add_hosts(add, ending, facts)
        if ending.user_agent is not None:
            add((semconv.USER_AGENT_ORIGINAL, ending.user_agent))
        add((semconv.HTTP_REQUEST_SIZE, ending.received_bytes))
        add((semconv.HTTP_RESPONSE_SIZE, ending.sent_bytes))
        add((semconv.HAPROXY_FRONTEND_NAME, ending.frontend))
        if ending.backend != ending.frontend:
            add((semconv.HAPROXY_BACKEND_NAME, ending.backend))
        add((semconv.HAPROXY_TERMINATION_STATE, ending.termination_state))
        add_timer(add, semconv.HAPROXY_TIME_REQUEST, ending.request_milliseconds)
        add_timer(add, semconv.HAPROXY_TIME_QUEUE, ending.queue_milliseconds)
        if ending.unique_id is not None:
            add((semconv.HAPROXY_UNIQUE_ID, ending.unique_id))
        if facts.extras:
            self._add_captured(add, facts)
        self._add_common(attributes, facts)
        return attributes

    def client(self, ending: Ending, facts: Facts, status_code: int | None) -> Attributes:
        """The CLIENT span's, without ``error.type``; ``status_code`` is the server's own answer."""
        attributes: Attributes = [(semconv.HTTP_REQUEST_METHOD, facts.method)]
        add = attributes.append
        scheme = "https" if ending.server_encrypted else "http"
        # What the server is called is what the request calls it; where it was reached is the peer.
        authority = (ending.host or _peer_authority(ending)).rpartition("@")[2]
        address, port = split_authority(authority)
        add((semconv.SERVER_ADDRESS, address))
        add((semconv.SERVER_PORT, port or _DEFAULT_PORTS[scheme]))
        full = f"{scheme}://{authority}{facts.path}"
        add((semconv.URL_FULL, f"{full}?{facts.query}" if facts.query else full))
        if facts.method != ending.method:
            add((semconv.HTTP_REQUEST_METHOD_ORIGINAL, ending.method))
        if status_code is not None:
            add((semconv.HTTP_RESPONSE_STATUS_CODE, status_code))
        add_peer(add, ending.server_address, ending.server_port)
        add((semconv.HAPROXY_BACKEND_NAME, ending.backend))
        add((semconv.HAPROXY_SERVER_NAME, ending.server or ""))
        add_timer(add, semconv.HAPROXY_TIME_CONNECT, ending.connect_milliseconds)
        add_timer(add, semconv.HAPROXY_TIME_RESPONSE, ending.response_milliseconds)
        if ending.retries:
            add((semconv.HTTP_REQUEST_RESEND_COUNT, ending.retries))
        add_tries(add, ending)
        if self._options.service_peer is not ServicePeer.OFF:
            attributes.extend(self._service_peer(ending.backend))
        self._add_common(attributes, facts)
        return attributes

    def _add_hosts(self, add: Add, ending: Ending, facts: Facts) -> None:
        """Who was asked, and by whom."""
        forwarded = facts.forwarded
        address: str | None = forwarded.host
        port: int | None = None
        if address is None and ending.host is not None:
            address, port = split_authority(ending.host)
        sni = _value(facts.extras, "tls.sni") if self._options.tls else None
        if address is None:
            address = sni
        if address is not None:
            add((semconv.SERVER_ADDRESS, address))
            add((semconv.SERVER_PORT, forwarded.host_port or port or _DEFAULT_PORTS[facts.scheme]))
        if sni is not None and sni != address:
            add((semconv.HAPROXY_TLS_SERVER_NAME, sni))
        if ending.client_address is not None:
            add((semconv.CLIENT_ADDRESS, forwarded.address or ending.client_address))
            if forwarded.address is not None and forwarded.port is not None:
                add((semconv.CLIENT_PORT, forwarded.port))
            add_peer(add, ending.client_address, ending.client_port)

    def _add_captured(self, add: Add, facts: Facts) -> None:
        for key, name, kind in self._captured:
            value = _value(facts.extras, key)
            if value is None:
                continue
            if kind is _Kind.TEXT:
                add((name, value))
            else:
                add((name, [self._options.redactor.url(value) if kind is _Kind.URL else value]))
        if not self._options.tls:
            return
        version = _TLS_VERSION.fullmatch(facts.extras.get("tls.version", ""))
        if version is not None:
            add((semconv.TLS_PROTOCOL_NAME, version[1].lower()))
            add((semconv.TLS_PROTOCOL_VERSION, version[2]))
        for key, name in _TLS_TEXTS:
            value = _value(facts.extras, key)
            if value is not None:
                add((name, value))
        resumed = facts.extras.get("tls.resumed")
        # HAProxy says of a connection without TLS, too, that its session was not resumed.
        if resumed in ("0", "1") and _value(facts.extras, "tls.version") is not None:
            add((semconv.TLS_RESUMED, resumed == "1"))

    def _add_common(self, attributes: Attributes, facts: Facts) -> None:
        """What the options, the route and the call add to both spans; each name once, the route's before the options'."""
        options = self._options
        if facts.call is not None:
            attributes.extend(facts.call.attributes())
        taken: AbstractSet[str] = frozenset()
        if facts.route is not None and facts.route.attributes:
            attributes.extend(facts.route.attributes)
            taken = {name for name, _value in facts.route.attributes}
        if options.attributes:
            attributes.extend(_untaken(options.attributes, taken))
        if options.header_attributes and facts.extras:
            pairs = [(name, value) for name, header in options.header_attributes if (value := _value(facts.extras, f"q.{header}"))]
            attributes.extend(_untaken(pairs, taken))

    def _read_service_peer(self, backend: str) -> Attributes:
        name: str | None = backend
        namespace = None
        if self._options.service_peer is ServicePeer.KUBERNETES_BACKEND:
            # No name in Kubernetes has an underscore.
            parts = backend.split("_")
            if len(parts) == 4 and parts[1] == "svc":
                del parts[1]
            namespace, name = (parts[0], parts[1]) if len(parts) == 3 and all(parts) else (None, None)
        attributes: Attributes = []
        if name:
            attributes.append((semconv.SERVICE_PEER_NAME, name))
            if namespace is not None:
                attributes.append((semconv.SERVICE_PEER_NAMESPACE, namespace))
            if self._options.peer_service:
                attributes.append((semconv.PEER_SERVICE, name))
        return attributes


class _Kind(Enum):
    TEXT = 1
    HEADER = 2
    URL = 3
    """A header whose value is redacted like a URL."""


def _kind(header: str) -> _Kind:
    return _Kind.URL if header in _HEADERS_WITH_URLS else _Kind.HEADER


def _untaken(attributes: Iterable[tuple[str, Attribute]], taken: AbstractSet[str]) -> Iterable[tuple[str, Attribute]]:
    return [attribute for attribute in attributes if attribute[0] not in taken] if taken else attributes


def _value(extras: Mapping[str, str], key: str) -> str | None:
    value = extras.get(key)
    return None if value in (None, "", "-") else value


def _peer_authority(ending: Ending) -> str:
    address = ending.server_address or ending.server or ""
    host = f"[{address}]" if ":" in address else address
    return host if ending.server_port is None else f"{host}:{ending.server_port}"
