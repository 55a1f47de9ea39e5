"""The state token: what travels from the agent's answer to the record of the same exchange, through HAProxy.

The agent keeps no open exchange. What its answer decided, and what only the start of an exchange can tell, goes back to HAProxy as
one variable (``txn.otel.state``) that the record carries to whichever agent reads it: this one, its successor, or another worker.
Ids and flags are not in it: they are in ``traceparent``, which the record carries as well.

On the wire: base64url of a MessagePack array whose first element is the version. New elements are appended; a reader ignores what
it does not know and takes defaults for what is missing. Small on purpose: HAProxy pays for each byte twice.
"""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import msgspec

__all__ = ["MAX_TOKEN_CHARACTERS", "State", "decode_state", "encode_state"]

VERSION = 1
MAX_TOKEN_CHARACTERS = 4096
_MAX_TEXT_CHARACTERS = 512
"""Longest text taken into a token; browsers' user agents are below 200."""
_MAX_EXTRAS_BYTES = 1536
_SHOWN_HEADER = "q."


class State(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The elements of the token, in their order."""

    version: int
    start_unix_micro: int | None = None
    """First byte of the request, where HAProxy can tell (3.0 and later)."""
    seen_unix_micro: int | None = None
    """Last byte of the request's headers, where it can't."""
    parent_span_id: bytes | None = None
    """The caller's span; None for a root."""
    host: str | None = None
    user_agent: str | None = None
    extras: dict[str, str] | None = None
    """What the user asked for, by the keys of ``wiring.Capture``."""
    stamps: list[int | None] | None = None
    """Times of SPOE events, see ``stamps``; profile Full only."""
    reason: str | None = None
    """Why the trace is sampled or not, where it was not the ordinary sampler (``haproxy.sampling.reason``)."""
    excluded: bool = False
    """No span of ours is wanted: the trace context in the record is the caller's own."""
    link: str | None = None
    """``traceparent`` of a caller that is not trusted to be the parent."""


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(State)


def encode_state(state: State) -> str:
    """The token; never longer than ``MAX_TOKEN_CHARACTERS``: longer text is cut."""
    token = urlsafe_b64encode(_encode(state))
    if len(token) > MAX_TOKEN_CHARACTERS // 2:
        cut = msgspec.structs.replace(state, host=_cut(state.host), user_agent=_cut(state.user_agent), extras=_fit(state.extras))
        token = urlsafe_b64encode(_encode(cut))
    return token.decode("ascii")


def decode_state(token: str) -> State | None:
    """The state in a token; None if it is none of ours or of a version we do not know."""
    if len(token) > MAX_TOKEN_CHARACTERS:
        return None
    try:
        state = _decoder.decode(urlsafe_b64decode(token))
    except (ValueError, RecursionError, msgspec.DecodeError):
        return None
    return state if state.version == VERSION else None


def _encode(state: State) -> bytes:
    if state.extras is None and state.stamps is None and state.reason is None and state.link is None and not state.excluded:
        # The rest is for the few who asked for it.
        return _encoder.encode(
            (
                state.version,
                state.start_unix_micro,
                state.seen_unix_micro,
                state.parent_span_id,
                state.host,
                state.user_agent,
            )
        )
    return _encoder.encode(state)


def _fit(extras: dict[str, str] | None) -> dict[str, str] | None:
    """Those there is room for, in their order; a long one does not take the place of those behind it.

    Only headers that are attributes are cut: those of proxies in front are read from their end.
    """
    if extras is None:
        return None
    fitting: dict[str, str] = {}
    left = _MAX_EXTRAS_BYTES
    for key, whole in extras.items():
        value = (_cut(whole) or "") if key.startswith(_SHOWN_HEADER) else whole
        size = len(key.encode()) + len(value.encode()) + 6
        if size <= left:
            left -= size
            fitting[key] = value
    return fitting


def _cut(text: str | None) -> str | None:
    if text is None:
        return None
    return text.encode()[:_MAX_TEXT_CHARACTERS].decode("utf-8", "ignore")
