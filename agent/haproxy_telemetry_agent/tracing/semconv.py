"""Every attribute name the agent emits, once: as a constant for the code, and in one table with what users want to know of it.

HTTP, network, TLS and RPC names are those of the OpenTelemetry semantic conventions 1.44.0, which say nothing about proxies; what
is HAProxy's own is below ``haproxy.``. No name is a prefix of another: backends that build objects from dots could not store both.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

__all__ = ["ATTRIBUTES", "SCHEMA_URL", "Definition", "Stability", "collision"]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

# stable
CLIENT_ADDRESS = "client.address"
CLIENT_PORT = "client.port"
ERROR_TYPE = "error.type"
HTTP_REQUEST_HEADER = "http.request.header"
HTTP_REQUEST_METHOD = "http.request.method"
HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original"
HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count"
HTTP_RESPONSE_HEADER = "http.response.header"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
HTTP_ROUTE = "http.route"
NETWORK_PEER_ADDRESS = "network.peer.address"
NETWORK_PEER_PORT = "network.peer.port"
NETWORK_PROTOCOL_NAME = "network.protocol.name"
NETWORK_PROTOCOL_VERSION = "network.protocol.version"
NETWORK_TRANSPORT = "network.transport"
SERVER_ADDRESS = "server.address"
SERVER_PORT = "server.port"
URL_FULL = "url.full"
URL_PATH = "url.path"
URL_QUERY = "url.query"
URL_SCHEME = "url.scheme"
USER_AGENT_ORIGINAL = "user_agent.original"

# release candidate; ``rpc.response.status_code`` is called ``rpc.status_code`` after 1.44
RPC_METHOD = "rpc.method"
RPC_METHOD_ORIGINAL = "rpc.method_original"
RPC_RESPONSE_STATUS_CODE = "rpc.response.status_code"
RPC_SYSTEM_NAME = "rpc.system.name"

# development
HTTP_REQUEST_SIZE = "http.request.size"
HTTP_RESPONSE_SIZE = "http.response.size"
SERVICE_PEER_NAME = "service.peer.name"
SERVICE_PEER_NAMESPACE = "service.peer.namespace"
TLS_CIPHER = "tls.cipher"
TLS_CLIENT_SUBJECT = "tls.client.subject"
TLS_NEXT_PROTOCOL = "tls.next_protocol"
TLS_PROTOCOL_NAME = "tls.protocol.name"
TLS_PROTOCOL_VERSION = "tls.protocol.version"
TLS_RESUMED = "tls.resumed"

# deprecated there, and still what service graphs read
PEER_SERVICE = "peer.service"

OPENTRACING_REF_TYPE = "opentracing.ref_type"

# HAProxy's own
HAPROXY_BACKEND_NAME = "haproxy.backend.name"
HAPROXY_BYTES_RECEIVED = "haproxy.bytes.received"
HAPROXY_BYTES_SENT = "haproxy.bytes.sent"
HAPROXY_FRONTEND_NAME = "haproxy.frontend.name"
HAPROXY_QUEUE_BACKEND = "haproxy.queue.backend"
HAPROXY_QUEUE_SERVER = "haproxy.queue.server"
HAPROXY_REDISPATCHED = "haproxy.redispatched"
HAPROXY_RETRIES = "haproxy.retries"
HAPROXY_SAMPLING_REASON = "haproxy.sampling.reason"
HAPROXY_SERVER_NAME = "haproxy.server.name"
HAPROXY_TERMINATION_STATE = "haproxy.termination_state"
HAPROXY_TIME_CONNECT = "haproxy.time.connect"
HAPROXY_TIME_HANDSHAKE = "haproxy.time.handshake"
HAPROXY_TIME_QUEUE = "haproxy.time.queue"
HAPROXY_TIME_REQUEST = "haproxy.time.request"
HAPROXY_TIME_RESPONSE = "haproxy.time.response"
HAPROXY_TIME_TOTAL = "haproxy.time.total"
HAPROXY_TLS_SERVER_NAME = "haproxy.tls.server_name"
HAPROXY_UNIQUE_ID = "haproxy.unique_id"

KNOWN_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"})
"""RFC 9110's methods and PATCH; ``OTEL_INSTRUMENTATION_HTTP_KNOWN_METHODS`` replaces them."""

SENSITIVE_QUERY_PARAMETERS = frozenset(
    {
        "AWSAccessKeyId",
        "Signature",
        "X-Amz-Credential",
        "X-Amz-Security-Token",
        "X-Amz-Signature",
        "X-Goog-Signature",
        "sig",
    }
)
"""Keys whose values the conventions want redacted by default; case-sensitive."""


class Stability(StrEnum):
    """What a name's owner promises."""

    STABLE = "stable"
    RELEASE_CANDIDATE = "release candidate"
    DEVELOPMENT = "development"
    DEPRECATED = "deprecated"
    OURS = "ours"


@dataclass(frozen=True, slots=True)
class Definition:
    """One attribute, as users see it."""

    name: str
    """``<key>`` in it stands for the lower-case name of a header."""
    type: str
    """OpenTelemetry's words: string, string[], int, double, boolean."""
    stability: Stability
    spans: str
    """The kinds of span it can be on."""
    meaning: str
    when: str = "always"
    """The condition, or the setting that switches it on."""


_STABLE, _CANDIDATE, _DEVELOPMENT = Stability.STABLE, Stability.RELEASE_CANDIDATE, Stability.DEVELOPMENT
_OURS = Stability.OURS
_SERVER, _CLIENT, _BOTH = "SERVER", "CLIENT", "SERVER, CLIENT"
_ON_ERROR = "on error"
_WITH_TLS = "spans.tls, and the client came by TLS"
_WITH_TLS_OR_CONNECTION = "spans.tls or mode tcp, and the client came by TLS"
_WITH_GRPC = "spans.grpc, and the request is a gRPC call"
_ON_LINKS = "links"
_CONNECTION = "frontends in mode tcp"
_IF_REACHED = "if this phase was reached"

ATTRIBUTES: tuple[Definition, ...] = (
    # The exchange.
    Definition(HTTP_REQUEST_METHOD, "string", _STABLE, _BOTH, "method; `_OTHER` if it is not one of spans.knownMethods"),
    Definition(HTTP_REQUEST_METHOD_ORIGINAL, "string", _STABLE, _BOTH, "method as it came", "if it is not a known one"),
    Definition(HTTP_RESPONSE_STATUS_CODE, "int", _STABLE, _BOTH, "to the client; on CLIENT, the server's own", "if there was one"),
    Definition(HTTP_ROUTE, "string", _STABLE, _SERVER, "the route that matched", "spans.routesFile, and a route matched"),
    Definition(ERROR_TYPE, "string", _STABLE, _BOTH, "status code, gRPC status, or a word for the termination state", _ON_ERROR),
    Definition(HTTP_REQUEST_RESEND_COUNT, "int", _STABLE, _CLIENT, "how often HAProxy tried again", "after a retry"),
    Definition(HTTP_REQUEST_SIZE, "int", _DEVELOPMENT, _SERVER, "bytes read from the client, headers included"),
    Definition(HTTP_RESPONSE_SIZE, "int", _DEVELOPMENT, _SERVER, "bytes sent to the client, headers included"),
    Definition(
        f"{HTTP_REQUEST_HEADER}.<key>", "string[]", _STABLE, _SERVER, "a header of the request", "listed in spans.requestHeaders"
    ),
    Definition(
        f"{HTTP_RESPONSE_HEADER}.<key>", "string[]", _STABLE, _SERVER, "a header of the response", "listed in spans.responseHeaders"
    ),
    Definition(USER_AGENT_ORIGINAL, "string", _STABLE, _SERVER, "User-Agent header", "if there is one"),
    # The URL.
    Definition(URL_SCHEME, "string", _STABLE, _SERVER, "`http` or `https`: of the client's connection, or as forwarded"),
    Definition(URL_PATH, "string", _STABLE, _SERVER, "path, scrubbed by spans.scrubPaths", "if the request could be parsed"),
    Definition(URL_QUERY, "string", _STABLE, _SERVER, "query without its question mark, redacted", "if there is one"),
    Definition(URL_FULL, "string", _STABLE, _CLIENT, "scheme, host, path and query, scrubbed and redacted; no user information"),
    # Who talked to whom.
    Definition(SERVER_ADDRESS, "string", _STABLE, _BOTH, "host that was asked for", "on SERVER, if the request names one"),
    Definition(SERVER_PORT, "int", _STABLE, _BOTH, "its port; the scheme's if none is named", "with server.address"),
    Definition(CLIENT_ADDRESS, "string", _STABLE, _SERVER, "the TCP peer, or the original client as forwarded", "if it is known"),
    Definition(CLIENT_PORT, "int", _STABLE, _SERVER, "the original client's port", "spans.forwarded, and a proxy told it"),
    Definition(NETWORK_PEER_ADDRESS, "string", _STABLE, _BOTH, "who really connected; on CLIENT, the server", "if it is known"),
    Definition(NETWORK_PEER_PORT, "int", _STABLE, _BOTH, "its port", "if it has one"),
    Definition(NETWORK_PROTOCOL_VERSION, "string", _STABLE, _SERVER, "`1.0`, `1.1`, `2` or `3`", "if it is known"),
    Definition(NETWORK_PROTOCOL_NAME, "string", _STABLE, _BOTH, "protocol above the transport", "if it is not HTTP"),
    Definition(NETWORK_TRANSPORT, "string", _STABLE, _BOTH, "`tcp` or `unix`", "if the exchange is not HTTP"),
    Definition(SERVICE_PEER_NAME, "string", _DEVELOPMENT, _CLIENT, "the service behind the backend", "spans.servicePeerName"),
    Definition(
        SERVICE_PEER_NAMESPACE, "string", _DEVELOPMENT, _CLIENT, "its namespace", "spans.servicePeerName: KubernetesBackend"
    ),
    Definition(PEER_SERVICE, "string", Stability.DEPRECATED, _CLIENT, "the same as service.peer.name", "spans.peerService"),
    # TLS of the client's connection.
    Definition(TLS_PROTOCOL_NAME, "string", _DEVELOPMENT, _SERVER, "`tls` or `ssl`", _WITH_TLS),
    Definition(TLS_PROTOCOL_VERSION, "string", _DEVELOPMENT, _SERVER, "such as `1.3`", _WITH_TLS_OR_CONNECTION),
    Definition(TLS_CIPHER, "string", _DEVELOPMENT, _SERVER, "cipher, as OpenSSL calls it", _WITH_TLS_OR_CONNECTION),
    Definition(TLS_NEXT_PROTOCOL, "string", _DEVELOPMENT, _SERVER, "ALPN, such as `h2`", _WITH_TLS_OR_CONNECTION),
    Definition(TLS_RESUMED, "boolean", _DEVELOPMENT, _SERVER, "whether a session was resumed", _WITH_TLS),
    Definition(TLS_CLIENT_SUBJECT, "string", _DEVELOPMENT, _SERVER, "subject of the client's certificate", _WITH_TLS),
    Definition(
        HAPROXY_TLS_SERVER_NAME, "string", _OURS, _SERVER, "server name of the handshake (SNI)", "spans.tls, if not server.address"
    ),
    # gRPC.
    Definition(RPC_SYSTEM_NAME, "string", _CANDIDATE, _BOTH, "`grpc`", _WITH_GRPC),
    Definition(RPC_METHOD, "string", _CANDIDATE, _BOTH, "`package.Service/Method`; `_OTHER` if nobody knows it", _WITH_GRPC),
    Definition(RPC_METHOD_ORIGINAL, "string", _CANDIDATE, _BOTH, "the path without its first slash", "if rpc.method is `_OTHER`"),
    Definition(RPC_RESPONSE_STATUS_CODE, "string", _CANDIDATE, _BOTH, "name of grpc-status", "if it was seen: not in trailers"),
    # HAProxy.
    Definition(HAPROXY_FRONTEND_NAME, "string", _OURS, _SERVER, "frontend"),
    Definition(HAPROXY_BACKEND_NAME, "string", _OURS, _BOTH, "backend", "if one was chosen"),
    Definition(HAPROXY_SERVER_NAME, "string", _OURS, _CLIENT, "server"),
    Definition(HAPROXY_TERMINATION_STATE, "string", _OURS, _SERVER, "who ended it, and in which phase: two letters"),
    Definition(HAPROXY_TIME_REQUEST, "double", _OURS, _SERVER, "seconds to read the request's headers", _IF_REACHED),
    Definition(HAPROXY_TIME_QUEUE, "double", _OURS, _SERVER, "seconds in queues", _IF_REACHED),
    Definition(HAPROXY_TIME_CONNECT, "double", _OURS, _CLIENT, "seconds to connect, retries included", _IF_REACHED),
    Definition(HAPROXY_TIME_RESPONSE, "double", _OURS, _CLIENT, "seconds until the response's headers", _IF_REACHED),
    Definition(HAPROXY_TIME_TOTAL, "double", _OURS, _SERVER, "seconds from first byte to last", "if the span's own times differ"),
    Definition(HAPROXY_RETRIES, "int", _OURS, _CLIENT, "retries, connections included", "after a retry"),
    Definition(HAPROXY_REDISPATCHED, "boolean", _OURS, _CLIENT, "whether the last one went to another server", "after a retry"),
    Definition(HAPROXY_QUEUE_BACKEND, "int", _OURS, _CLIENT, "requests ahead in the backend's queue", "if there were any"),
    Definition(HAPROXY_QUEUE_SERVER, "int", _OURS, _CLIENT, "requests ahead in the server's queue", "if there were any"),
    Definition(HAPROXY_SAMPLING_REASON, "string", _OURS, _SERVER, "why the trace is kept", "if a rule of our own decided"),
    Definition(HAPROXY_BYTES_RECEIVED, "int", _OURS, _SERVER, "bytes read from the client", _CONNECTION),
    Definition(HAPROXY_BYTES_SENT, "int", _OURS, _SERVER, "bytes sent to the client", _CONNECTION),
    Definition(HAPROXY_TIME_HANDSHAKE, "double", _OURS, _SERVER, "seconds of TLS and PROXY protocol handshakes", _CONNECTION),
    Definition(
        OPENTRACING_REF_TYPE, "string", _DEVELOPMENT, _ON_LINKS, "`follows_from`: the phase before this one", "profile Full"
    ),
    Definition(HAPROXY_UNIQUE_ID, "string", _OURS, _SERVER, "HAProxy's unique id", "if there is a unique-id-format"),
)

_NAMES = tuple(definition.name.removesuffix(".<key>") for definition in ATTRIBUTES)


def collision(name: str, others: Iterable[str] = _NAMES) -> str | None:
    """The first of ``others`` that can't stand beside ``name``: the same, or one is a prefix of the other at a dot."""
    for other in others:
        if name == other or name.startswith(f"{other}.") or other.startswith(f"{name}."):
            return other
    return None
