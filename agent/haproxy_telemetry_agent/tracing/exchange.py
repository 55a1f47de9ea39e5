"""The second half of an exchange: from its record to its spans.

A SERVER span for the frontend: from the first byte of the request to the end of the exchange. A CLIENT span below it for the
server, if one was chosen: from when HAProxy turned to it (request read, queues left) to the end. Both ids are known from the
``traceparent`` that went to the server; the CLIENT span is the one the server's own span hangs under. Profile Full cuts the same
exchange finer (``phases``).
"""

from collections.abc import Collection, Mapping

import msgspec

from ..wiring import Profile
from . import semconv
from .answer import DECIDED
from .attributes import AttributeBuilder, Facts
from .context import IdGenerator, SpanContext, SpanId, TraceId, server_span_id
from .ending import BAD_REQUEST, Ending, read_ending
from .limits import SpanLimits
from .outcome import Outcome, client_outcome, server_outcome
from .phases import phase_spans
from .propagation.baggage import baggage_attributes
from .propagation.tracecontext import parse_traceparent
from .request import NO_REQUEST
from .sampling import Keeper, Sampler, child_context, without_threshold
from .span import Attributes, Link, Span, SpanKind, SpanStatus
from .timeline import Timeline, timeline

__all__ = ["Exchange", "ExchangeTracer"]

_NANOSECONDS_PER_SECOND = 1_000_000_000
_NO_CONTEXT = SpanContext(TraceId(bytes(16)), SpanId(bytes(8)), 0)


class Exchange(msgspec.Struct, frozen=True, gc=False):
    """What came out of one record."""

    ending: Ending
    spans: list[Span]
    """SERVER first; empty if the trace is not sampled, the request is excluded, or there was none."""
    had_request: bool
    """False for a connection that closed, or was timed out, before a whole request came: health probes do that."""
    reason: str = ""
    """Why it is sampled or not, where it was not the ordinary sampler."""
    start_unix_nano: int = 0
    """First byte of the request; 0 if there was none."""
    server: Span | None = None
    """The SERVER span, whether it is one of ``spans`` or not; without those only if descriptions are wanted."""


class ExchangeTracer:
    """Makes spans of records.

    Args:
        sampler: decides for exchanges that have no trace context at all (unparsable requests, requests answered by a rule that
            stands in front of ours while the agent was away).
        ids: makes their ids.
        attributes: says what the spans say.
        profile: which spans an exchange has: two, or nine (``phases``).
        keeper: keeps exchanges that were not sampled and went wrong; None: none.
        limits: of the spans.
        baggage_keys: the members of baggage that spans show.
        describe: whether exchanges without spans are described by the SERVER span they would have had; for logs.
        describe_excluded: whether excluded ones are as well; of no meaning without ``describe``.
    """

    __slots__ = (
        "_attributes",
        "_baggage_keys",
        "_describe",
        "_describe_excluded",
        "_ids",
        "_keeper",
        "_limits",
        "_profile",
        "_sampler",
    )

    def __init__(
        self,
        *,
        sampler: Sampler,
        ids: IdGenerator,
        attributes: AttributeBuilder | None = None,
        profile: Profile = "Standard",
        keeper: Keeper | None = None,
        limits: SpanLimits | None = None,
        baggage_keys: Collection[str] = (),
        describe: bool = False,
        describe_excluded: bool = False,
    ) -> None:
        self._sampler = sampler
        self._ids = ids
        self._attributes = AttributeBuilder() if attributes is None else attributes
        self._profile = profile
        self._keeper = keeper
        self._limits = SpanLimits() if limits is None else limits
        self._baggage_keys = frozenset(baggage_keys)
        self._describe = describe
        self._describe_excluded = describe and describe_excluded

    def trace(self, end_unix_nano: int, fields: Mapping[str, str]) -> Exchange:
        """The spans of one record (names as in ``wiring.fields``).

        Raises:
            KeyError, ValueError: the record was not written for this agent.
        """
        ending = read_ending(end_unix_nano, fields)
        if ending.method == BAD_REQUEST and ending.termination_state[:1] != "P":
            return Exchange(ending, [], had_request=False)
        times = timeline(ending)
        if ending.excluded:
            described = None
            if self._describe_excluded:
                outcome = server_outcome(ending.status_code, ending.termination_state)
                described = self._describe_only(ending, _NO_CONTEXT, times, outcome, "excluded")
            return Exchange(ending, [], had_request=True, reason="excluded", start_unix_nano=times.start, server=described)
        context = None if ending.traceparent is None else parse_traceparent(ending.traceparent)
        if context is None:
            context = self._new_context()
            tracestate = context.tracestate
        else:
            tracestate = ending.tracestate
        reason = ending.reason or ""
        outcome = server_outcome(ending.status_code, ending.termination_state)
        if not context.sampled:
            kept = None if self._keeper is None else self._keep(self._keeper, outcome, times)
            if kept is None:
                described = self._describe_only(ending, context, times, outcome, reason) if self._describe else None
                return Exchange(ending, [], had_request=True, reason=reason, start_unix_nano=times.start, server=described)
            reason, tracestate = kept, without_threshold(tracestate)
        spans = self._spans(ending, context, tracestate, times, outcome)
        if reason:
            spans[0].attributes.append((semconv.HAPROXY_SAMPLING_REASON, reason))
        for span in spans:
            self._limits.apply(span)
        return Exchange(ending, spans, had_request=True, reason=reason, start_unix_nano=times.start, server=spans[0])

    def retrace(self, end_unix_nano: int, fields: Mapping[str, str], kept: str | None) -> Exchange:
        """The same as ``trace`` has given for a record that has a trace context, once more; nothing is decided anew.

        Args:
            end_unix_nano, fields: the record.
            kept: why a trace that was not sampled was kept then; None if it was not.
        """
        again = ExchangeTracer(
            sampler=self._sampler,
            ids=self._ids,
            attributes=self._attributes,
            profile=self._profile,
            keeper=None if kept is None else _Kept(kept),
            limits=self._limits,
            baggage_keys=self._baggage_keys,
        )
        return again.trace(end_unix_nano, fields)

    def _keep(self, keeper: Keeper, outcome: Outcome, times: Timeline) -> str | None:
        duration_seconds = (times.end - times.start) / _NANOSECONDS_PER_SECOND
        return keeper.reason(is_error=outcome.status is SpanStatus.ERROR, duration_seconds=duration_seconds)

    def _new_context(self) -> SpanContext:
        trace_id = self._ids.trace_id()
        flags, tracestate = child_context(None, self._sampler.decide(trace_id, None, NO_REQUEST))
        return SpanContext(trace_id, self._ids.span_id(), flags, tracestate)

    def _spans(self, ending: Ending, context: SpanContext, tracestate: str, times: Timeline, outcome: Outcome) -> list[Span]:
        facts = self._attributes.read(ending, ending.extras)
        server = self._server_span(ending, context, times, outcome, facts)
        server.tracestate = tracestate
        client = None if ending.server is None else self._client_span(ending, context, server, times.turn, facts)
        if self._profile == "Full":
            return phase_spans(ending, times, server, client)
        return [server] if client is None else [server, client]

    def _describe_only(self, ending: Ending, context: SpanContext, times: Timeline, outcome: Outcome, reason: str) -> Span:
        facts = self._attributes.read(ending, ending.extras)
        span = self._server_span(ending, context, times, outcome, facts)
        if reason:
            span.attributes.append((semconv.HAPROXY_SAMPLING_REASON, reason))
        self._limits.apply(span)
        return span

    def _server_span(self, ending: Ending, context: SpanContext, times: Timeline, outcome: Outcome, facts: Facts) -> Span:
        server = Span(
            context.trace_id,
            server_span_id(context.span_id),
            ending.parent_span_id,
            context.flags,
            ending.parent_span_id is not None,
            context.tracestate,
            facts.server_name,
            SpanKind.SERVER,
            times.start,
            times.end,
            self._attributes.server(ending, facts),
        )
        _conclude(server, outcome if facts.call is None else facts.call.server_outcome(outcome))
        if ending.link is not None:
            server.links = _links(ending.link)
        if facts.extras:
            server.attributes.extend(self._decided(facts.extras))
        return server

    def _decided(self, extras: Mapping[str, str]) -> Attributes:
        """What the start of the exchange has made attributes of; baggage that the agent was not asked about comes as it was."""
        decided: Attributes = [(key.removeprefix(DECIDED), value) for key, value in extras.items() if key.startswith(DECIDED)]
        if self._baggage_keys and "baggage" in extras:
            decided += baggage_attributes([extras["baggage"]], self._baggage_keys)
        return decided

    def _client_span(self, ending: Ending, context: SpanContext, server: Span, start_unix_nano: int, facts: Facts) -> Span:
        status_code = ending.status_code if ending.server_answered else None
        client = Span(
            context.trace_id,
            context.span_id,
            server.span_id,
            context.flags,
            False,  # noqa: FBT003 - positional on purpose: this is the hot path
            server.tracestate,
            facts.client_name,
            SpanKind.CLIENT,
            start_unix_nano,
            server.end_unix_nano,
            self._attributes.client(ending, facts, status_code),
        )
        outcome = client_outcome(status_code, ending.termination_state)
        _conclude(client, outcome if facts.call is None else facts.call.client_outcome(outcome))
        return client


class _Kept(Keeper):
    """One that has made up its mind."""

    __slots__ = ("_reason",)

    def __init__(self, reason: str) -> None:
        super().__init__()
        self._reason = reason

    def reason(self, *, is_error: bool, duration_seconds: float) -> str | None:  # noqa: ARG002
        return self._reason


def _conclude(span: Span, outcome: Outcome) -> None:
    span.status = outcome.status
    if outcome.error_type is not None:
        span.attributes.append((semconv.ERROR_TYPE, outcome.error_type))


def _links(traceparent: str) -> list[Link]:
    """A caller that is not trusted to be the parent."""
    context = parse_traceparent(traceparent)
    return [] if context is None else [Link(context.trace_id, context.span_id, context.flags, is_remote=True)]
