"""Whether a trace is recorded: decided once at its root, by ratio and rules; and what is kept although it was not."""

from .exclusion import Excluder
from .keep import Keeper
from .sampler import AlwaysOff, AlwaysOn, Decision, ParentBased, Ratio, Sampler, child_context, without_threshold

__all__ = [
    "AlwaysOff",
    "AlwaysOn",
    "Decision",
    "Excluder",
    "Keeper",
    "ParentBased",
    "Ratio",
    "Sampler",
    "child_context",
    "without_threshold",
]
