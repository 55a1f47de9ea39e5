"""Sampling by HAProxy itself: for the profile Stream, and for the time that the agent is away.

It is the agent's own sampling (``tracing.sampling``), and keeps the same traces: the last 14 hexadecimal digits of a trace id are
its randomness R, a ratio is a threshold T of 14 such digits, and a trace is kept if R >= T. For lower-case digits of one length
the order of text is the order of numbers, so ``strcmp`` compares them (it gives what strcmp(3) gives, R on the left). The last
14 digits of HAProxy's version 4 UUIDs are random, all of them. Measured on 2.6, 2.8, 3.0 and 3.2.

Two thresholds are no numbers: ``NEVER`` is above all digits, ``FORCED`` is below them and says nothing of a probability.

The lines go in this order, in front of all that makes spans or headers:

1. ``exclusion_lines`` set ``txn.otel.excluded``. Whatever comes after is for requests without it.
2. ``threshold_lines`` set ``txn.otel.threshold``, each only where none before it has: force, the rules in their order, the default.
   They set ``txn.otel.override`` where the caller's decision is not to be followed.
3. The trace context is made: with the flags of the caller where there is one and no override, else sampled if
   ``sampled_condition`` holds.
4. ``tracestate_lines`` set ``txn.otel.tracestate`` of traces that begin here and are sampled.

What the agent does and HAProxy can't: caps on traces, plugins, the debug flags of B3 and Jaeger, and a caller's explicit randomness
(``rv``), which only matters where a rule overrides the caller. HAProxy's regular expressions see all of a path, the agent's its
beginning.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from .names import variable_name
from .words import quoted

__all__ = [
    "ALWAYS",
    "FORCED",
    "NEVER",
    "PathPattern",
    "ThresholdForce",
    "ThresholdRule",
    "exclusion_lines",
    "sampled_condition",
    "threshold_digits",
    "threshold_lines",
    "tracestate_lines",
    "tracestate_value",
]

NEVER = "z"
"""A threshold that no trace reaches."""
FORCED = "-"
"""A threshold that every trace reaches, of unknown probability."""

ALWAYS = "00000000000000"
"""The threshold of ratio 1."""

_DIGITS = 14
_THRESHOLD = variable_name("threshold")
_OVERRIDE = variable_name("override")
_EXCLUDED = variable_name("excluded")
_TRACESTATE = variable_name("tracestate")
_MAX_PATTERNS_PER_LINE = 32
"""A line holds 64 words."""

PathPattern = tuple[Literal["prefix", "glob", "regex"], str]


@dataclass(frozen=True, slots=True)
class ThresholdRule:
    """A rule of ``sampling.rules``: a ratio, and conditions that must all hold; None and empty ones always do."""

    ratio: float
    host: str | None = None
    """``example.com`` or ``*.example.com``."""
    path: PathPattern | None = None
    method: str | None = None
    frontend: str | None = None
    """A glob."""
    header: tuple[str, str | None] | None = None
    """Name and value; None: any."""
    networks: Sequence[str] = ()
    override_parent: bool = False


@dataclass(frozen=True, slots=True)
class ThresholdForce:
    """``sampling.force``: a header, and who may send it."""

    header: str
    value: str | None
    networks: Sequence[str]


def threshold_digits(ratio: float) -> str:
    """T of a ratio, 14 digits, or ``NEVER``."""
    if ratio <= 0:
        return NEVER
    end: int = 1 << 4 * _DIGITS
    return f"{min(end - round(ratio * end), end - 1):014x}"


def tracestate_value(threshold: str) -> str:
    """The tracestate of a new trace that was kept at a threshold: ``ot=th:c``; empty if it says nothing of a probability."""
    if threshold in (NEVER, FORCED):
        return ""
    return f"ot=th:{threshold.rstrip('0') or '0'}"


def exclusion_lines(paths: Iterable[PathPattern], user_agents: Iterable[str], *, condition: str = "") -> list[str]:
    """``txn.otel.excluded`` for requests whose path or user agent is one of these; ``condition`` as in ``threshold_lines``."""
    by_match: dict[tuple[str, str], list[str]] = {}
    for kind, pattern in paths:
        match, text = _path_match(kind, pattern)
        by_match.setdefault(("path", match), []).append(text)
    for user_agent in user_agents:
        by_match.setdefault(("req.fhdr(user-agent)", "beg"), []).append(user_agent)
    lead = f"{condition} " if condition else ""
    return [
        f"http-request set-var({_EXCLUDED}) bool(true) if "
        f"{lead}{_acl(fetch, match, *texts[start : start + _MAX_PATTERNS_PER_LINE])}"
        for (fetch, match), texts in by_match.items()
        for start in range(0, len(texts), _MAX_PATTERNS_PER_LINE)
    ]


def threshold_lines(
    rules: Iterable[ThresholdRule],
    default_threshold: str,
    *,
    force: ThresholdForce | None = None,
    follows_parent: bool = True,
    condition: str = "",
) -> list[str]:
    """``txn.otel.threshold`` for every request, and ``txn.otel.override`` for some.

    Args:
        rules: in their order.
        default_threshold: for requests without a rule.
        force: who may force what.
        follows_parent: whether the sampler keeps to the caller's decision.
        condition: further conditions for all lines, in at most five of HAProxy's words.

    Raises:
        ValueError: a condition can't be said in HAProxy's words; checked settings have none such.
    """
    undecided = f"!{{ var({_THRESHOLD}) -m found }}"
    lines: list[str] = []

    def add(variable: str, expression: str, *conditions: str) -> None:
        words = " ".join(word for word in (condition, *conditions) if word)
        lines.append(f"http-request set-var({variable}) {expression}" + (f" if {words}" if words else ""))

    if not follows_parent:
        add(_OVERRIDE, "bool(true)")
    if force is not None:
        conditions = [_header_acl(force.header, force.value), _networks_acl(force.networks)]
        if follows_parent:
            add(_OVERRIDE, "bool(true)", *conditions)
        add(_THRESHOLD, f"str({FORCED})", *conditions)
    for rule in rules:
        conditions = [undecided, *_rule_conditions(rule)] if lines else _rule_conditions(rule)
        if rule.override_parent and follows_parent:
            add(_OVERRIDE, "bool(true)", *conditions)
        add(_THRESHOLD, f"str({threshold_digits(rule.ratio)})", *conditions)
    add(_THRESHOLD, f"str({default_threshold})", *([undecided] if lines else []))
    return lines


def sampled_condition(trace_id: str) -> str:
    """Whether a trace is kept; ``trace_id`` is a sample expression that gives the 32 digits of its id."""
    return f"{{ {trace_id},bytes({32 - _DIGITS},{_DIGITS}),strcmp({_THRESHOLD}) ge 0 }}"


def tracestate_lines(rules: Iterable[ThresholdRule], default_threshold: str, *, condition: str) -> list[str]:
    """``txn.otel.tracestate`` of traces that begin here; ``condition`` says that one does and is sampled."""
    thresholds = dict.fromkeys([*(threshold_digits(rule.ratio) for rule in rules), default_threshold])
    return [
        f"http-request set-var({_TRACESTATE}) str({value}) if {condition} {{ var({_THRESHOLD}) -m str {threshold} }}"
        for threshold in thresholds
        if (value := tracestate_value(threshold))
    ]


def _rule_conditions(rule: ThresholdRule) -> list[str]:
    conditions = []
    if rule.host is not None:
        conditions.append(_acl("req.fhdr(host),host_only,lower", *_glob_match(rule.host.lower())))
    if rule.path is not None:
        conditions.append(_acl("path", *_path_match(*rule.path)))
    if rule.method is not None:
        conditions.append(f"{{ method {rule.method} }}")
    if rule.frontend is not None:
        conditions.append(_acl("fe_name", *_glob_match(rule.frontend)))
    if rule.header is not None:
        conditions.append(_header_acl(*rule.header))
    if rule.networks:
        conditions.append(_networks_acl(rule.networks))
    return conditions


def _header_acl(name: str, value: str | None) -> str:
    fetch = f"req.fhdr({name.lower()})"
    return f"{{ {fetch} -m found }}" if value is None else _acl(fetch, "str", value)


def _networks_acl(networks: Iterable[str]) -> str:
    return f"{{ src {' '.join(networks)} }}"


def _acl(fetch: str, match: str, *patterns: str) -> str:
    if "" in patterns:
        # An empty word ends a line of HAProxy's.
        return f"{{ {fetch} -m len 0 }}" if match == "str" else f"{{ {fetch} -m found }}"
    return f"{{ {fetch} -m {match} -- {' '.join(map(_pattern, patterns))} }}"


def _path_match(kind: Literal["prefix", "glob", "regex"], pattern: str) -> tuple[str, str]:
    if kind == "prefix":
        return "beg", pattern
    return _glob_match(pattern) if kind == "glob" else ("reg", pattern)


def _glob_match(pattern: str) -> tuple[str, str]:
    """Matching method and text of a glob: a regular expression only if it must be one."""
    first, *others = pattern.split("*")
    if not others:
        return "str", first
    if not "".join(others):
        return "beg", first
    if len(others) == 1 and not first:
        return "end", others[0]
    return "reg", "^" + ".*".join(map(_escape, (first, *others))) + "$"


def _escape(text: str) -> str:
    return re.sub(r"[][\\^$.|?*+(){}]", r"\\\g<0>", text)


def _pattern(text: str) -> str:
    if text == "}":
        raise ValueError("a brace alone ends an HAProxy condition, quoted or not")
    return quoted(text)
