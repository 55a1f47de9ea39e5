"""What the settings say of sampling, made into the objects that do it, and into what HAProxy is told.

The order of the samplers, from the outside: force, the cap on new traces, rules, the caller, the root.
"""

import logging
import time
from collections.abc import Callable

from .settings.sampling import Rule as RuleSettings
from .settings.sampling import Sampling, path_kind
from .settings.types import duration_seconds
from .tracing.networks import Networks
from .tracing.sampling.conditions import (
    Condition,
    frontend_condition,
    header_condition,
    host_condition,
    method_condition,
    network_condition,
    path_condition,
)
from .tracing.sampling.exclusion import Excluder
from .tracing.sampling.forcing import Forced
from .tracing.sampling.keep import Keeper
from .tracing.sampling.rate_limit import RateLimited, TokenBucket
from .tracing.sampling.rules import Rule, RuleBased
from .tracing.sampling.sampler import AlwaysOff, AlwaysOn, ParentBased, Ratio, Sampler
from .wiring.thresholds import NEVER, ThresholdForce, ThresholdRule, threshold_digits

__all__ = [
    "default_threshold",
    "follows_parent",
    "looked_at_headers",
    "make_excluder",
    "make_keeper",
    "make_sampler",
    "threshold_force",
    "threshold_rules",
]

_logger = logging.getLogger(__name__)

Clock = Callable[[], float]


def make_sampler(sampling: Sampling, *, clock: Clock = time.monotonic) -> Sampler:
    """The sampler that checked settings describe; a plugin that can't be had is warned of and replaced by ParentBasedAlwaysOn."""
    sampler = _make_plain_sampler(sampling)
    if sampling.rules:
        rules = [_make_rule(rule) for rule in sampling.rules]
        sampler = RuleBased(rules, otherwise=sampler, follows_parent=follows_parent(sampling))
    if sampling.max_traces_per_second is not None:
        sampler = RateLimited(sampler, bucket=TokenBucket(sampling.max_traces_per_second, clock=clock))
    force = sampling.force
    if force.header is not None:
        networks = Networks(force.networks)
        sampler = Forced(
            sampler, trusts=lambda request: networks.contain(request.client_address), header=force.header, value=force.value
        )
    return sampler


def make_excluder(sampling: Sampling) -> Excluder | None:
    """None if nothing is excluded."""
    exclude = sampling.exclude
    if not exclude.paths and not exclude.user_agents:
        return None
    return Excluder(paths=map(path_kind, exclude.paths), user_agents=exclude.user_agents)


def make_keeper(sampling: Sampling, *, clock: Clock = time.monotonic) -> Keeper | None:
    """None if nothing is kept that was not sampled."""
    keep = sampling.keep
    if not keep.errors and keep.slower_than is None:
        return None
    return Keeper(
        errors=keep.errors,
        slower_than_seconds=None if keep.slower_than is None else duration_seconds(keep.slower_than),
        bucket=TokenBucket(keep.max_per_second, clock=clock),
    )


def looked_at_headers(sampling: Sampling) -> list[str]:
    """Lower-case names of the headers that ``Request.headers`` must have for these settings, sorted."""
    names = {rule.header.name.lower() for rule in sampling.rules if rule.header is not None}
    if sampling.force.header is not None:
        names.add(sampling.force.header.lower())
    return sorted(names)


def follows_parent(sampling: Sampling) -> bool:
    """Whether a caller's decision is kept; what a plugin does is its own affair, but its callers are not the rules' to judge."""
    return sampling.type.startswith("ParentBased") or sampling.type == "Plugin"


def threshold_rules(sampling: Sampling) -> list[ThresholdRule]:
    """The rules for HAProxy."""
    return [
        ThresholdRule(
            ratio=rule.ratio,
            host=rule.host,
            path=None if rule.path is None else path_kind(rule.path),
            method=rule.method,
            frontend=rule.frontend,
            header=None if rule.header is None else (rule.header.name, rule.header.value),
            networks=tuple(rule.networks),
            override_parent=rule.override_parent,
        )
        for rule in sampling.rules
    ]


def threshold_force(sampling: Sampling) -> ThresholdForce | None:
    """Force for HAProxy; None if nothing is forced."""
    force = sampling.force
    return None if force.header is None else ThresholdForce(force.header, force.value, tuple(force.networks))


def default_threshold(sampling: Sampling) -> str:
    """The root sampler for HAProxy; a plugin's traces are all begun."""
    if sampling.type.endswith("AlwaysOff"):
        return NEVER
    return threshold_digits(1.0 if sampling.ratio is None else sampling.ratio)


def _make_plain_sampler(sampling: Sampling) -> Sampler:
    if sampling.plugin is not None:
        return _make_plugin_sampler(sampling.plugin, sampling.plugin_argument)
    root: Sampler
    if sampling.type.endswith("TraceIDRatio"):
        root = Ratio(1.0 if sampling.ratio is None else sampling.ratio)
    else:
        root = AlwaysOn() if sampling.type.endswith("AlwaysOn") else AlwaysOff()
    return ParentBased(root) if sampling.type.startswith("ParentBased") else root


def _make_plugin_sampler(name: str, argument: str | None) -> Sampler:
    # Imported here: only who has a plugin pays for the SDK.
    from .plugin_sampler import PluginError, load_plugin_sampler  # noqa: PLC0415

    try:
        return load_plugin_sampler(name, argument)
    except PluginError as error:
        _logger.warning("sampler %r %s; ParentBasedAlwaysOn is used", name, error)
        return ParentBased(AlwaysOn())


def _make_rule(rule: RuleSettings) -> Rule:
    """The cheapest conditions, and those that fail most often, come first."""
    conditions: list[Condition] = []
    if rule.method is not None:
        conditions.append(method_condition(rule.method))
    if rule.frontend is not None:
        conditions.append(frontend_condition(rule.frontend))
    if rule.path is not None:
        conditions.append(path_condition(*path_kind(rule.path)))
    if rule.header is not None:
        conditions.append(header_condition(rule.header.name, rule.header.value))
    if rule.host is not None:
        conditions.append(host_condition(rule.host))
    if rule.networks:
        conditions.append(network_condition(rule.networks))
    return Rule(rule.name, ratio=rule.ratio, conditions=conditions, override_parent=rule.override_parent)
