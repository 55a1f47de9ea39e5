"""A connection of a ``mode tcp`` frontend: from its record to its spans.

A SERVER span from the accept to the end of the connection. A CLIENT span below it for the server, if one was chosen: from when
HAProxy turned to it (handshake done, rules through, queues left) to the end. There is no header that could carry a trace context:
each connection is a trace of its own, whose id HAProxy made, and the ids of the spans follow from it.

The semantic conventions know no span of a connection. Names are ``tcp`` and what HAProxy's configuration calls the frontend or the
backend: few, and not of a client's choosing.
"""

from collections.abc import Mapping, Sequence

import msgspec

from . import semconv
from .connection_ending import ConnectionEnding, read_connection_ending
from .context import SpanId, server_span_id
from .hops import Add, add_peer, add_timer, add_tries
from .limits import SpanLimits
from .outcome import Outcome, connection_outcome
from .request import Request
from .sampling import Keeper, Sampler, child_context
from .span import Attribute, Attributes, Span, SpanKind, SpanStatus

__all__ = ["Connection", "ConnectionTracer"]

_NANOSECONDS_PER_MICROSECOND = 1_000
_NANOSECONDS_PER_MILLISECOND = 1_000_000
_NOBODY_BUT_THE_CLIENT = frozenset("Cc-")


class Connection(msgspec.Struct, frozen=True, gc=False):
    """What came out of one record."""

    ending: ConnectionEnding
    spans: list[Span]
    """SERVER first; empty if the trace is not sampled or this was a probe."""
    is_probe: bool
    """Connected and closed, no byte, no server: health probes do that, and clients that fail in a handshake."""
    reason: str = ""
    """Why it is sampled or not, where it was not the ordinary sampler."""
    server: Span | None = None
    """The SERVER span, whether it is one of ``spans`` or not; without those only if descriptions are wanted."""


class ConnectionTracer:
    """Makes spans of records.

    Args:
        sampler: decides for each connection; there is no caller's decision to follow.
        keeper: keeps those that were not sampled and are errors; None: none. Long ones are not slow: it is how they are used.
        attributes: on both spans of every connection.
        limits: of the spans.
        describe: whether connections without spans are described by the SERVER span they would have had; for logs.
    """

    __slots__ = ("_attributes", "_describe", "_keeper", "_limits", "_sampler")

    def __init__(
        self,
        *,
        sampler: Sampler,
        keeper: Keeper | None = None,
        attributes: Sequence[tuple[str, Attribute]] = (),
        limits: SpanLimits | None = None,
        describe: bool = False,
    ) -> None:
        self._sampler = sampler
        self._attributes = attributes
        self._keeper = keeper
        self._limits = SpanLimits() if limits is None else limits
        self._describe = describe

    def trace(self, end_unix_nano: int, fields: Mapping[str, str]) -> Connection:
        """The spans of one record (names as in ``wiring.connection_fields``).

        Raises:
            KeyError, ValueError: the record was not written for this agent.
        """
        ending = read_connection_ending(end_unix_nano, fields)
        if _is_probe(ending):
            return Connection(ending, [], is_probe=True)
        request = Request(frontend=ending.frontend, client_address=ending.client_address)
        decision = self._sampler.decide(ending.trace_id, None, request)
        reason = decision.reason
        outcome = connection_outcome(ending.termination_state, has_server=ending.server is not None)
        is_exported = decision.sampled
        if not is_exported:
            kept = self._keep(outcome)
            if kept is not None:
                is_exported, reason = True, kept
            elif not self._describe:
                return Connection(ending, [], is_probe=False, reason=reason)
        flags, tracestate = child_context(None, decision)
        spans = _spans(ending, flags, tracestate, outcome)
        spans[0].attributes.extend(decision.attributes)
        if reason:
            spans[0].attributes.append((semconv.HAPROXY_SAMPLING_REASON, reason))
        for span in spans:
            span.attributes.extend(self._attributes)
            self._limits.apply(span)
        return Connection(ending, spans if is_exported else [], is_probe=False, reason=reason, server=spans[0])

    def _keep(self, outcome: Outcome) -> str | None:
        if self._keeper is None:
            return None
        return self._keeper.reason(is_error=outcome.status is SpanStatus.ERROR, duration_seconds=0.0)


def _is_probe(ending: ConnectionEnding) -> bool:
    if ending.server is not None or ending.received_bytes or ending.sent_bytes:
        return False
    return ending.handshake_failed or ending.termination_state[:1] in _NOBODY_BUT_THE_CLIENT


def _spans(ending: ConnectionEnding, flags: int, tracestate: str, outcome: Outcome) -> list[Span]:
    start_unix_nano = _start_unix_nano(ending)
    turn_unix_nano = _turn_unix_nano(ending, start_unix_nano)
    # Version 4 UUIDs have a digit in here in which no derived id can become all zero.
    client_id = SpanId(ending.trace_id[:8])
    status, error_type = outcome
    server = Span(
        ending.trace_id,
        server_span_id(client_id),
        None,
        flags,
        False,  # noqa: FBT003 - positional on purpose: this is the hot path
        tracestate,
        f"tcp {ending.frontend}",
        SpanKind.SERVER,
        start_unix_nano,
        ending.end_unix_nano,
        _server_attributes(ending, _queue_milliseconds(ending, turn_unix_nano)),
        status,
    )
    spans = [server]
    if ending.server is not None:
        client = Span(
            ending.trace_id,
            client_id,
            server.span_id,
            flags,
            False,  # noqa: FBT003 - as above
            tracestate,
            f"tcp {ending.backend}",
            SpanKind.CLIENT,
            turn_unix_nano,
            ending.end_unix_nano,
            _client_attributes(ending),
            status,
        )
        spans.append(client)
    if error_type is not None:
        for span in spans:
            span.attributes.append((semconv.ERROR_TYPE, error_type))
    return spans


def _start_unix_nano(ending: ConnectionEnding) -> int:
    """The accept, as exactly as HAProxy told it; never after the end.

    Before 3.0 its total time, cut to whole milliseconds, makes the start up to one too late: the rules' clock may know better.
    """
    if ending.start_unix_micro is not None:
        start = ending.start_unix_micro * _NANOSECONDS_PER_MICROSECOND
    else:
        start = ending.end_unix_nano - max(ending.total_milliseconds, 0) * _NANOSECONDS_PER_MILLISECOND
        if ending.routed_unix_micro is not None:
            start = min(start, ending.routed_unix_micro * _NANOSECONDS_PER_MICROSECOND)
    return max(0, min(start, ending.end_unix_nano))


def _turn_unix_nano(ending: ConnectionEnding, start_unix_nano: int) -> int:
    turn = start_unix_nano + max(ending.turn_milliseconds, 0) * _NANOSECONDS_PER_MILLISECOND
    if ending.routed_unix_micro is not None:
        turn = max(turn, ending.routed_unix_micro * _NANOSECONDS_PER_MICROSECOND)
    return min(turn, ending.end_unix_nano)


def _queue_milliseconds(ending: ConnectionEnding, turn_unix_nano: int) -> int:
    """HAProxy counts handshake and inspection as time in queues; what is left without them. -1 if it is not known."""
    if ending.turn_milliseconds < 0 or ending.routed_unix_micro is None:
        return -1
    return max(0, (turn_unix_nano - ending.routed_unix_micro * _NANOSECONDS_PER_MICROSECOND) // _NANOSECONDS_PER_MILLISECOND)


def _server_attributes(ending: ConnectionEnding, queue_milliseconds: int) -> Attributes:
    attributes: Attributes = [(semconv.NETWORK_TRANSPORT, "unix" if ending.client_address == "unix" else "tcp")]
    add = attributes.append
    if ending.tls_version is not None:
        _add_tls(add, ending.tls_version, ending)
    elif ending.server_name is not None:
        add((semconv.NETWORK_PROTOCOL_NAME, "tls"))
    address = ending.server_name or ending.listen_address
    if address is not None:
        add((semconv.SERVER_ADDRESS, address))
        if ending.listen_port is not None:
            add((semconv.SERVER_PORT, ending.listen_port))
    if ending.client_address is not None:
        add((semconv.CLIENT_ADDRESS, ending.client_address))
        add_peer(add, ending.client_address, ending.client_port)
    add((semconv.HAPROXY_BYTES_RECEIVED, ending.received_bytes))
    add((semconv.HAPROXY_BYTES_SENT, ending.sent_bytes))
    add((semconv.HAPROXY_FRONTEND_NAME, ending.frontend))
    if ending.backend != ending.frontend:
        add((semconv.HAPROXY_BACKEND_NAME, ending.backend))
    add((semconv.HAPROXY_TERMINATION_STATE, ending.termination_state))
    if ending.tls_version is not None or ending.handshake_milliseconds > 0:
        add_timer(add, semconv.HAPROXY_TIME_HANDSHAKE, ending.handshake_milliseconds)
    add_timer(add, semconv.HAPROXY_TIME_QUEUE, queue_milliseconds)
    add_timer(add, semconv.HAPROXY_TIME_TOTAL, ending.total_milliseconds)
    if ending.unique_id is not None:
        add((semconv.HAPROXY_UNIQUE_ID, ending.unique_id))
    return attributes


def _add_tls(add: Add, version: str, ending: ConnectionEnding) -> None:
    add((semconv.NETWORK_PROTOCOL_NAME, "tls"))
    add((semconv.TLS_PROTOCOL_VERSION, version.removeprefix("TLSv")))
    if ending.tls_cipher is not None:
        add((semconv.TLS_CIPHER, ending.tls_cipher))
    if ending.application_protocol is not None:
        add((semconv.TLS_NEXT_PROTOCOL, ending.application_protocol))


def _client_attributes(ending: ConnectionEnding) -> Attributes:
    on_unix_socket = ending.server_address is not None and ending.server_port is None
    attributes: Attributes = [(semconv.NETWORK_TRANSPORT, "unix" if on_unix_socket else "tcp")]
    add = attributes.append
    passed_through = ending.server_name if ending.tls_version is None else None
    if ending.server_encrypted or passed_through is not None:
        add((semconv.NETWORK_PROTOCOL_NAME, "tls"))
    # What the server is called is what the client calls it, where that reaches the server; where it was reached is the peer.
    add((semconv.SERVER_ADDRESS, passed_through or ending.server_address or ending.server or ""))
    if ending.server_port is not None:
        add((semconv.SERVER_PORT, ending.server_port))
    add_peer(add, ending.server_address, ending.server_port)
    add((semconv.HAPROXY_BACKEND_NAME, ending.backend))
    add((semconv.HAPROXY_SERVER_NAME, ending.server or ""))
    add_timer(add, semconv.HAPROXY_TIME_CONNECT, ending.connect_milliseconds)
    add_tries(add, ending)
    return attributes
