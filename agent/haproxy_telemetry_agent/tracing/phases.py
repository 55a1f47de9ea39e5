"""The nine spans of profile Full: an exchange cut into its phases, as the SPOE events cut it.

::

    HAProxy session                 SERVER    the whole exchange; the caller's child
    ├─ Client session               INTERNAL  the whole exchange
    │  ├─ Frontend TCP request      INTERNAL
    │  ├─ Frontend HTTP request     INTERNAL  follows from Frontend TCP request
    │  ├─ Backend TCP request       INTERNAL  follows from Frontend HTTP request
    │  └─ Backend HTTP request      INTERNAL  follows from Backend TCP request
    └─ Server session               CLIENT    from the server's connection to the end; the server's own span is its child
       ├─ TCP response              INTERNAL
       └─ HTTP response             INTERNAL  follows from TCP response

A span ends when its follower begins, the last one with the exchange. *Child of* is the parent. *Follows from* is a link to the
predecessor (``opentracing.ref_type=follows_from``), and the parent is the predecessor's own parent: one comes after the other, not
inside it. A phase that was never reached has no span. HAProxy session and Server session are the two spans of the other profiles
under the mapping's names: they have all their attributes, and the same ids.

On HAProxy 3.1 and later nothing may be asked at ``on-server-session`` and ``on-tcp-response``: there the record's timers say when
they were. A request whose events nobody answered has its sessions, and what the timers tell.
"""

from . import semconv
from .context import derived_span_id, server_span_id
from .ending import Ending
from .span import Attributes, Link, Span, SpanKind
from .stamps import EVENT_COUNT, stamps_unix_micro
from .timeline import Timeline

__all__ = ["phase_spans"]

_CLIENT_SESSION, _FRONTEND_TCP, _FRONTEND_HTTP, _BACKEND_TCP, _BACKEND_HTTP, _SERVER_SESSION, _TCP_RESPONSE, _HTTP_RESPONSE = range(
    EVENT_COUNT
)
_HAPROXY_SESSION = "HAProxy session"
_NAMES = (
    "Client session",
    "Frontend TCP request",
    "Frontend HTTP request",
    "Backend TCP request",
    "Backend HTTP request",
    "Server session",
    "TCP response",
    "HTTP response",
)
"""The span that begins at each event; HAProxy session begins together with the first of them."""
_FOLLOWS_FROM: Attributes = [(semconv.OPENTRACING_REF_TYPE, "follows_from")]
_NANOSECONDS_PER_MICROSECOND = 1_000


_REQUESTS = (_FRONTEND_TCP, _FRONTEND_HTTP, _BACKEND_TCP, _BACKEND_HTTP)
_RESPONSES = (_TCP_RESPONSE, _HTTP_RESPONSE)


def phase_spans(ending: Ending, times: Timeline, server: Span, client: Span | None) -> list[Span]:
    """All spans of an exchange in the mapping's words, HAProxy session first.

    Args:
        ending, times: what the record says.
        server, client: the exchange's SERVER and CLIENT span; they become HAProxy session and Server session.
    """
    starts = _starts(ending, times)
    server.name = _HAPROXY_SESSION
    server.start_unix_nano = starts[_CLIENT_SESSION] or server.start_unix_nano
    cut = _Cut(ending, server, starts)
    session = cut.span(_CLIENT_SESSION, server, server.start_unix_nano, server.end_unix_nano)
    connected = starts[_SERVER_SESSION]
    spans = [server, session, *cut.chain(_REQUESTS, session, connected)]
    if client is not None and connected is not None:
        client.name = _NAMES[_SERVER_SESSION]
        client.start_unix_nano = connected
        spans += [client, *cut.chain(_RESPONSES, client, None)]
    elif client is not None:
        # A server that was chosen and never reached has no session: what became of it is said by the request that waited for it.
        waiting = spans[-1]
        names = {name for name, _value in waiting.attributes}
        waiting.attributes += [attribute for attribute in client.attributes if attribute[0] not in names]
        waiting.status = client.status
    return spans


class _Cut:
    """Makes the INTERNAL spans of one exchange."""

    __slots__ = ("_base_span_id", "_ending", "_server", "_starts")

    def __init__(self, ending: Ending, server: Span, starts: list[int | None]) -> None:
        self._ending = ending
        self._server = server
        self._starts = starts
        # Deriving is its own inverse: HAProxy session's id leads back to the number that all ids of the exchange come from.
        self._base_span_id = server_span_id(server.span_id)

    def span(self, event: int, parent: Span, start_unix_nano: int, end_unix_nano: int) -> Span:
        """The span that begins at an event."""
        server = self._server
        return Span(
            server.trace_id,
            derived_span_id(self._base_span_id, event + 1),
            parent.span_id,
            server.flags,
            parent_is_remote=False,
            tracestate=server.tracestate,
            name=_NAMES[event],
            kind=SpanKind.INTERNAL,
            start_unix_nano=start_unix_nano,
            end_unix_nano=end_unix_nano,
            attributes=_attributes(event, self._ending),
        )

    def chain(self, events: tuple[int, ...], parent: Span, follower_unix_nano: int | None) -> list[Span]:
        """One span after the other below ``parent``; the last one ends when its follower begins, or with the exchange."""
        reached = [(event, start) for event in events if (start := self._starts[event]) is not None]
        ends = [start for _event, start in reached[1:]] + [follower_unix_nano or self._server.end_unix_nano]
        spans: list[Span] = []
        for (event, start), end in zip(reached, ends, strict=False):
            span = self.span(event, parent, start, end)
            if spans:
                span.links = [Link(span.trace_id, spans[-1].span_id, span.flags, attributes=_FOLLOWS_FROM)]
            spans.append(span)
        return spans


def _attributes(event: int, ending: Ending) -> Attributes:
    if event in (_BACKEND_TCP, _BACKEND_HTTP):
        return [(semconv.HAPROXY_BACKEND_NAME, ending.backend)]
    if event == _HTTP_RESPONSE and ending.status_code is not None:
        return [(semconv.HTTP_RESPONSE_STATUS_CODE, ending.status_code)]
    if event in (_TCP_RESPONSE, _HTTP_RESPONSE):
        return []
    return [(semconv.HAPROXY_FRONTEND_NAME, ending.frontend)]


def _starts(ending: Ending, times: Timeline) -> list[int | None]:
    """When each event was, Unix nanoseconds, in order and within the exchange; None if it never was."""
    clocks = [None if stamp is None else stamp * _NANOSECONDS_PER_MICROSECOND for stamp in stamps_unix_micro(ending.stamps or ())]
    starts = [None if clock is None or not times.believes(clock) else clock for clock in clocks]
    # Before HAProxy 3.0 the first event is nearer to the first byte of the request than anything else.
    began = starts[_CLIENT_SESSION]
    starts[_CLIENT_SESSION] = times.start if began is None else min(times.start, began)
    if ending.server is None:
        # HAProxy's own applets (statistics, cache) have these events as well.
        starts[_SERVER_SESSION:] = [None, None, None]
    else:
        if starts[_SERVER_SESSION] is None:
            starts[_SERVER_SESSION] = times.connected(ending)
        if starts[_TCP_RESPONSE] is None:
            # It is there as soon as the connection is, whenever the first byte comes (measured).
            starts[_TCP_RESPONSE] = starts[_SERVER_SESSION]
        if starts[_HTTP_RESPONSE] is None and ending.server_answered:
            starts[_HTTP_RESPONSE] = times.responded(ending)
    latest = 0
    for event, start in enumerate(starts):
        if start is not None:
            starts[event] = latest = min(max(start, latest), times.end)
    return starts
