"""The lines by which HAProxy makes a trace context itself: always in profile Stream, else where the agent gave no answer.

It does what the agent does: continues a valid context of a caller that is believed, in whatever format it came, or begins a
trace; and samples by the same thresholds, so that both keep the same traces. Everything the record needs to make the spans later is
kept in variables. Requests that are excluded get no context at all, and the caller's own goes on untouched.
"""

from .field import Field
from .fields import fallbacks
from .names import variable_name
from .plan import Plan, Sampling
from .propagation import extraction_lines, link_lines, trust_lines, trusted_condition
from .thresholds import ALWAYS, exclusion_lines, sampled_condition, threshold_lines, tracestate_lines, tracestate_value

__all__ = ["context_lines"]

_EXCLUDED = variable_name("excluded")
_OVERRIDE = variable_name("override")
_PARENT = variable_name("parent")
_SPAN_ID = variable_name("span_id")
_STATE = variable_name("state")
_TRACEPARENT = variable_name("traceparent")
_TRACESTATE = variable_name("tracestate")
_TRACE_ID = variable_name("trace_id")
_OWN_TRACE_ID = f"var({_TRACE_ID})"
_BEGUN = f"{{ var({_TRACE_ID}) -m found }}"
_HEX_DIGITS = "%[uuid(),regsub(-,,g)]"


def context_lines(plan: Plan) -> list[str]:
    """The lines, in the place of ``http-request`` rules; valid from HAProxy 2.6 on."""
    # In profile Stream nobody is asked.
    unanswered = "" if plan.profile == "Stream" else f"!{{ var({_STATE}) -m found }}"
    sampling = plan.sampling
    lines = []
    wanted = unanswered
    if sampling.excludes:
        lines += exclusion_lines(sampling.excluded_paths, sampling.excluded_user_agents, condition=unanswered)
        wanted = _all(unanswered, f"!{{ var({_EXCLUDED}) -m found }}")
    # A version 4 UUID's last 16 digits are never all zero, and its last 56 bits are random: flag 02 is true.
    lines.append(f"http-request set-var-fmt({_SPAN_ID}) %[uuid(),regsub(-,,g),bytes(16,16)]{_if(wanted)}")
    lines += _fields(plan, wanted)
    if sampling.decides:
        lines += threshold_lines(
            sampling.rules,
            sampling.threshold,
            force=sampling.force,
            follows_parent=sampling.follows_parent,
            condition=wanted,
        )
    if plan.extracted_propagators:
        lines += trust_lines(plan.trusted_networks, unanswered=wanted)
    trusted = trusted_condition(plan.trusted_networks)
    lines += extraction_lines(
        plan.extracted_propagators, unanswered=wanted, trusted=trusted, sampled=sampled_condition if sampling.decides else None
    )
    if plan.link_untrusted and trusted:
        lines += link_lines(plan.extracted_propagators, unanswered=wanted, trusted=trusted)
    return [*lines, *_overriding(sampling), *_beginning(sampling, wanted)]


def _fields(plan: Plan, condition: str) -> list[str]:
    def line(field: Field) -> str:
        return f"http-request set-var({field.variable_name}) {field.fallback}{_if(condition, field.condition)}"

    rows = fallbacks(plan)
    newer = [line(field) for field in rows if field.since is not None]
    older = [line(field) for field in rows if field.before is not None]
    always = [line(field) for field in rows if field.since is None and field.before is None]
    return [".if version_atleast(3.0)", *newer, ".else", *older, ".endif", *always]


def _overriding(sampling: Sampling) -> list[str]:
    """Where the caller's decision is not to be followed."""
    if sampling.follows_parent and sampling.force is None and not any(rule.override_parent for rule in sampling.rules):
        return []
    continued = f"{{ var({_OVERRIDE}) -m found }} {{ var({_PARENT}) -m found }}"
    sampled = sampled_condition(f"var({_TRACEPARENT}),field(2,-)")
    without_flags = f"%[var({_TRACEPARENT}),bytes(0,53)]"
    return [
        f"http-request set-var-fmt({_TRACEPARENT}) {without_flags}01 if {continued} {sampled}",
        f"http-request set-var-fmt({_TRACEPARENT}) {without_flags}00 if {continued} !{sampled}",
    ]


def _beginning(sampling: Sampling, wanted: str) -> list[str]:
    """Where there is no caller, or none that counts."""
    first = _all(wanted, f"!{{ var({_TRACEPARENT}) -m found }}")
    if not sampling.decides:
        return [
            f"http-request set-var({_TRACESTATE}) str({tracestate_value(ALWAYS)}){_if(first)}",
            f"http-request set-var-fmt({_TRACEPARENT}) 00-{_HEX_DIGITS}-%[var({_SPAN_ID})]-03{_if(first)}",
        ]
    sampled = sampled_condition(_OWN_TRACE_ID)
    head = f"http-request set-var-fmt({_TRACEPARENT}) 00-%[{_OWN_TRACE_ID}]-%[var({_SPAN_ID})]"
    return [
        f"http-request set-var-fmt({_TRACE_ID}) {_HEX_DIGITS}{_if(first)}",
        *tracestate_lines(sampling.rules, sampling.threshold, condition=f"{_BEGUN} {sampled}"),
        f"{head}-03 if {_BEGUN} {sampled}",
        f"{head}-02 if {_BEGUN} !{{ var({_TRACEPARENT}) -m found }}",
    ]


def _all(*conditions: str) -> str:
    return " ".join(condition for condition in conditions if condition)


def _if(*conditions: str) -> str:
    words = _all(*conditions)
    return f" if {words}" if words else ""
