"""Sampling rules: other ratios for some requests. The first rule whose conditions all hold is the one for a request.

A rule stands in the place of the root sampler: it decides for new traces. A caller's decision stays the caller's, where the sampler
follows callers, unless the rule overrides it; then the rule keeps and drops whatever the caller did, and a trace may have a hole or
a lone piece for it. A first match that does not override leaves the caller's decision as it is: later rules are not asked.

Ratios of rules are consistent probabilities like any other: the same traces at every hop, and ``th`` says which.
"""

from collections.abc import Sequence

from ..context import SpanContext, TraceId
from ..request import Request
from .conditions import Condition
from .sampler import Decision, Ratio, Sampler

__all__ = ["Rule", "RuleBased"]


class Rule:
    """A ratio for the requests that fulfil all of some conditions; without conditions, for all.

    Args:
        name: what ``Decision.reason`` says, behind the word rule.
        ratio: share of the traces to keep, 0 to 1.
        conditions: all of them must hold.
        override_parent: whether it decides for requests with a caller's decision too.
    """

    __slots__ = ("_conditions", "_reason", "_sampler", "override_parent")

    def __init__(self, name: str, *, ratio: float, conditions: Sequence[Condition] = (), override_parent: bool = False) -> None:
        self._reason = f"rule {name}"
        self._sampler = Ratio(ratio)
        self._conditions = tuple(conditions)
        self.override_parent = override_parent

    def matches(self, request: Request) -> bool:
        """Whether all conditions hold."""
        for condition in self._conditions:  # noqa: SIM110 - a generator would cost more than the conditions
            if not condition(request):
                return False
        return True

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
        """See ``Sampler``; the conditions are not looked at."""
        decision = self._sampler.decide(trace_id, parent, request)
        return Decision(decision.sampled, decision.threshold, self._reason)


class RuleBased:
    """The first rule that matches decides, else ``otherwise``.

    Args:
        rules: in their order.
        otherwise: the sampler for requests without a rule, and for a caller's traces.
        follows_parent: whether ``otherwise`` keeps to the caller's decision; if it asks no caller, neither do rules.
    """

    __slots__ = ("_follows_parent", "_otherwise", "_overrides", "_rules")

    def __init__(self, rules: Sequence[Rule], *, otherwise: Sampler, follows_parent: bool = True) -> None:
        self._rules = tuple(rules)
        self._otherwise = otherwise
        self._follows_parent = follows_parent
        self._overrides = any(rule.override_parent for rule in rules)

    def decide(self, trace_id: TraceId, parent: SpanContext | None, request: Request) -> Decision:
        """See ``Sampler``."""
        decided = self._follows_parent and parent is not None and not parent.deferred
        if self._overrides or not decided:
            for rule in self._rules:
                if rule.matches(request):
                    if decided and not rule.override_parent:
                        break
                    return rule.decide(trace_id, parent, request)
        return self._otherwise.decide(trace_id, parent, request)
