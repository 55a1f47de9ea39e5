"""The argument mini-language of spoa-opentracing: an SPOE file that was written for it opens, fills and finishes spans here.

Each message names its exchange (``id=unique-id``) and does what its clauses say; all of one message happens at one moment. The
first span of an exchange is its root and a SERVER span, all others are INTERNAL. A span leaves when it is finished; an exchange
whose last span has left is forgotten.
"""

from collections.abc import Sequence

import msgspec

from ..context import IdGenerator, SpanContext
from ..propagation.tracecontext import format_traceparent, parse_traceparent, parse_tracestate
from ..request import NO_REQUEST
from ..sampling.sampler import Sampler, child_context
from ..span import Event, Span, SpanStatus
from .clauses import ALL, Clause, Log, MessageWarning, Reading, Tag, WarningReason, is_minilanguage, read_message
from .opened import ExchangePhase, OpenExchange, OpenSpan, ended_span
from .pending import PendingTable, bytes_of_text

__all__ = ["EXPIRY_REASONS", "SERVER_SPANS", "UNFINISHED_ATTRIBUTE", "MiniLanguage", "MiniLimits", "MiniResult"]

SERVER_SPANS = ("Server session", "TCP response", "HTTP response")
"""What spoa-opentracing's own example calls the spans that begin when a server has been reached."""
EXPIRY_REASONS = ("time", "limit", "shutdown")
UNFINISHED_ATTRIBUTE = "haproxy.spoe.unfinished"
"""Of a span that was never finished: why it left (``EXPIRY_REASONS``)."""

_STATUS_MESSAGES = {
    "time": "not finished: no further event came in time",
    "limit": "not finished: too many exchanges were open",
    "shutdown": "not finished: the agent was stopped",
}
_ERROR_TAG = "error"
_ERROR_VALUES = {"true": True, "1": True, "false": False, "0": False}
_EVENT_KEY = "event"
_DEFAULT_EVENT_NAME = "log"
_STATUS_CODE_TAGS = ("http.status_code", "http.response.status_code")
_SWITCHING_PROTOCOLS = (101, "101")
_TAG_BYTES = 80
_EVENT_BYTES = 300
_NANOSECONDS_PER_SECOND = 1_000_000_000


class MiniLimits(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What messages may make the agent hold, and for how long."""

    max_exchanges: int
    max_bytes: int
    max_spans: int
    """Open ones of an exchange."""
    max_tags: int
    """Of a span; as many events, and as many items of baggage."""
    max_text_characters: int
    request_silence_seconds: float
    """How long an exchange may be silent that has reached no server."""
    server_silence_seconds: float
    upgraded_silence_seconds: float


class MiniResult(msgspec.Struct, frozen=True, gc=False):
    """What came of one message."""

    spans: list[Span]
    """Those that have ended, of this exchange and of others that had to go."""
    variables: list[tuple[str, str | None]]
    """Names (without scope and prefix) and values; None: to be unset."""
    in_request: bool
    """Whether the request still waits: ``variables`` may then go into its scope, too."""
    warnings: list[MessageWarning]


class _Act(msgspec.Struct, gc=False):
    """One message being done."""

    message_name: str
    reading: Reading
    context: SpanContext | None
    """The caller's, if the message brings one."""
    now_unix_nano: int
    exchange: OpenExchange | None
    opened: list[OpenSpan] = msgspec.field(default_factory=list)
    ended: list[Span] = msgspec.field(default_factory=list)
    adopted: bool = False

    def warn(self, reason: WarningReason, argument: str) -> None:
        self.reading.warnings.append(MessageWarning(reason, self.message_name, argument))


class MiniLanguage:
    """Understands messages; holds the spans that they have opened.

    Args:
        sampler: decides for each trace.
        ids: makes the ids of new traces and spans.
        limits: what it may hold.
        server_spans: names of spans that are opened when a server has been reached.
    """

    __slots__ = ("_ids", "_limits", "_server_spans", "_table", "expired", "sampler")

    def __init__(
        self, *, sampler: Sampler, ids: IdGenerator, limits: MiniLimits, server_spans: Sequence[str] = SERVER_SPANS
    ) -> None:
        self.sampler = sampler
        """May be replaced: it decides for traces that begin from then on."""
        self._ids = ids
        self._limits = limits
        self._server_spans = frozenset(server_spans)
        silence_seconds = {
            ExchangePhase.REQUEST: limits.request_silence_seconds,
            ExchangePhase.SERVER: limits.server_silence_seconds,
            ExchangePhase.UPGRADED: limits.upgraded_silence_seconds,
        }
        self._table = PendingTable(
            max_exchanges=limits.max_exchanges,
            max_bytes=limits.max_bytes,
            silence_nano={phase: round(seconds * _NANOSECONDS_PER_SECOND) for phase, seconds in silence_seconds.items()},
        )
        self.expired: dict[str, int] = dict.fromkeys(EXPIRY_REASONS, 0)
        """Exchanges that were closed because nothing else did it, by reason."""

    def __len__(self) -> int:
        """Open exchanges."""
        return len(self._table)

    @property
    def size_bytes(self) -> int:
        """What the open exchanges take, about."""
        return self._table.size_bytes

    def understands(self, arguments: Sequence[tuple[str, object]]) -> bool:
        """Whether a message with these arguments is written in the mini-language, well or badly."""
        return is_minilanguage(arguments)

    def receive(self, message_name: str, arguments: Sequence[tuple[str, object]], now_unix_nano: int) -> MiniResult:
        """Do what one message says. Never raises."""
        reading = read_message(message_name, arguments, max_text_characters=self._limits.max_text_characters)
        if reading.id is None:
            return MiniResult([], [], in_request=False, warnings=reading.warnings)
        act = _Act(message_name, reading, _context(reading), now_unix_nano, self._table.get(reading.id))
        if act.exchange is not None:
            self._table.renew(act.exchange, now_unix_nano)
            if act.context is not None:
                self._adopt(act, act.exchange, act.context)
        for clause in reading.clauses:
            self._do(act, clause)
        for name in reading.finishes:
            self._finish(act, name)
        exchange = act.exchange
        variables: list[tuple[str, str | None]] = []
        in_request = False
        if exchange is not None:
            variables = _variables(act, exchange)
            in_request = exchange.phase is ExchangePhase.REQUEST
            if not exchange.spans:
                self._table.remove(exchange)
        act.ended += self._give_up(self._table.take_excess(), "limit")
        return MiniResult(act.ended, variables, in_request=in_request, warnings=reading.warnings)

    def expire(self, now_unix_nano: int, *, at_most: int) -> list[Span]:
        """The spans of up to ``at_most`` exchanges silent for too long; they end when their exchange was last heard of."""
        return self._give_up(self._table.take_overdue(now_unix_nano, at_most=at_most), "time")

    def close(self) -> list[Span]:
        """The spans of all that is still open."""
        return self._give_up(self._table.take_all(), "shutdown")

    def _give_up(self, exchanges: Sequence[OpenExchange], reason: str) -> list[Span]:
        self.expired[reason] += len(exchanges)
        spans: list[Span] = []
        for exchange in exchanges:
            if not exchange.sampled:
                continue
            for open_span in exchange.spans.values():
                span = ended_span(exchange, open_span, exchange.last_unix_nano)
                span.attributes.append((UNFINISHED_ATTRIBUTE, reason))
                span.status = SpanStatus.ERROR
                span.status_message = _STATUS_MESSAGES[reason]
                spans.append(span)
        return spans

    def _adopt(self, act: _Act, exchange: OpenExchange, context: SpanContext) -> None:
        """Move a whole exchange into the caller's trace.

        The context comes with the request, and by then the first spans are open; as long as none of them has left, nobody knows
        their trace but HAProxy, who is told the new one.
        """
        if exchange.parent is not None or exchange.has_finished_spans:
            return
        decision = self.sampler.decide(context.trace_id, context, NO_REQUEST)
        exchange.trace_id, exchange.parent, exchange.sampled = context.trace_id, context, decision.sampled
        exchange.flags, exchange.tracestate = child_context(context, decision)
        self._table.charge(exchange, bytes_of_text(exchange.tracestate))
        act.adopted = True

    def _do(self, act: _Act, clause: Clause) -> None:
        span = None if act.exchange is None else act.exchange.spans.get(clause.name)
        if span is None:
            span = self._begin(act, clause) if act.exchange is None else self._continue(act, act.exchange, clause)
            if span is None:
                return
            act.opened.append(span)
        exchange = act.exchange
        assert exchange is not None  # noqa: S101 - the span's own
        if clause.name in self._server_spans:
            self._table.advance(exchange, ExchangePhase.SERVER)
        if clause.items:
            self._fill(act, exchange, span, clause)

    def _begin(self, act: _Act, clause: Clause) -> OpenSpan | None:
        """Open the first span of an exchange."""
        if clause.reference is not None:
            act.warn(WarningReason.REFERENCE_NOT_OPEN, _written(clause))
            return None
        context = act.context
        trace_id = self._ids.trace_id() if context is None else context.trace_id
        decision = self.sampler.decide(trace_id, context, NO_REQUEST)
        flags, tracestate = child_context(context, decision)
        root = OpenSpan(clause.name, self._ids.span_id(), None, None, act.now_unix_nano, {})
        act.exchange = OpenExchange(
            act.reading.id or "", trace_id, context, flags, tracestate, decision.sampled, root.span_id, act.now_unix_nano
        )
        self._table.add(act.exchange)
        self._table.open_span(act.exchange, root)
        return root

    def _continue(self, act: _Act, exchange: OpenExchange, clause: Clause) -> OpenSpan | None:
        """Open a further span of an exchange."""
        if clause.reference is None:
            # A trace has one root: whoever claims to be another hangs below it.
            act.warn(WarningReason.SECOND_ROOT, _written(clause))
            span = OpenSpan(clause.name, self._ids.span_id(), exchange.root_span_id, None, act.now_unix_nano, {})
        else:
            reference = exchange.spans.get(clause.reference)
            if reference is None:
                act.warn(WarningReason.REFERENCE_NOT_OPEN, _written(clause))
                return None
            span = OpenSpan(clause.name, self._ids.span_id(), reference.span_id, None, act.now_unix_nano, reference.baggage)
            if clause.follows:
                span.follows_span_id = reference.span_id
                # Beside its predecessor; only beside the root there is no place.
                span.parent_span_id = reference.parent_span_id or reference.span_id
        if len(exchange.spans) >= self._limits.max_spans:
            act.warn(WarningReason.SPAN_LIMIT, _written(clause))
            return None
        self._table.open_span(exchange, span)
        return span

    def _fill(self, act: _Act, exchange: OpenExchange, span: OpenSpan, clause: Clause) -> None:
        # Of a trace that is not recorded nothing need be kept, once it can't become another one.
        keep = exchange.sampled or not exchange.has_finished_spans
        event: dict[str, str] = {}
        baggage = span.baggage
        for item in clause.items:
            if isinstance(item, Tag):
                if item.key in _STATUS_CODE_TAGS and item.value in _SWITCHING_PROTOCOLS:
                    self._table.advance(exchange, ExchangePhase.UPGRADED)
                if keep:
                    self._tag(act, exchange, span, item)
            elif isinstance(item, Log):
                event[item.key] = item.value
            elif item.key in baggage or len(baggage) < self._limits.max_tags:
                baggage = {**baggage, item.key: item.value}
            else:
                act.warn(WarningReason.TAG_LIMIT, f"baggage={item.key}")
        if not keep:
            return
        if baggage is not span.baggage:
            self._carry(exchange, span, baggage)
        if event:
            self._log(act, exchange, span, event)

    def _tag(self, act: _Act, exchange: OpenExchange, span: OpenSpan, tag: Tag) -> None:
        if tag.key == _ERROR_TAG:
            is_error = _ERROR_VALUES.get(str(tag.value).lower())
            if is_error is not None:
                span.is_error = is_error
                return
        value = tag.value
        if value is None:
            return
        attributes = span.attributes
        before = attributes.get(tag.key)
        if before is None and len(attributes) >= self._limits.max_tags:
            span.dropped_attributes_count += 1
            act.warn(WarningReason.TAG_LIMIT, f"tag={tag.key}")
            return
        attributes[tag.key] = value
        size_bytes = bytes_of_text(value) if isinstance(value, str) else 0
        if before is None:
            size_bytes += _TAG_BYTES + bytes_of_text(tag.key)
        elif isinstance(before, str):
            size_bytes -= bytes_of_text(before)
        self._table.charge(exchange, size_bytes, span)

    def _carry(self, exchange: OpenExchange, span: OpenSpan, baggage: dict[str, str]) -> None:
        span.baggage = baggage
        size_bytes = sum(_TAG_BYTES + bytes_of_text(key) + bytes_of_text(value) for key, value in baggage.items())
        self._table.charge(exchange, size_bytes - span.baggage_bytes, span)
        span.baggage_bytes = size_bytes

    def _log(self, act: _Act, exchange: OpenExchange, span: OpenSpan, fields: dict[str, str]) -> None:
        if len(span.events) >= self._limits.max_tags:
            act.warn(WarningReason.TAG_LIMIT, "log")
            return
        size_bytes = _EVENT_BYTES + sum(_TAG_BYTES + bytes_of_text(key) + bytes_of_text(value) for key, value in fields.items())
        name = fields.pop(_EVENT_KEY, "") or _DEFAULT_EVENT_NAME
        span.events.append(Event(act.now_unix_nano, name, list(fields.items())))
        self._table.charge(exchange, size_bytes, span)

    def _finish(self, act: _Act, name: str) -> None:
        exchange = act.exchange
        if exchange is None:
            spans = []
        elif name == ALL:
            spans = list(exchange.spans.values())
        else:
            spans = [exchange.spans[name]] if name in exchange.spans else []
        if exchange is None or not spans:
            act.warn(WarningReason.FINISH_NOT_OPEN, f"finish={name}")
            return
        for span in spans:
            self._table.close_span(exchange, span)
            if exchange.sampled:
                act.ended.append(ended_span(exchange, span, act.now_unix_nano))


def _context(reading: Reading) -> SpanContext | None:
    context = None if reading.traceparent is None else parse_traceparent(reading.traceparent)
    if context is None or reading.tracestate is None:
        return context
    tracestate = parse_tracestate([reading.tracestate])
    return msgspec.structs.replace(context, tracestate=tracestate) if tracestate else context


def _written(clause: Clause) -> str:
    """The clause's head, as it stands in the SPOE file."""
    if clause.reference is None:
        return f"span={clause.name}"
    return f"span={clause.name} {'follows-from' if clause.follows else 'child-of'}={clause.reference}"


def _variables(act: _Act, exchange: OpenExchange) -> list[tuple[str, str | None]]:
    """The trace context for the next hop: the newest span of the message that is still open, in its words."""
    candidates = list(exchange.spans.values()) if act.adopted else act.opened
    span = next((span for span in reversed(candidates) if exchange.spans.get(span.name) is span), None)
    if span is None:
        return []
    context = SpanContext(exchange.trace_id, span.span_id, exchange.flags)
    variables: list[tuple[str, str | None]] = [("traceparent", format_traceparent(context))]
    if exchange.tracestate:
        variables.append(("tracestate", exchange.tracestate))
    elif exchange.told_tracestate:
        variables.append(("tracestate", None))
    exchange.told_tracestate = bool(exchange.tracestate)
    return variables
