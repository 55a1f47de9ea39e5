"""The first half of an exchange: a request that waits, and the agent's answer to it.

HAProxy asks at ``on-frontend-http-request``. The answer decides whether the trace is recorded and sets three variables:
``traceparent`` and ``tracestate`` for the server, and ``state`` for the record. In profile Full HAProxy asks at every event: before
the request is known its times are kept in the variable ``session``, from then on in ``state``. Nothing stays here.
"""

from collections.abc import Mapping
from functools import lru_cache

import msgspec

from ..wiring import FIELDS
from .context import IdGenerator, SpanContext
from .request import Request
from .sampling import Sampler, child_context
from .stamps import add_stamp
from .state import VERSION, State, decode_state, encode_state
from .tracecontext import format_traceparent, parse_traceparent, parse_tracestate

__all__ = ["Answer", "Answerer"]


_REQUEST_EVENT = 2
"""Its number in ``wiring.SPOE_EVENTS``."""
SAMPLING_ONLY = "s."
"""What a key begins with whose value is looked at while the request waits, and then no more."""
_TABLE = frozenset({field.name for field in FIELDS} | {"session", "now"})


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
        request = _request(arguments)
        parent = _parent(arguments)
        trace_id = self._ids.trace_id() if parent is None else parent.trace_id
        decision = self._sampler.decide(trace_id, parent, request)
        flags, tracestate = child_context(parent, decision)
        state = State(
            VERSION,
            start_unix_micro=_integer(arguments.get("start")),
            seen_unix_micro=_integer(arguments.get("seen")),
            parent_span_id=None if parent is None else parent.span_id,
            host=request.host,
            user_agent=_text(arguments.get("user_agent")),
            extras=_extras(arguments),
            stamps=_stamps(arguments),
        )
        variables = [
            ("traceparent", format_traceparent(SpanContext(trace_id, self._ids.span_id(), flags))),
            ("state", encode_state(state)),
        ]
        if tracestate:
            variables.append(("tracestate", tracestate))
        return Answer(variables, decision.sampled, parent is not None)

    def stamp(self, event: int, arguments: Mapping[str, object]) -> tuple[str, str] | None:
        """Answer another event of profile Full: the variable that takes the time of event number ``event``, and its value.

        None if there is no time, or no token that it belongs to: the request was not answered, so its record goes without.
        """
        now_unix_micro = _integer(arguments.get("now"))
        if now_unix_micro is None:
            return None
        # In a `listen` section on-backend-tcp-request comes in one frame with on-frontend-tcp-request, before the request.
        early = event < _REQUEST_EVENT or (arguments.get("state") is None and arguments.get("session") is not None)
        name = "session" if early else "state"
        token = arguments.get(name)
        state = decode_state(token) if isinstance(token, str) else None
        if state is None:
            if name == "state":
                return None
            state = State(VERSION)
        return name, encode_state(msgspec.structs.replace(state, stamps=add_stamp(state.stamps, event, now_unix_micro)))


def _stamps(arguments: Mapping[str, object]) -> list[int | None] | None:
    now_unix_micro = _integer(arguments.get("now"))
    if now_unix_micro is None:
        return None
    token = arguments.get("session")
    session = decode_state(token) if isinstance(token, str) else None
    return add_stamp(None if session is None else session.stamps, _REQUEST_EVENT, now_unix_micro)


def _request(arguments: Mapping[str, object]) -> Request:
    client = arguments.get("client")
    return Request(
        _text(arguments.get("method")),
        _text(arguments.get("host")),
        _text(arguments.get("path")),
        _text(arguments.get("frontend")),
        None if client is None else _address(client),
        {} if arguments.keys() <= _TABLE else _headers(arguments),
    )


@lru_cache(maxsize=4096)
def _address(value: object) -> str:
    return str(value)


def _headers(arguments: Mapping[str, object]) -> dict[str, str]:
    return {key[2:]: value for key, value in arguments.items() if key.startswith(("q.", SAMPLING_ONLY)) and isinstance(value, str)}


def _extras(arguments: Mapping[str, object]) -> dict[str, str] | None:
    if arguments.keys() <= _TABLE:
        return None
    extras = {
        key: text
        for key, value in arguments.items()
        if key not in _TABLE and value is not None and not key.startswith(SAMPLING_ONLY) and (text := _as_text(value))
    }
    return extras or None


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


def _as_text(value: object) -> str:
    """As HAProxy writes a value of that type in a record."""
    if isinstance(value, bool):
        return "1" if value else "0"
    if isinstance(value, bytes):
        return value.hex().upper()
    return str(value)
