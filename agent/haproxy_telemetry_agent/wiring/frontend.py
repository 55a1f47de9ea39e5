"""The lines of a frontend: the record, the filter, a trace context of HAProxy's own when the agent gave none, and the headers.

Every header rule has its ``-m found`` condition: without it a missing variable would send an empty header and wipe the client's own
out.
"""

from .context import context_lines
from .fields import captured_at_response, record_fields
from .names import ENGINE, RING, SD_ID, variable_name
from .plan import Plan
from .propagation import injection_lines
from .words import plain_or_quoted

__all__ = ["render_frontend"]


def render_frontend(plan: Plan) -> str:
    """The lines for each ``mode http`` frontend, in front of its other ``http-request`` rules; valid from HAProxy 2.6 on."""
    lines = (
        *_record(plan),
        *_filter(plan),
        *context_lines(plan),
        *injection_lines(plan.injected_propagators),
        f"http-request set-var({variable_name('routed')}) date(0,us)",
        *_responses(plan),
    )
    return "\n".join(lines) + "\n"


def _record(plan: Plan) -> list[str]:
    parameters = " ".join(f'{field.name}=\\"{field.record}\\"' for field in record_fields(plan))
    return [
        f"log ring@{RING} len 8192 format rfc5424 local0 info",
        f'log-format-sd "%{{+E}}o[{SD_ID} {parameters}]"',
    ]


def _filter(plan: Plan) -> list[str]:
    if plan.profile == "Stream":
        return []
    return [f"filter spoe engine {ENGINE} config {plain_or_quoted(plan.spoe_path)}"]


def _responses(plan: Plan) -> list[str]:
    # After all else, so that HAProxy's own answers are looked at as well.
    return [f"http-after-response set-var({field.variable_name}) {field.fallback}" for field in captured_at_response(plan)]
