"""A case: all that is known when a pod is injected."""

from dataclasses import dataclass
from typing import NamedTuple

from ..rendering import Rendering
from ..rendering.agent_settings import Transport
from ..resource import TelemetryResource
from ..resource.spec import Spec
from ..targets import Recognition
from .facts import Facts

__all__ = ["Case", "Owner"]


class Owner(NamedTuple):
    """Who makes a pod."""

    kind: str
    name: str
    template_hash: str | None = None
    """What stands behind a Deployment's name in its ReplicaSet's."""

    @property
    def workload_name(self) -> str:
        """The Deployment's name for a ReplicaSet of one."""
        return self.name if self.template_hash is None else self.name.removesuffix(f"-{self.template_hash}")

    @property
    def is_of_deployment(self) -> bool:
        """Whether it is a ReplicaSet that a Deployment made."""
        return self.kind == "ReplicaSet" and self.workload_name != self.name


@dataclass(frozen=True, slots=True)
class Case:
    """Of one pod."""

    namespace: str
    resource: TelemetryResource
    rendering: Rendering
    recognition: Recognition
    owner: Owner
    transport: Transport
    facts: Facts

    @property
    def spec(self) -> Spec:
        """The resource's, with its defaults."""
        return self.rendering.spec
