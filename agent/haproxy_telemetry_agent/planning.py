"""What HAProxy has to be told, for the settings that the agent runs with: the plan of its configuration."""

from .content import captures
from .samplers import default_threshold, follows_parent, looked_at_headers, threshold_force, threshold_rules
from .settings import Settings
from .settings.sampling import path_kind
from .wiring import Plan, Sampling, haproxy_address

__all__ = ["make_plan"]


def make_plan(settings: Settings, *, spoe_path: str) -> Plan:
    """The plan; ``spoe_path`` is where HAProxy finds the SPOE file."""
    sampling = settings.sampling
    propagation = settings.propagation
    return Plan(
        profile=settings.profile,
        spop_address=haproxy_address(settings.listen.spop),
        records_address=haproxy_address(settings.listen.records),
        spoe_path=spoe_path,
        processing_timeout=settings.processing_timeout,
        sampling=Sampling(
            threshold=default_threshold(sampling),
            follows_parent=follows_parent(sampling),
            rules=tuple(threshold_rules(sampling)),
            force=threshold_force(sampling),
            excluded_paths=tuple(map(path_kind, sampling.exclude.paths)),
            excluded_user_agents=tuple(sampling.exclude.user_agents),
        ),
        propagators=tuple(propagation.propagators),
        propagation_mode=propagation.mode,
        trusted_networks=tuple(propagation.trusted_networks),
        link_untrusted=propagation.link_untrusted,
        with_baggage=bool(propagation.baggage_attributes),
        captures=captures(settings, looked_at_headers(sampling)),
    )
