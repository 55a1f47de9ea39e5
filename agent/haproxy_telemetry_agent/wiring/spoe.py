"""The SPOE file: which events ask the agent what, and for how long a request may wait.

Profile Standard has one event, ``on-frontend-http-request``, which fires before any ``http-request`` rule: denied requests have it
too. Profile Full asks at every event that is safe; each message but the request's brings the state token along and takes it back
with the time of the event in it. Messages are sent only while the agent's health check is well: without that condition a dead agent
costs every request the full ``timeout processing``, on every version up to 3.0 whatever the server options are.
"""

from collections.abc import Iterable

from .field import Field
from .fields import arguments
from .names import AGENT_BACKEND, ENGINE, REQUEST_MESSAGE, SPOE_EVENTS, VARIABLE_PREFIX, SpoeEvent, variable_name
from .plan import Plan

__all__ = ["render_spoe"]

_ALIVE = f"if {{ nbsrv({AGENT_BACKEND}) ge 1 }}"
_WORDS = 16
"""Arguments on a line: HAProxy takes 64 words, people fewer."""
_SESSION_EVENTS = 2
"""The events before the request is known: they have a token of their own, for ``state`` says that the request was answered."""


def render_spoe(plan: Plan) -> str:
    """The text of the SPOE file, valid from HAProxy 2.6 on; empty for profile Stream, which has none."""
    if plan.profile == "Stream":
        return ""
    if plan.profile == "Standard":
        messages = [f"    messages {REQUEST_MESSAGE}"]
        rest: list[str] = []
    else:
        messages = [line for event in SPOE_EVENTS for line in _where_safe(event, [f"    messages {event.message}"])]
        rest = [line for number, event in enumerate(SPOE_EVENTS) for line in _message(number, event)]
    return (
        "\n".join(
            (
                f"[{ENGINE}]",
                f"spoe-agent {ENGINE}",
                *messages,
                f"    option var-prefix {VARIABLE_PREFIX}",
                "    option set-on-error error",
                "    no option send-frag-payload",
                "    timeout hello 100ms",
                "    timeout idle 1m",
                f"    timeout processing {plan.processing_timeout}",
                f"    use-backend {AGENT_BACKEND}",
                "",
                f"spoe-message {REQUEST_MESSAGE}",
                *_arguments(plan),
                f"    event on-frontend-http-request {_ALIVE}",
                *rest,
            )
        )
        + "\n"
    )


def _message(number: int, event: SpoeEvent) -> list[str]:
    if event.message == REQUEST_MESSAGE:
        return []
    token = "session" if number < _SESSION_EVENTS else "state"
    lines = [
        f"spoe-message {event.message}",
        f"    args {token}=var({variable_name(token)}) now=date(0,us)",
        f"    event {event.event} {_ALIVE}",
    ]
    return ["", *_where_safe(event, lines)]


def _where_safe(event: SpoeEvent, lines: list[str]) -> list[str]:
    if event.before is None:
        return lines
    major, minor = event.before
    return [f"    .if version_before({major}.{minor})", *lines, "    .endif"]


def _arguments(plan: Plan) -> list[str]:
    rows = arguments(plan)
    always = [field for field in rows if field.since is None and field.before is None]
    return [
        "    .if version_atleast(3.0)",
        *_args(field for field in rows if field.since is not None),
        "    .else",
        *_args(field for field in rows if field.before is not None),
        "    .endif",
        *_args(always),
    ]


def _args(rows: Iterable[Field]) -> list[str]:
    words = [f"{field.name}={field.argument}" for field in rows]
    return [f"    args {' '.join(words[start : start + _WORDS])}" for start in range(0, len(words), _WORDS)]
