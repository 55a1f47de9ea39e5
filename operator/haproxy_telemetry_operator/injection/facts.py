"""Facts: what a pod's injection depends on beside the pod and the resource."""

from dataclasses import dataclass

__all__ = ["Facts"]


@dataclass(frozen=True, slots=True)
class Facts:
    """Of the cluster and of this installation."""

    image: str
    """The agent's, unless the resource names one."""
    image_pull_policy: str | None = "IfNotPresent"
    native_sidecar: bool = True
    """Whether all nodes know init containers that stay (Kubernetes 1.29)."""
    set_user: bool = True
    """Name a user id. Not on OpenShift, which gives each namespace its own."""
