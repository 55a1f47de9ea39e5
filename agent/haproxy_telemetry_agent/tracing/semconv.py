"""Every attribute name the agent emits, once, with its stability.

HTTP and network names are those of the OpenTelemetry semantic conventions 1.44.0, which say nothing about proxies; what is
HAProxy's own is below ``haproxy.``. No name is a prefix of another: backends that build objects from dots could not store both.
"""

__all__ = ["SCHEMA_URL"]

SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"

# stable
CLIENT_ADDRESS = "client.address"
ERROR_TYPE = "error.type"
HTTP_REQUEST_METHOD = "http.request.method"
HTTP_REQUEST_METHOD_ORIGINAL = "http.request.method_original"
HTTP_REQUEST_RESEND_COUNT = "http.request.resend_count"
HTTP_RESPONSE_STATUS_CODE = "http.response.status_code"
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

# development
HTTP_REQUEST_SIZE = "http.request.size"
HTTP_RESPONSE_SIZE = "http.response.size"
TLS_CIPHER = "tls.cipher"
TLS_NEXT_PROTOCOL = "tls.next_protocol"
TLS_PROTOCOL_VERSION = "tls.protocol.version"

# HAProxy's own
HAPROXY_BACKEND_NAME = "haproxy.backend.name"
HAPROXY_BYTES_RECEIVED = "haproxy.bytes.received"
HAPROXY_BYTES_SENT = "haproxy.bytes.sent"
HAPROXY_FRONTEND_NAME = "haproxy.frontend.name"
HAPROXY_QUEUE_BACKEND = "haproxy.queue.backend"
HAPROXY_QUEUE_SERVER = "haproxy.queue.server"
HAPROXY_REDISPATCHED = "haproxy.redispatched"
HAPROXY_RETRIES = "haproxy.retries"
HAPROXY_SERVER_NAME = "haproxy.server.name"
HAPROXY_TERMINATION_STATE = "haproxy.termination_state"
HAPROXY_TIME_CONNECT = "haproxy.time.connect"
HAPROXY_TIME_HANDSHAKE = "haproxy.time.handshake"
HAPROXY_TIME_QUEUE = "haproxy.time.queue"
HAPROXY_TIME_REQUEST = "haproxy.time.request"
HAPROXY_TIME_RESPONSE = "haproxy.time.response"
HAPROXY_TIME_TOTAL = "haproxy.time.total"
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
