"""The status of an ``HAProxyTelemetry``: what was found and what was done, as the API server keeps it.

Shapes only; ``haproxy_telemetry_operator.status`` decides what is in them.
"""

from typing import Annotated, Literal

import msgspec

from haproxy_telemetry_agent.settings.types import Struct

__all__ = ["Condition", "Status", "TargetStatus"]

_Count = Annotated[int, msgspec.Meta(ge=0, extra_json_schema={"format": "int32"})]


class Condition(Struct, frozen=True):
    """Kubernetes' condition."""

    type: Annotated[str, msgspec.Meta(max_length=316)]
    status: Literal["True", "False", "Unknown"]
    last_transition_time: Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
    reason: Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$")]
    message: Annotated[str, msgspec.Meta(max_length=32_768)]
    observed_generation: Annotated[int, msgspec.Meta(ge=0)] | None = None


class TargetStatus(Struct, frozen=True):
    """One workload."""

    kind: str
    name: str
    type: str | None = None
    """The kind of HAProxy: KubernetesIngress, HAProxyIngress, Plain."""
    haproxy_version: str | None = None
    """What its image's tag says."""
    config_map: str | None = None
    """The controller's."""
    pods: _Count = 0
    instrumented: _Count = 0
    outdated: _Count = 0
    """Instrumented, but as the resource was before."""
    message: str | None = None


_Conditions = Annotated[
    list[Condition],
    msgspec.Meta(max_length=16, extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["type"]}),
]
_Targets = Annotated[
    list[TargetStatus],
    msgspec.Meta(
        max_length=256, extra_json_schema={"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["kind", "name"]}
    ),
]


class Status(Struct, frozen=True, omit_defaults=True):
    """What was found and done."""

    observed_generation: int | None = None
    """Of the spec that all of this is about."""
    config_hash: str | None = None
    """Of all that pods have to be made anew for."""
    pods_summary: str | None = None
    """Instrumented and matching pods, such as 2/3."""
    matched_pods: _Count | None = None
    instrumented_pods: _Count | None = None
    targets: _Targets = msgspec.field(default_factory=list)
    conditions: _Conditions = msgspec.field(default_factory=list)
