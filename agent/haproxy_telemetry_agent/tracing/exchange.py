"""The second half of an exchange: from its record to its spans.

A SERVER span for the frontend: from the first byte of the request to the end of the exchange. A CLIENT span below it for the
server, if one was chosen: from when HAProxy turned to it (request read, queues left) to the end. Both ids are known from the
``traceparent`` that went to the server; the CLIENT span is the one the server's own span hangs under.
"""

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

import msgspec

from ..wiring import Profile
from . import semconv
from .authority import split_authority
from .context import IdGenerator, SpanContext, server_span_id
from .ending import BAD_REQUEST, Ending, read_ending
from .outcome import client_outcome, server_outcome
from .phases import phase_spans
from .redaction import redact_query
from .request import NO_REQUEST
from .sampling import Sampler, child_context
from .span import Attributes, Span, SpanKind
from .timeline import timeline
from .tracecontext import parse_traceparent

__all__ = ["Exchange", "ExchangeTracer"]

_PROTOCOL_VERSIONS = {"HTTP/1.0": "1.0", "HTTP/1.1": "1.1", "HTTP/2.0": "2", "HTTP/2": "2", "HTTP/3.0": "3", "HTTP/3": "3"}
"""``%HV`` of a request line longer than ``tune.http.logurilen`` says HTTP/0.9: then the version is not known."""
_DEFAULT_PORTS = {"http": 80, "https": 443}


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """What came out of one record."""

    ending: Ending
    spans: list[Span]
    """SERVER first; empty if the trace is not sampled or there was no request."""
    had_request: bool
    """False for a connection that closed, or was timed out, before a whole request came: health probes do that."""


class ExchangeTracer:
    """Makes spans of records.

    Args:
        sampler: decides for exchanges that have no trace context at all (unparsable requests, requests answered by a rule that
            stands in front of ours while the agent was away).
        ids: makes their ids.
        profile: which spans an exchange has: two, or nine (``phases``).
        known_methods: methods that may stand in span names; all others are ``_OTHER``.
        sensitive_query_parameters: whose values are redacted.
    """

    __slots__ = ("_ids", "_known_methods", "_profile", "_sampler", "_sensitive")

    def __init__(
        self,
        *,
        sampler: Sampler,
        ids: IdGenerator,
        profile: Profile = "Standard",
        known_methods: AbstractSet[str] = semconv.KNOWN_METHODS,
        sensitive_query_parameters: AbstractSet[str] = semconv.SENSITIVE_QUERY_PARAMETERS,
    ) -> None:
        self._sampler = sampler
        self._ids = ids
        self._profile = profile
        self._known_methods = known_methods
        self._sensitive = sensitive_query_parameters

    def trace(self, end_unix_nano: int, fields: Mapping[str, str]) -> Exchange:
        """The spans of one record (names as in ``wiring.fields``).

        Raises:
            KeyError, ValueError: the record was not written for this agent.
        """
        ending = read_ending(end_unix_nano, fields)
        if ending.method == BAD_REQUEST and ending.termination_state[:1] != "P":
            return Exchange(ending, [], had_request=False)
        if ending.excluded:
            return Exchange(ending, [], had_request=True)
        context = None if ending.traceparent is None else parse_traceparent(ending.traceparent)
        if context is None:
            context = self._new_context()
            tracestate = context.tracestate
        else:
            tracestate = ending.tracestate
        if not context.sampled:
            return Exchange(ending, [], had_request=True)
        return Exchange(ending, self._spans(ending, context, tracestate), had_request=True)

    def _new_context(self) -> SpanContext:
        trace_id = self._ids.trace_id()
        flags, tracestate = child_context(None, self._sampler.decide(trace_id, None, NO_REQUEST))
        return SpanContext(trace_id, self._ids.span_id(), flags, tracestate)

    def _spans(self, ending: Ending, context: SpanContext, tracestate: str) -> list[Span]:
        times = timeline(ending)
        known = ending.method in self._known_methods
        method = ending.method if known else "_OTHER"
        name = method if known else "HTTP"
        scheme = "https" if ending.encrypted else "http"
        query = redact_query(ending.query, self._sensitive) if ending.query else ""
        server_id = server_span_id(context.span_id)
        server = Span(
            context.trace_id,
            server_id,
            ending.parent_span_id,
            context.flags,
            ending.parent_span_id is not None,
            tracestate,
            name,
            SpanKind.SERVER,
            times.start,
            times.end,
            _server_attributes(ending, method, scheme, query),
        )
        server.status, error_type = server_outcome(ending.status_code, ending.termination_state)
        if error_type is not None:
            server.attributes.append((semconv.ERROR_TYPE, error_type))
        client = (
            None if ending.server is None else self._client_span(ending, context, server, times.turn, method=method, query=query)
        )
        if self._profile == "Full":
            return phase_spans(ending, times, server, client)
        return [server] if client is None else [server, client]

    def _client_span(
        self, ending: Ending, context: SpanContext, server: Span, start_unix_nano: int, *, method: str, query: str
    ) -> Span:
        status_code = ending.status_code if ending.server_answered else None
        client = Span(
            context.trace_id,
            context.span_id,
            server.span_id,
            context.flags,
            False,  # noqa: FBT003 - positional on purpose: this is the hot path
            server.tracestate,
            server.name,
            SpanKind.CLIENT,
            start_unix_nano,
            server.end_unix_nano,
            _client_attributes(ending, method, query, status_code),
        )
        client.status, error_type = client_outcome(status_code, ending.termination_state)
        if error_type is not None:
            client.attributes.append((semconv.ERROR_TYPE, error_type))
        return client


def _server_attributes(ending: Ending, method: str, scheme: str, query: str) -> Attributes:
    attributes: Attributes = [(semconv.HTTP_REQUEST_METHOD, method), (semconv.URL_SCHEME, scheme)]
    add = attributes.append
    parsed = ending.method != BAD_REQUEST
    if parsed:
        add((semconv.URL_PATH, ending.path))
        if method != ending.method:
            add((semconv.HTTP_REQUEST_METHOD_ORIGINAL, ending.method))
    if query:
        add((semconv.URL_QUERY, query))
    if ending.status_code is not None:
        add((semconv.HTTP_RESPONSE_STATUS_CODE, ending.status_code))
    version = _PROTOCOL_VERSIONS.get(ending.protocol)
    if version is not None:
        add((semconv.NETWORK_PROTOCOL_VERSION, version))
    if ending.host is not None:
        address, port = split_authority(ending.host)
        add((semconv.SERVER_ADDRESS, address))
        add((semconv.SERVER_PORT, port or _DEFAULT_PORTS[scheme]))
    if ending.client_address is not None:
        add((semconv.CLIENT_ADDRESS, ending.client_address))
        add((semconv.NETWORK_PEER_ADDRESS, ending.client_address))
        if ending.client_port is not None:
            add((semconv.NETWORK_PEER_PORT, ending.client_port))
    if ending.user_agent is not None:
        add((semconv.USER_AGENT_ORIGINAL, ending.user_agent))
    add((semconv.HTTP_REQUEST_SIZE, ending.received_bytes))
    add((semconv.HTTP_RESPONSE_SIZE, ending.sent_bytes))
    add((semconv.HAPROXY_FRONTEND_NAME, ending.frontend))
    if ending.backend != ending.frontend:
        add((semconv.HAPROXY_BACKEND_NAME, ending.backend))
    add((semconv.HAPROXY_TERMINATION_STATE, ending.termination_state))
    _add_timer(add, semconv.HAPROXY_TIME_REQUEST, ending.request_milliseconds)
    _add_timer(add, semconv.HAPROXY_TIME_QUEUE, ending.queue_milliseconds)
    if ending.unique_id is not None:
        add((semconv.HAPROXY_UNIQUE_ID, ending.unique_id))
    return attributes


def _client_attributes(ending: Ending, method: str, query: str, status_code: int | None) -> Attributes:
    attributes: Attributes = [(semconv.HTTP_REQUEST_METHOD, method)]
    add = attributes.append
    scheme = "https" if ending.server_encrypted else "http"
    # What the server is called is what the request calls it; where it was reached is the peer.
    authority = (ending.host or _peer_authority(ending)).rpartition("@")[2]
    address, port = split_authority(authority)
    add((semconv.SERVER_ADDRESS, address))
    add((semconv.SERVER_PORT, port or _DEFAULT_PORTS[scheme]))
    full = f"{scheme}://{authority}{ending.path}"
    add((semconv.URL_FULL, f"{full}?{query}" if query else full))
    if method != ending.method:
        add((semconv.HTTP_REQUEST_METHOD_ORIGINAL, ending.method))
    if status_code is not None:
        add((semconv.HTTP_RESPONSE_STATUS_CODE, status_code))
    if ending.server_address is not None:
        add((semconv.NETWORK_PEER_ADDRESS, ending.server_address))
        if ending.server_port is not None:
            add((semconv.NETWORK_PEER_PORT, ending.server_port))
    add((semconv.HAPROXY_BACKEND_NAME, ending.backend))
    add((semconv.HAPROXY_SERVER_NAME, ending.server or ""))
    _add_timer(add, semconv.HAPROXY_TIME_CONNECT, ending.connect_milliseconds)
    _add_timer(add, semconv.HAPROXY_TIME_RESPONSE, ending.response_milliseconds)
    if ending.retries:
        add((semconv.HTTP_REQUEST_RESEND_COUNT, ending.retries))
        add((semconv.HAPROXY_RETRIES, ending.retries))
        add((semconv.HAPROXY_REDISPATCHED, ending.redispatched))
    if ending.backend_queue:
        add((semconv.HAPROXY_QUEUE_BACKEND, ending.backend_queue))
    if ending.server_queue:
        add((semconv.HAPROXY_QUEUE_SERVER, ending.server_queue))
    return attributes


def _peer_authority(ending: Ending) -> str:
    address = ending.server_address or ending.server or ""
    host = f"[{address}]" if ":" in address else address
    return host if ending.server_port is None else f"{host}:{ending.server_port}"


def _add_timer(add: Callable[[tuple[str, float]], None], name: str, milliseconds: int) -> None:
    if milliseconds >= 0:
        add((name, milliseconds / 1000))
