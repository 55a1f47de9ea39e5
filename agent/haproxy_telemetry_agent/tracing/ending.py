"""The end of an exchange: one record's parameters, read into numbers and words of their own types.

HAProxy writes ``-`` for what it does not have and -1 for a timer whose phase was never reached. This module is where that ends.
"""

from collections.abc import Mapping, Sequence

import msgspec

from ..wiring import FIELDS
from .context import SpanId
from .parameters import ABSENT, number, peer_port, port, server_name, word
from .state import State, decode_state

__all__ = ["BAD_REQUEST", "Ending", "read_ending"]

BAD_REQUEST = "<BADREQ>"
_TABLE = frozenset(field.name for field in FIELDS if field.record is not None)
_OWN = _TABLE | {"excluded", "link"}
"""What has a meaning of ours; all other keys are the user's."""
_NOTHING: Mapping[str, str] = {}


class Ending(msgspec.Struct, frozen=True, gc=False):
    """What a record says, with what the start left in its token or, without an answer, in variables."""

    end_unix_nano: int
    traceparent: str | None
    tracestate: str
    answered: bool
    """Whether the agent had answered; else HAProxy's fall-back made the context."""
    spoe_error: str | None
    parent_span_id: SpanId | None
    start_unix_micro: int | None
    seen_unix_micro: int | None
    routed_unix_micro: int | None
    host: str | None
    user_agent: str | None

    method: str
    path: str
    query: str
    protocol: str
    encrypted: bool
    status_code: int | None
    termination_state: str
    frontend: str
    backend: str
    server: str | None
    """None if no server was chosen."""
    client_address: str | None
    client_port: int | None
    server_address: str | None
    server_port: int | None
    server_encrypted: bool
    request_milliseconds: int
    queue_milliseconds: int
    connect_milliseconds: int
    response_milliseconds: int
    total_milliseconds: int
    retries: int
    redispatched: bool
    backend_queue: int
    server_queue: int
    received_bytes: int
    sent_bytes: int
    unique_id: str | None
    extras: Mapping[str, str]
    """What the user asked for, by the keys of ``wiring.Capture``."""
    stamps: Sequence[int | None] | None
    """Times of SPOE events, see ``stamps``."""
    reason: str | None
    """Why the trace is sampled or not, where it was not the ordinary sampler."""
    excluded: bool
    link: str | None
    """``traceparent`` of a caller that is not trusted to be the parent."""

    @property
    def server_answered(self) -> bool:
        """Whether the status code is the server's: HAProxy's 502 for an answer it refused (PH) is not what the server said."""
        return self.response_milliseconds >= 0 and not self.termination_state.startswith("PH")


def read_ending(end_unix_nano: int, fields: Mapping[str, str]) -> Ending:
    """Read a record's parameters (names as in ``wiring.fields``).

    Raises:
        KeyError: a parameter is missing: the record was written for another version of the agent.
        ValueError: a number is none.
    """
    token = fields["state"]
    state = decode_state(token) if token != ABSENT else None
    answered = state is not None
    if state is None:
        state = _state_of_fallback(fields)
    frontend = fields["f"]
    status_code = int(fields["ST"])
    retries = fields["rc"]
    parent_span_id = state.parent_span_id
    tracestate = fields["tracestate"]
    return Ending(
        end_unix_nano,
        word(fields["traceparent"]),
        "" if tracestate == ABSENT else tracestate,
        answered,
        word(fields["error"]),
        SpanId(parent_span_id) if parent_span_id is not None and len(parent_span_id) == 8 else None,
        state.start_unix_micro,
        state.seen_unix_micro,
        number(fields["routed"]),
        state.host,
        state.user_agent,
        fields["HM"],
        fields["HPO"],
        fields["HQ"].removeprefix("?") if fields["HM"] != BAD_REQUEST else "",
        fields["HV"],
        fields["sslv"] != ABSENT,
        status_code if status_code > 0 else None,
        fields["ts"],
        frontend,
        fields["b"],
        server_name(fields["s"]),
        word(fields["ci"]),
        peer_port(fields["ci"], fields["cp"]),
        word(fields["si"]),
        port(fields["sp"]),
        fields["ssl_bc"] == "1",
        int(fields["TR"]),
        int(fields["Tw"]),
        int(fields["Tc"]),
        int(fields["Tr"]),
        int(fields["Ta"]),
        int(retries),
        retries.startswith("+"),
        int(fields["bq"]),
        int(fields["sq"]),
        int(fields["U"]),
        int(fields["B"]),
        word(fields["ID"]),
        _extras(fields, state.extras),
        state.stamps,
        state.reason,
        state.excluded or fields.get("excluded", ABSENT) != ABSENT,
        state.link or word(fields.get("link", ABSENT)),
    )


def _extras(fields: Mapping[str, str], of_state: Mapping[str, str] | None) -> Mapping[str, str]:
    if len(fields) == len(_TABLE):
        return of_state or _NOTHING
    of_record = {key: value for key, value in fields.items() if key not in _OWN and value not in ("", ABSENT)}
    return of_record if of_state is None else {**of_state, **of_record}


def _state_of_fallback(fields: Mapping[str, str]) -> State:
    parent = fields["parent"]
    return State(
        0,
        start_unix_micro=number(fields["start"]),
        seen_unix_micro=number(fields["seen"]),
        parent_span_id=bytes.fromhex(parent) if parent != ABSENT else None,
        host=word(fields["host"]),
        user_agent=word(fields["user_agent"]),
    )
