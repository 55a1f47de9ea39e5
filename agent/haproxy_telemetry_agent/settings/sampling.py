"""Settings of sampling: which traces are recorded."""

import ipaddress
from typing import Annotated, Literal

import msgspec

from ..tracing.conditions import PathKind
from ..tracing.regex import regex_fault
from .explanation import SettingsError
from .types import Duration, HeaderValue, Struct, duration_seconds

__all__ = [
    "RATIO_SAMPLERS",
    "Exclude",
    "Force",
    "Keep",
    "PathPattern",
    "Rule",
    "RuleHeader",
    "SamplerType",
    "Sampling",
    "check_sampling",
    "path_kind",
]

SamplerType = Literal[
    "AlwaysOn", "AlwaysOff", "TraceIDRatio", "ParentBasedAlwaysOn", "ParentBasedAlwaysOff", "ParentBasedTraceIDRatio", "Plugin"
]
RATIO_SAMPLERS = ("TraceIDRatio", "ParentBasedTraceIDRatio")

Pattern = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
ShareOfTraces = Annotated[float, msgspec.Meta(ge=0, le=1)]
PerSecond = Annotated[float, msgspec.Meta(gt=0, le=1_000_000)]
_NETWORK = "a network such as 10.0.0.0/8 or 2001:db8::/32"
Network = Annotated[str, msgspec.Meta(max_length=64, description=_NETWORK, examples=["10.0.0.0/8"])]
# They become words of HAProxy's configuration, whose lines hold 64 of them.
Networks = Annotated[list[Network], msgspec.Meta(max_length=12)]
RuleName = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$(?!\n)", description="a name of letters, digits, . _ and -")
]
HostPattern = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(\*\.)?[A-Za-z0-9_-][A-Za-z0-9._-]{0,252}$(?!\n)",
        description="a host's name, or *. and what its names end in, such as *.example.com",
    ),
]
Method = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$(?!\n)", description="a method such as GET")]
LookedAtHeader = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{1,128}$(?!\n)", description="a header's name of letters, digits, _ and -")
]
PluginName = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[^\s=\[\]]{1,255}$(?!\n)",
        description="the name of an entry point of the group opentelemetry_traces_sampler",
    ),
]


class PathPattern(Struct, frozen=True):
    """What a path must be like: exactly one of these."""

    prefix: Pattern | None = None
    glob: Pattern | None = None
    """* is any characters, / too; all of the path must fit."""
    regex: Pattern | None = None
    """Found anywhere in the path, if there is no ^ or $; only its first 1,024 characters are looked at."""


class RuleHeader(Struct, frozen=True):
    """A header that must be there."""

    name: LookedAtHeader
    value: HeaderValue | None = None
    """Exactly this; without it any value will do."""


class Rule(Struct, frozen=True):
    """A ratio for the requests that fulfil all that is given here."""

    name: RuleName
    ratio: ShareOfTraces
    host: HostPattern | None = None
    """Without port."""
    path: str | PathPattern | None = None
    """Text is a prefix."""
    method: Method | None = None
    frontend: Pattern | None = None
    """HAProxy's name of it; * is any characters."""
    header: RuleHeader | None = None
    networks: Networks = msgspec.field(default_factory=list)
    """Where the client is."""
    override_parent: bool = False
    """Decide for traces that callers have decided about, too."""


class Exclude(Struct, frozen=True):
    """Requests that leave no trace of ours; the caller's trace context is handed on as it came."""

    paths: Annotated[list[str | PathPattern], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=list)
    """Text is a prefix."""
    user_agents: Annotated[list[Pattern], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=list)
    """Beginnings, such as kube-probe/."""


class Force(Struct, frozen=True):
    """Record this request, whatever the sampler and the caller say."""

    header: LookedAtHeader | None = None
    """Who sends it asks for it; so does, from the same networks, the debug flag of B3 and Jaeger."""
    value: HeaderValue | None = None
    """What it must say; without it anything."""
    networks: Networks = msgspec.field(default_factory=list)
    """Who may ask; 0.0.0.0/0 and ::/0 are everybody."""


class Keep(Struct, frozen=True):
    """Record our own spans of exchanges that were not sampled, once they have gone wrong."""

    errors: bool = False
    slower_than: Duration | None = None
    max_per_second: PerSecond = 10.0


class Sampling(Struct, frozen=True):
    """Which traces are recorded."""

    type: SamplerType = "ParentBasedAlwaysOn"
    ratio: ShareOfTraces | None = None
    plugin: PluginName | None = None
    """An installed sampler of the SDK's kind, by its entry point's name: the slow path."""
    plugin_argument: Annotated[str, msgspec.Meta(max_length=4096)] | None = None
    rules: Annotated[list[Rule], msgspec.Meta(max_length=64)] = msgspec.field(default_factory=list)
    """The first that matches decides, instead of the type and its ratio."""
    exclude: Exclude = msgspec.field(default_factory=Exclude)
    max_traces_per_second: PerSecond | None = None
    """Cap on the new traces; each agent process counts for itself."""
    force: Force = msgspec.field(default_factory=Force)
    keep: Keep = msgspec.field(default_factory=Keep)


def path_kind(pattern: str | PathPattern) -> tuple[PathKind, str]:
    """Kind and text of a checked pattern."""
    if isinstance(pattern, str):
        return "prefix", pattern
    if pattern.prefix is not None:
        return "prefix", pattern.prefix
    return ("glob", pattern.glob) if pattern.glob is not None else ("regex", pattern.regex or "")


def check_sampling(sampling: Sampling, *, profile: str) -> None:
    """Check what no single field tells.

    Raises:
        SettingsError: names the field, its value and the fix.
    """
    if (sampling.ratio is not None) != (sampling.type in RATIO_SAMPLERS):
        raise SettingsError(
            f"sampling.ratio: {sampling.ratio} with type {sampling.type}: a ratio is required by, and only allowed with, "
            + " and ".join(RATIO_SAMPLERS)
        )
    if (sampling.plugin is not None) != (sampling.type == "Plugin"):
        raise SettingsError(
            f"sampling.plugin: {sampling.plugin!r} with type {sampling.type}: a name is required by, and only allowed with, Plugin"
        )
    if sampling.plugin_argument is not None and sampling.plugin is None:
        raise SettingsError(f"sampling.pluginArgument: {sampling.plugin_argument!r}: only allowed with type Plugin")
    if profile == "Stream":
        _check_stream(sampling)
    _check_rules(sampling.rules)
    for index, pattern in enumerate(sampling.exclude.paths):
        _check_path(f"sampling.exclude.paths[{index}]", pattern)
    for index, user_agent in enumerate(sampling.exclude.user_agents):
        _check_text(f"sampling.exclude.userAgents[{index}]", user_agent)
    _check_force(sampling.force)
    if sampling.keep.slower_than is not None and duration_seconds(sampling.keep.slower_than) == 0:
        raise SettingsError(
            f"sampling.keep.slowerThan: {sampling.keep.slower_than!r}: that is every exchange: set a ratio of 1 instead"
        )


def _check_stream(sampling: Sampling) -> None:
    """HAProxy decides by itself there, and it can count no traces and run no plugin."""
    if sampling.type == "Plugin":
        raise SettingsError("sampling.type: 'Plugin': with profile Stream HAProxy decides, and runs no plugin: choose another type")
    if sampling.max_traces_per_second is not None:
        raise SettingsError(
            f"sampling.maxTracesPerSecond: {sampling.max_traces_per_second}: with profile Stream HAProxy decides, and counts no "
            "traces: drop it, or choose another profile"
        )


def _check_rules(rules: list[Rule]) -> None:
    names: dict[str, int] = {}
    for index, rule in enumerate(rules):
        where = f"sampling.rules[{index}]"
        first = names.setdefault(rule.name, index)
        if first != index:
            raise SettingsError(f"{where}.name: {rule.name!r}: is the name of sampling.rules[{first}] already")
        if rule.path is not None:
            _check_path(f"{where}.path", rule.path)
        _check_text(f"{where}.frontend", rule.frontend)
        if rule.header is not None:
            _check_text(f"{where}.header.value", rule.header.value)
        _check_networks(f"{where}.networks", rule.networks)


def _check_path(where: str, pattern: str | PathPattern) -> None:
    if isinstance(pattern, str):
        if not 1 <= len(pattern) <= 512:
            raise SettingsError(f"{where}: {pattern!r}: expected 1 to 512 characters")
        _check_prefix(where, pattern)
        return
    given = [(name, text) for name in ("prefix", "glob", "regex") if (text := getattr(pattern, name)) is not None]
    if len(given) != 1:
        raise SettingsError(f"{where}: {' and '.join(name for name, _ in given) or 'nothing'}: set one of prefix, glob and regex")
    name, text = given[0]
    if name == "prefix":
        _check_prefix(f"{where}.prefix", text)
    elif name == "glob" and not text.startswith(("/", "*")):
        raise SettingsError(f"{where}.glob: {text!r}: a path begins with /: write /{text} or *{text}")
    _check_text(f"{where}.{name}", text)
    if name == "regex" and (fault := regex_fault(text)) is not None:
        raise SettingsError(f"{where}.regex: {text!r}: {fault}; a simple one is ^/api/v[0-9]+/")


def _check_prefix(where: str, text: str) -> None:
    if not text.startswith("/"):
        raise SettingsError(f"{where}: {text!r}: a path begins with /: write /{text}")
    _check_text(where, text)


def _check_text(where: str, text: str | None) -> None:
    """What is to be a word of HAProxy's configuration."""
    if text is None:
        return
    if not text.isprintable():
        raise SettingsError(f"{where}: {text!r}: expected printable characters")
    if text == "}":
        raise SettingsError(f"{where}: {text!r}: HAProxy can't compare with a brace alone")


def _check_networks(where: str, networks: list[str]) -> None:
    for index, network in enumerate(networks):
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            raise SettingsError(f"{where}[{index}]: {network!r}: {error}: expected {_NETWORK}") from None


def _check_force(force: Force) -> None:
    if force.header is None:
        if force.value is not None or force.networks:
            raise SettingsError("sampling.force.header: None: value and networks need a header")
    elif not force.networks:
        raise SettingsError(
            f"sampling.force.networks: []: who may send {force.header}? List networks such as 10.0.0.0/8; "
            "everybody is 0.0.0.0/0 and ::/0"
        )
    _check_text("sampling.force.value", force.value)
    _check_networks("sampling.force.networks", force.networks)
