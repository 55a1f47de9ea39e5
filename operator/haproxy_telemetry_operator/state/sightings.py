"""Sightings: what agents say of themselves, and what it means for the resource. Looked at, not assumed.

A pod that has the agent in it may still not be traced: a template of the user's that leaves our lines out, a ``resetenv`` that
unsets the guard variable, a controller that never reloaded. Then no HAProxy ever connects.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from .conditions import Verdict

__all__ = ["SIGHTED_METRICS", "Sighting", "config_verdict", "exporting_verdict", "sighting_of"]

_PREFIX = "haproxy_telemetry_agent_"
SIGHTED_METRICS = tuple(
    f"{_PREFIX}{name}" for name in ("open_connections", "exchanges_recorded_total", "spans_exported_total", "export_requests_total")
)
"""What ``sighting_of`` looks at."""


@dataclass(frozen=True, slots=True)
class Sighting:
    """One agent's metrics, as far as they matter."""

    connections: float
    """SPOP and record connections that are open."""
    recorded: float
    """Exchanges it has seen the end of."""
    exported: float
    failed: float
    """Export requests that came to nothing."""
    last_failure: str = ""
    """The commonest kind."""


def sighting_of(samples: Sequence[tuple[str, Mapping[str, str], float]]) -> Sighting:
    """From ``(name, labels, value)`` of its metrics."""
    failures: dict[str, float] = {}
    connections = recorded = exported = 0.0
    for name, labels, value in samples:
        match name.removeprefix(_PREFIX):
            case "open_connections" if labels.get("kind") in ("spop", "records"):
                connections += value
            case "exchanges_recorded_total":
                recorded += value
            case "spans_exported_total":
                exported += value
            case "export_requests_total" if not _is_success(labels.get("code", "")) and value > 0:
                code = labels.get("code", "")
                failures[code] = failures.get(code, 0.0) + value
    worst = max(failures, key=lambda code: failures[code], default="")
    return Sighting(connections, recorded, exported, sum(failures.values()), worst)


def _is_success(code: str) -> bool:
    """Of HTTP, and of gRPC."""
    return code == "OK" or (len(code) == 3 and code.startswith("2"))


def config_verdict(sightings: Sequence[Sighting], unseen: int) -> Verdict:
    """``Connected``: HAProxies have found their agents.

    Args:
        sightings: of the agents that answered.
        unseen: how many did not.
    """
    kind = "Connected"
    lonely = sum(1 for sighting in sightings if sighting.connections == 0 and sighting.recorded == 0)
    if lonely:
        return Verdict(
            kind,
            "False",
            "NoSpoeConnection",
            f"In {lonely} of {len(sightings)} pods HAProxy has not connected to its agent. Are our lines in its configuration (a "
            "custom template, disabled snippets, `resetenv`), and has it a `mode http` frontend?",
        )
    if sightings:
        return Verdict(kind, "True", "Connected", f"HAProxy is connected to its agent in {len(sightings)} pods.")
    if unseen:
        return Verdict(
            kind,
            "Unknown",
            "AgentsNotReachable",
            "No agent answers on its metrics port: does it run (log of haproxy-telemetry), does a NetworkPolicy forbid it?",
        )
    return Verdict(kind, "Unknown", "NoPods", "There is no instrumented pod that could be asked.")


def exporting_verdict(sightings: Sequence[Sighting], before: Sequence[Sighting]) -> Verdict:
    """``Exporting``: the collector takes spans.

    Args:
        sightings: of now.
        before: of the same agents some time ago; what has failed before that is past.
    """
    kind = "Exporting"
    exported = sum(sighting.exported for sighting in sightings) - sum(sighting.exported for sighting in before)
    failed = sum(sighting.failed for sighting in sightings) - sum(sighting.failed for sighting in before)
    if failed > 0 and exported <= 0:
        worst = max(sightings, key=lambda sighting: sighting.failed).last_failure
        return Verdict(kind, "False", "ExportFailing", f"The collector takes no spans: {worst}. The agents' logs have its words.")
    if sum(sighting.exported for sighting in sightings) > 0:
        return Verdict(kind, "True", "Exporting", "The collector takes spans.")
    return Verdict(kind, "Unknown", "NoSpansYet", "No span has been exported yet: no request has come.")
