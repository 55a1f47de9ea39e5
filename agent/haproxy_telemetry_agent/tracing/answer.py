"""The first half of an exchange: a request that waits, and the agent's answer to it.

HAProxy asks at ``on-frontend-http-request``. The answer decides whether the trace is recorded and sets three variables:
``traceparent`` and ``tracestate`` for the server, and ``state`` for the record. Nothing stays here.
"""

from collections.abc import Mapping

import msgspec

from .context import IdGenerator, SpanContext
from .request import NO_REQUEST
from .sampling import Sampler, child_context
from .state import VERSION, State, encode_state
from .tracecontext import format_traceparent, parse_traceparent, parse_tracestate

__all__ = ["Answer", "Answerer"]


class Answer(msgspec.Struct, frozen=True, gc=False):
    """What HAProxy is told."""

    variables: list[tuple[str, str]]
    """Names (without scope and prefix) and values, in the scope of the transaction."""
    sampled: bool
    has_parent: bool


class Answerer:
    """Answers requests.

    Args:
        sampler: decides for each trace.
        ids: makes the ids of new traces and spans.
    """

    __slots__ = ("_ids", "_sampler")

    def __init__(self, *, sampler: Sampler, ids: IdGenerator) -> None:
        self._sampler = sampler
        self._ids = ids

    def answer(self, arguments: Mapping[str, object]) -> Answer:
        """Answer one request from the arguments of its SPOE message (names as in ``wiring.fields``); a missing one is None."""
        parent = _parent(arguments)
        trace_id = self._ids.trace_id() if parent is None else parent.trace_id
        decision = self._sampler.decide(trace_id, parent, NO_REQUEST)
        flags, tracestate = child_context(parent, decision)
        state = State(
            VERSION,
            start_unix_micro=_integer(arguments.get("start")),
            seen_unix_micro=_integer(arguments.get("seen")),
            parent_span_id=None if parent is None else parent.span_id,
            host=_text(arguments.get("host")),
            user_agent=_text(arguments.get("user_agent")),
        )
        variables = [
            ("traceparent", format_traceparent(SpanContext(trace_id, self._ids.span_id(), flags))),
            ("state", encode_state(state)),
        ]
        if tracestate:
            variables.append(("tracestate", tracestate))
        return Answer(variables, decision.sampled, parent is not None)


def _parent(arguments: Mapping[str, object]) -> SpanContext | None:
    traceparent = arguments.get("traceparent_1")
    # Two traceparent headers contradict each other: neither is valid.
    if not isinstance(traceparent, str) or arguments.get("traceparent_2") is not None:
        return None
    parent = parse_traceparent(traceparent)
    if parent is None:
        return None
    headers = [arguments.get("tracestate_1"), arguments.get("tracestate_2"), arguments.get("tracestate_3")]
    tracestate = parse_tracestate([header for header in headers if isinstance(header, str)])
    return msgspec.structs.replace(parent, tracestate=tracestate) if tracestate else parent


def _integer(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
