"""The SPOE file: which event asks the agent what, and for how long a request may wait.

One event, ``on-frontend-http-request``, which fires before any ``http-request`` rule: denied requests have it too. It is sent only
while the agent's health check is well: without that condition a dead agent costs every request the full ``timeout processing``,
on every version up to 3.0 whatever the server options are.
"""

from collections.abc import Callable

from .fields import Field, arguments
from .names import AGENT_BACKEND, ENGINE, REQUEST_MESSAGE, VARIABLE_PREFIX
from .plan import Plan

__all__ = ["render_spoe"]


def render_spoe(plan: Plan) -> str:
    """The text of the SPOE file, valid from HAProxy 2.6 on."""
    return f"""\
[{ENGINE}]
spoe-agent {ENGINE}
    messages {REQUEST_MESSAGE}
    option var-prefix {VARIABLE_PREFIX}
    option set-on-error error
    no option send-frag-payload
    timeout hello 100ms
    timeout idle 1m
    timeout processing {plan.processing_timeout}
    use-backend {AGENT_BACKEND}

spoe-message {REQUEST_MESSAGE}
    .if version_atleast(3.0)
    args {_arguments(lambda field: field.before is None)}
    .else
    args {_arguments(lambda field: field.since is None)}
    .endif
    event on-frontend-http-request if {{ nbsrv({AGENT_BACKEND}) ge 1 }}
"""


def _arguments(wanted: Callable[[Field], bool]) -> str:
    return " ".join(f"{field.name}={field.argument}" for field in arguments() if wanted(field))
