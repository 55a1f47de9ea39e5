"""What all of our containers have in common: nothing that Pod Security's `restricted` would refuse, and no token of the pod's."""

from collections.abc import Mapping
from typing import Any

from ..names import OWN_PREFIX
from ..resource.spec import Spec
from .facts import Facts

__all__ = ["NO_TOKEN_MOUNT", "NO_TOKEN_VOLUME", "own_container"]

_USER_ID = 65532
_NO_TOKEN = f"{OWN_PREFIX}-no-token"
NO_TOKEN_VOLUME: Mapping[str, Any] = {"name": _NO_TOKEN, "emptyDir": {}}
"""Without a size limit: the kubelet counts the folder itself, and evicts the pod."""
NO_TOKEN_MOUNT: Mapping[str, Any] = {
    "name": _NO_TOKEN,
    "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount",
    "readOnly": True,
}
"""Where something is mounted there, the API server mounts no token."""


def own_container(name: str, spec: Spec, facts: Facts) -> dict[str, Any]:
    """A container of our image, without a command."""
    security: dict[str, Any] = {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
        "privileged": False,
        "readOnlyRootFilesystem": True,
        "runAsNonRoot": True,
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    if facts.set_user:
        security |= {"runAsGroup": _USER_ID, "runAsUser": _USER_ID}
    container: dict[str, Any] = {"name": name, "image": spec.sidecar.image or facts.image}
    policy = spec.sidecar.image_pull_policy or facts.image_pull_policy
    if policy is not None:
        container["imagePullPolicy"] = policy
    resources = {
        kind: dict(quantities)
        for kind, quantities in (("requests", spec.sidecar.resources.requests), ("limits", spec.sidecar.resources.limits))
        if quantities
    }
    return container | {
        "resources": resources,
        "securityContext": security,
        "terminationMessagePolicy": "FallbackToLogsOnError",
    }
