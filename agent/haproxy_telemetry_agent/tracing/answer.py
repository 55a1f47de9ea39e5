"""The first half of an exchange: a request that waits, and the agent's answer to it.

HAProxy asks at ``on-frontend-http-request``. The answer decides whether the trace is recorded and sets three variables:
``traceparent`` and ``tracestate`` for the server, and ``state`` for the record. In profile Full HAProxy asks at every event: before
the request is known its times are kept in the variable ``session``, from then on in ``state``. Nothing stays here.
"""

from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address

import msgspec

from ..wiring import FIELDS, FORMATS
from .baggage import baggage_attributes
from .context import IdGenerator, SpanContext
from .exclusion import Excluder
from .propagation import Propagation
from .request import Request
from .sampling import Decision, Sampler, child_context
from .stamps import add_stamp
from .state import VERSION, State, decode_state, encode_state
from .tracecontext import format_traceparent

__all__ = ["Answer", "Answerer"]


DENIED = Decision(sampled=False, threshold=None, reason="denied")
"""The caller has no trace yet and wants none (B3's ``b3: 0``)."""
_REMEMBERED_MESSAGES = 64
_NO_HEADERS: Mapping[str, str] = {}
_REQUEST_EVENT = 2
"""Its number in ``wiring.SPOE_EVENTS``."""
SAMPLING_ONLY = "s."
"""What a key begins with whose value is looked at while the request waits, and then no more."""
DECIDED = "a."
"""What a key begins with whose value is an attribute by itself: the sampler's, and members of baggage."""
_TABLE = frozenset(
    {field.name for field in FIELDS} | {field.name for row in FORMATS for field in row.arguments} | {"session", "now"}
)


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
        propagation: reads the caller's context, writes ours.
        excluder: says which requests are to leave no trace; None: none is left out.
        baggage_keys: the members of baggage that spans show.
    """

    __slots__ = ("_baggage_keys", "_excluder", "_ids", "_propagation", "_sampler")

    def __init__(
        self,
        *,
        sampler: Sampler,
        ids: IdGenerator,
        propagation: Propagation | None = None,
        excluder: Excluder | None = None,
        baggage_keys: Collection[str] = (),
    ) -> None:
        self._sampler = sampler
        self._ids = ids
        self._propagation = Propagation() if propagation is None else propagation
        self._excluder = excluder
        self._baggage_keys = frozenset(baggage_keys)

    def answer(self, arguments: Mapping[str, object]) -> Answer:
        """Answer one request from the arguments of its SPOE message (names as in ``wiring.arguments``); a missing one is None."""
        extra_names = _extra_names(tuple(arguments))
        request = _request(arguments, extra_names)
        if self._excluder is not None and self._excluder.excludes(request):
            # No context of ours: HAProxy hands on the caller's as it came.
            return Answer([("state", encode_state(State(VERSION, excluded=True)))], sampled=False, has_parent=False)
        inbound = self._propagation.extract(arguments, request.client_address)
        parent = inbound.parent
        trace_id = self._ids.trace_id() if parent is None else parent.trace_id
        decision = DENIED if inbound.denied else self._sampler.decide(trace_id, parent, request)
        flags, tracestate = child_context(parent, decision)
        context = SpanContext(trace_id, self._ids.span_id(), flags, tracestate, debug=parent is not None and parent.debug)
        state = State(
            VERSION,
            start_unix_micro=_integer(arguments.get("start")),
            seen_unix_micro=_integer(arguments.get("seen")),
            parent_span_id=None if parent is None else parent.span_id,
            host=request.host,
            user_agent=request.user_agent,
            extras=_extras(arguments, extra_names, self._added(arguments, decision)),
            stamps=_stamps(arguments),
            reason=decision.reason or None,
            link=None if inbound.link is None else format_traceparent(inbound.link),
        )
        variables = [("traceparent", format_traceparent(context)), ("state", encode_state(state))]
        if tracestate:
            variables.append(("tracestate", tracestate))
        variables.extend(self._propagation.inject(context))
        return Answer(variables, decision.sampled, parent is not None)

    def _added(self, arguments: Mapping[str, object], decision: Decision) -> Sequence[tuple[str, object]]:
        if not self._baggage_keys:
            return decision.attributes
        headers = [arguments.get("baggage_1"), arguments.get("baggage_2"), arguments.get("baggage_3")]
        baggage = baggage_attributes([header for header in headers if isinstance(header, str)], self._baggage_keys)
        return [*baggage, *decision.attributes]

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


def _request(arguments: Mapping[str, object], extra_names: tuple[str, ...]) -> Request:
    client = arguments.get("client")
    return Request(
        _text(arguments.get("method")),
        _text(arguments.get("host")),
        _text(arguments.get("path")),
        _text(arguments.get("frontend")),
        _text(arguments.get("user_agent")),
        client if isinstance(client, IPv4Address | IPv6Address) else None,
        _headers(arguments, extra_names) if extra_names else _NO_HEADERS,
    )


@lru_cache(maxsize=_REMEMBERED_MESSAGES)
def _extra_names(names: tuple[str, ...]) -> tuple[str, ...]:
    """Those of a message's arguments that are not of the table; messages are of very few kinds."""
    return tuple(name for name in names if name not in _TABLE)


def _headers(arguments: Mapping[str, object], extra_names: tuple[str, ...]) -> dict[str, str]:
    return {
        name[2:]: value
        for name in extra_names
        if name.startswith(("q.", SAMPLING_ONLY)) and isinstance(value := arguments[name], str)
    }


def _extras(
    arguments: Mapping[str, object], extra_names: tuple[str, ...], added: Sequence[tuple[str, object]]
) -> dict[str, str] | None:
    if not extra_names and not added:
        return None
    extras = {
        name: text
        for name in extra_names
        if (value := arguments[name]) is not None and not name.startswith(SAMPLING_ONLY) and (text := _as_text(value))
    }
    extras.update((DECIDED + name, _as_text(value)) for name, value in added)
    return extras or None


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
