"""How an exchange went, for each of its two spans: status and ``error.type`` from status code and termination state.

HAProxy's termination state says who ended the exchange (first letter) and in which phase (second letter). The client's span and
the server's span of one exchange may well differ: a request that HAProxy denied is no error of the server side, a server that
closed early is one of both, and a caller who went away is an error of nobody's.

==================  =====================  ======================
..                  SERVER (frontend)      CLIENT (server)
==================  =====================  ======================
5xx                 Error, the code        Error, the code
4xx                 unset                  Error, the code
cut by the client   unset                  unset
no code, cut by it  Error, ``error.type``  unset
cut otherwise       Error, ``error.type``  Error, ``error.type``
==================  =====================  ======================

Source: semantic conventions 1.44.0, http-spans "Status"; HAProxy doc/configuration.txt 8.5 "Session state at disconnection".
"""

from typing import NamedTuple

from .span import SpanStatus

__all__ = ["Outcome", "client_outcome", "connection_outcome", "server_outcome"]


class Outcome(NamedTuple):
    """Span status and ``error.type``; both or neither."""

    status: SpanStatus
    error_type: str | None


_FINE = Outcome(SpanStatus.UNSET, None)

_BY_PHASE = {"Q": "haproxy.queue", "C": "haproxy.connect"}
_BY_CAUSE = {
    "C": "haproxy.client_abort",
    "c": "haproxy.client_timeout",
    "S": "haproxy.server_abort",
    "s": "haproxy.server_timeout",
    "P": "haproxy.denied",
    "L": "haproxy.local",
    "R": "haproxy.resource",
    "I": "haproxy.internal",
    "D": "haproxy.server_down",
    "U": "haproxy.server_up",
    "K": "haproxy.killed",
}
_CALLER = frozenset("Cc")
_NOT_CALLER = frozenset("SsRIDUK")
"""Causes that cut an exchange short after its status code was sent. P and L are HAProxy's own answers, complete ones."""


def server_outcome(status_code: int | None, termination_state: str) -> Outcome:
    """The frontend's side. ``status_code`` is None if the client got none."""
    if status_code is None:
        return Outcome(SpanStatus.ERROR, _error_type(termination_state))
    if status_code >= 500:
        return Outcome(SpanStatus.ERROR, str(status_code))
    if status_code < 400 and termination_state[:1] in _NOT_CALLER:
        return Outcome(SpanStatus.ERROR, _error_type(termination_state))
    return _FINE


def client_outcome(status_code: int | None, termination_state: str) -> Outcome:
    """The server's side. ``status_code`` is None if the server gave no answer that HAProxy took."""
    if status_code is not None and status_code >= 400:
        return Outcome(SpanStatus.ERROR, str(status_code))
    cause = termination_state[:1]
    if cause in _CALLER:
        return _FINE
    if status_code is None or cause in _NOT_CALLER:
        return Outcome(SpanStatus.ERROR, _error_type(termination_state))
    return _FINE


def connection_outcome(termination_state: str, *, has_server: bool) -> Outcome:
    """Both sides of a connection without requests (``mode tcp``): they ended together, and no status code says how.

    A client that went away, or was silent for too long, is an error of nobody's. One that a rule turned away before it reached
    a server got what HAProxy was told to give; once there is a server, a refusal (``tcp-response content reject``) cuts it.
    """
    cause = termination_state[:1]
    if cause in _NOT_CALLER or (cause == "P" and has_server):
        return Outcome(SpanStatus.ERROR, _error_type(termination_state))
    return _FINE


def _error_type(termination_state: str) -> str:
    cause, phase = termination_state[:1], termination_state[1:2]
    if cause in ("S", "s") and phase in _BY_PHASE:
        return _BY_PHASE[phase]
    return _BY_CAUSE.get(cause, "_OTHER")
