"""What is said of one exchange to whoever looks: as JSON, on the page, and by ``tail``.

Made only when somebody looks. Nothing is in here that a span would not say: paths and queries are redacted as in spans.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

from ..tracing import Connection, Ending, Exchange, Span, SpanKind, SpanStatus
from ..tracing.attributes import AttributeBuilder
from ..tracing.ending import BAD_REQUEST
from ..tracing.outcome import connection_outcome, server_outcome
from ..tracing.semconv import ERROR_TYPE
from .recent import Made, Piece, end_unix_nano_of, has_failed, trace_id_of

__all__ = ["ExchangeView", "LinkView", "SpanView", "view_exchange"]

_NANOSECONDS_PER_SECOND = 1_000_000_000
_NANOSECONDS_PER_MILLISECOND = 1_000_000
_KINDS = {SpanKind.INTERNAL: "internal", SpanKind.SERVER: "server", SpanKind.CLIENT: "client"}
_STATUSES = {SpanStatus.UNSET: "unset", SpanStatus.OK: "ok", SpanStatus.ERROR: "error"}

Value = str | bool | int | float | list[str]


class View(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """A mapping of the JSON."""


class LinkView(View, frozen=True):
    """Another span that a span has to do with."""

    trace_id: str
    span_id: str


class EventView(View, frozen=True):
    """A moment of a span."""

    time_unix_nano: int
    name: str
    attributes: dict[str, Value]


class SpanView(View, frozen=True):
    """One span, as it was exported."""

    name: str
    kind: str
    """``internal``, ``server`` or ``client``."""
    span_id: str
    parent_span_id: str | None
    start_unix_nano: int
    end_unix_nano: int
    status: str
    """``unset``, ``ok`` or ``error``."""
    status_message: str = ""
    tracestate: str = ""
    attributes: dict[str, Value] = {}
    links: list[LinkView] = []
    events: list[EventView] = []


class ExchangeView(View, frozen=True):
    """One exchange, or what of it has come until now."""

    kind: Literal["http", "tcp", "minilanguage"]
    trace_id: str | None
    """None if it never had one."""
    end_unix_nano: int
    duration_seconds: float
    name: str
    """Method and path, redacted; ``tcp`` of a connection; the first span's name of an exchange in the mini-language."""
    sampled: bool
    decided_by: str
    """Why it is sampled or not: ``caller``, ``sampler``, ``HAProxy`` (nobody had asked the agent), or the reason that spans show as
    ``haproxy.sampling.reason``."""
    route: str | None = None
    status_code: int | None = None
    termination_state: str | None = None
    """HAProxy's two letters; ``--`` is a normal end."""
    frontend: str | None = None
    backend: str | None = None
    server: str | None = None
    """None if no server was chosen."""
    is_error: bool = False
    error_type: str | None = None
    spans: list[SpanView] | None = None
    """None where they are left out."""


def view_exchange(made: Made, attributes: AttributeBuilder, *, follows_parent: bool, with_spans: bool) -> ExchangeView:
    """What is said of one exchange.

    Args:
        made: the exchange.
        attributes: redacts; names the route.
        follows_parent: whether a caller's decision is kept.
        with_spans: whether its spans are shown.
    """
    spans = [_view_span(span) for span in made.spans] if with_spans else None
    if isinstance(made, Exchange):
        return _view_http(made, attributes, spans, follows_parent=follows_parent)
    return _view_pieces(made, spans) if isinstance(made, Piece) else _view_connection(made, spans)


def _view_http(
    exchange: Exchange, attributes: AttributeBuilder, spans: list[SpanView] | None, *, follows_parent: bool
) -> ExchangeView:
    ending = exchange.ending
    facts = attributes.read(ending, ending.extras)
    outcome = server_outcome(ending.status_code, ending.termination_state)
    if facts.call is not None:
        outcome = facts.call.server_outcome(outcome)
    return ExchangeView(
        kind="http",
        trace_id=_trace_id(exchange),
        end_unix_nano=ending.end_unix_nano,
        duration_seconds=(ending.end_unix_nano - exchange.start_unix_nano) / _NANOSECONDS_PER_SECOND,
        name=ending.method if ending.method == BAD_REQUEST else f"{ending.method} {facts.path}",
        route=None if facts.route is None else facts.route.route,
        status_code=ending.status_code,
        termination_state=ending.termination_state,
        frontend=ending.frontend,
        backend=ending.backend,
        server=ending.server,
        is_error=outcome.status is SpanStatus.ERROR,
        error_type=outcome.error_type,
        sampled=bool(exchange.spans),
        decided_by=exchange.reason or _decider(ending, follows_parent=follows_parent),
        spans=spans,
    )


def _decider(ending: Ending, *, follows_parent: bool) -> str:
    if ending.parent_span_id is not None and follows_parent:
        return "caller"
    return "sampler" if ending.answered or ending.traceparent is None else "HAProxy"


def _view_connection(connection: Connection, spans: list[SpanView] | None) -> ExchangeView:
    ending = connection.ending
    outcome = connection_outcome(ending.termination_state, has_server=ending.server is not None)
    start_unix_nano = ending.end_unix_nano - ending.total_milliseconds * _NANOSECONDS_PER_MILLISECOND
    if connection.spans:
        start_unix_nano = connection.spans[0].start_unix_nano
    return ExchangeView(
        kind="tcp",
        trace_id=_trace_id(connection),
        end_unix_nano=ending.end_unix_nano,
        duration_seconds=(ending.end_unix_nano - start_unix_nano) / _NANOSECONDS_PER_SECOND,
        name="tcp",
        termination_state=ending.termination_state,
        frontend=ending.frontend,
        backend=ending.backend,
        server=ending.server,
        is_error=outcome.status is SpanStatus.ERROR,
        error_type=outcome.error_type,
        sampled=bool(connection.spans),
        decided_by=connection.reason or "sampler",
        spans=spans,
    )


def _view_pieces(piece: Piece, spans: list[SpanView] | None) -> ExchangeView:
    first = _first(piece.spans)
    return ExchangeView(
        kind="minilanguage",
        trace_id=_trace_id(piece),
        end_unix_nano=end_unix_nano_of(piece),
        duration_seconds=(end_unix_nano_of(piece) - first.start_unix_nano) / _NANOSECONDS_PER_SECOND,
        name=first.name,
        is_error=has_failed(piece),
        error_type=next((str(value) for name, value in first.attributes if name == ERROR_TYPE), None),
        sampled=True,
        decided_by="caller" if first.parent_is_remote else "sampler",
        spans=spans,
    )


def _first(spans: Sequence[Span]) -> Span:
    """The one that begins first; of those that begin together the one that ends last."""
    return min(spans, key=lambda span: (span.start_unix_nano, -span.end_unix_nano))


def _trace_id(made: Made) -> str | None:
    trace_id = trace_id_of(made)
    return None if trace_id is None else trace_id.hex()


def _view_span(span: Span) -> SpanView:
    return SpanView(
        name=span.name,
        kind=_KINDS[span.kind],
        span_id=span.span_id.hex(),
        parent_span_id=None if span.parent_span_id is None else span.parent_span_id.hex(),
        start_unix_nano=span.start_unix_nano,
        end_unix_nano=span.end_unix_nano,
        status=_STATUSES[span.status],
        status_message=span.status_message,
        tracestate=span.tracestate,
        attributes=dict(span.attributes),
        links=[LinkView(trace_id=link.trace_id.hex(), span_id=link.span_id.hex()) for link in span.links],
        events=[
            EventView(time_unix_nano=event.time_unix_nano, name=event.name, attributes=dict(event.attributes))
            for event in span.events
        ],
    )
