"""The lines of a frontend: the filter, the record, the headers, and a trace context of HAProxy's own when the agent gave none.

Every header rule has its ``-m found`` condition: without it a missing variable would send an empty header and wipe the client's
own. The fall-back continues a valid inbound ``traceparent`` with a span id of HAProxy's making, or starts a trace; the record then
tells the agent all it needs to make the spans later.
"""

from .fields import Field, captured_at_response, fallbacks, record_fields, variable_name
from .names import ENGINE, RING, SD_ID
from .plan import Plan

__all__ = ["render_frontend"]

_TRACEPARENT = variable_name("traceparent")
_SPAN_ID = variable_name("span_id")
_PARENT = variable_name("parent")
_STATE = variable_name("state")
_TRACESTATE = variable_name("tracestate")
_ROUTED = variable_name("routed")
_VALID_TRACEPARENT = (
    "{ req.fhdr(traceparent) -m reg ^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$ } "
    "!{ req.fhdr(traceparent) -m reg ^00-0{32}-|-0{16}- } !{ req.fhdr_cnt(traceparent) gt 1 }"
)


def render_frontend(plan: Plan) -> str:
    """The lines for each ``mode http`` frontend, in front of its other ``http-request`` rules; valid from HAProxy 2.6 on."""
    return "\n".join((*_record(plan), *_filter(plan), *_context(plan), *_headers(), *_responses(plan))) + "\n"


def _record(plan: Plan) -> list[str]:
    parameters = " ".join(f'{field.name}=\\"{field.record}\\"' for field in record_fields(plan))
    return [
        f"log ring@{RING} len 8192 format rfc5424 local0 info",
        f'log-format-sd "%{{+E}}o[{SD_ID} {parameters}]"',
    ]


def _filter(plan: Plan) -> list[str]:
    if plan.profile == "Stream":
        return []
    return [f"filter spoe engine {ENGINE} config {plan.spoe_path}"]


def _context(plan: Plan) -> list[str]:
    # In profile Stream nobody is asked.
    unanswered = "" if plan.profile == "Stream" else f"!{{ var({_STATE}) -m found }}"
    continued = f"{{ var({_PARENT}) -m found }}"
    begun = f"!{{ var({_TRACEPARENT}) -m found }}"
    # A version 4 UUID's last 16 digits are never all zero, and its last 56 bits are random: flag 02 is true.
    lines = [f"http-request set-var-fmt({_SPAN_ID}) %[uuid(),regsub(-,,g),bytes(16,16)]{_if(unanswered)}"]
    lines.extend(_fallback_fields(plan, unanswered))
    lines.append(f"http-request set-var({_PARENT}) req.fhdr(traceparent),field(3,-){_if(unanswered, _VALID_TRACEPARENT)}")
    lines.append(f"http-request set-var({_TRACESTATE}) req.fhdr(tracestate) if {continued}")
    lines.append(
        f"http-request set-var-fmt({_TRACEPARENT}) 00-%[req.fhdr(traceparent),field(2,-)]-%[var({_SPAN_ID})]"
        f"-%[req.fhdr(traceparent),field(4,-)] if {continued}"
    )
    trace_id = "%[uuid(),regsub(-,,g)]"
    sampled = f"http-request set-var-fmt({_TRACEPARENT}) 00-{trace_id}-%[var({_SPAN_ID})]-03 if {begun}"
    unsampled = f"http-request set-var-fmt({_TRACEPARENT}) 00-{trace_id}-%[var({_SPAN_ID})]-02 if {begun}"
    if plan.fallback_ratio >= 1:
        lines.append(sampled)
    elif plan.fallback_ratio <= 0:
        lines.append(unsampled)
    else:
        lines.append(f"{sampled} {{ rand(1000000) lt {round(plan.fallback_ratio * 1_000_000)} }}")
        lines.append(unsampled)
    return lines


def _if(*conditions: str) -> str:
    wanted = " ".join(condition for condition in conditions if condition)
    return f" if {wanted}" if wanted else ""


def _fallback_fields(plan: Plan, condition: str) -> list[str]:
    def line(field: Field) -> str:
        return f"http-request set-var({field.variable_name}) {field.fallback}{_if(condition)}"

    rows = fallbacks(plan)
    newer = [line(field) for field in rows if field.since is not None]
    older = [line(field) for field in rows if field.before is not None]
    always = [line(field) for field in rows if field.since is None and field.before is None]
    return [".if version_atleast(3.0)", *newer, ".else", *older, ".endif", *always]


def _headers() -> list[str]:
    # A tracestate belongs to the context it came with: once the context is ours, the client's own goes.
    ours = f"{{ var({_TRACEPARENT}) -m found }} !{{ var({_PARENT}) -m found }}"
    return [
        f"http-request set-header traceparent %[var({_TRACEPARENT})] if {{ var({_TRACEPARENT}) -m found }}",
        f"http-request del-header tracestate if {ours}",
        f"http-request set-header tracestate %[var({_TRACESTATE})] if {ours} {{ var({_TRACESTATE}) -m found }}",
        f"http-request set-var({_ROUTED}) date(0,us)",
    ]


def _responses(plan: Plan) -> list[str]:
    # After all else, so that HAProxy's own answers are looked at as well.
    return [f"http-after-response set-var({field.variable_name}) {field.fallback}" for field in captured_at_response(plan)]
