"""Names that the operator writes into a cluster, each once: the resource's own, annotations, labels, files and volumes of a pod.

Whatever we put into a pod or a ConfigMap begins with ``haproxy-telemetry``: that is how it is found again and taken out.
"""

__all__ = [
    "ANNOTATION_CONFIG_HASH",
    "ANNOTATION_INJECTED",
    "ANNOTATION_MANAGED",
    "ANNOTATION_RESTARTED_AT",
    "API_VERSION",
    "FIELD_MANAGER",
    "FINALIZER",
    "GROUP",
    "GUARD_VARIABLE",
    "KIND",
    "LABEL_INJECT",
    "LABEL_MANAGED_BY",
    "LABEL_RESOURCE",
    "OWN_PREFIX",
    "PLURAL",
    "SHORT_NAME",
    "SINGULAR",
    "VERSION",
    "payload_name",
    "routes_name",
    "shadow_name",
]

GROUP = "haproxy-telemetry.io"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "HAProxyTelemetry"
PLURAL = "haproxytelemetries"
SINGULAR = "haproxytelemetry"
SHORT_NAME = "hapt"

OWN_PREFIX = "haproxy-telemetry"
"""Begins the name of every container, volume, mount and object of ours."""
GUARD_VARIABLE = "HAPROXY_TELEMETRY"
"""Defined in injected pods only; text in a ConfigMap that all pods share stands in ``.if defined(...)`` of it."""
FIELD_MANAGER = "haproxy-telemetry-operator"
FINALIZER = f"{GROUP}/revert"

LABEL_INJECT = f"{GROUP}/inject"
"""On a pod: ``false`` opts out."""
LABEL_MANAGED_BY = "app.kubernetes.io/managed-by"
LABEL_RESOURCE = f"{GROUP}/resource"
"""On objects of ours: the name of the HAProxyTelemetry they belong to."""
ANNOTATION_CONFIG_HASH = f"{GROUP}/config-hash"
"""On an injected pod: what it was injected with; on a pod template: what it was restarted for."""
ANNOTATION_INJECTED = f"{GROUP}/injected"
"""On an injected pod: the resource's name. An annotation, since an ingress controller reads its pod's labels to find its peers."""
ANNOTATION_RESTARTED_AT = f"{GROUP}/restarted-at"
ANNOTATION_MANAGED = f"{GROUP}/managed"
"""On a ConfigMap of the user's: which keys we made (JSON), to be deleted when our block leaves."""


def payload_name(resource_name: str) -> str:
    """The ConfigMap with what HAProxy and the agent read."""
    return f"{OWN_PREFIX}-{resource_name}"


def routes_name(resource_name: str) -> str:
    """The ConfigMap with the table of routes, which changes more often than all else."""
    return f"{OWN_PREFIX}-{resource_name}-routes"


def shadow_name(config_map_name: str) -> str:
    """Strategy Shadow: our copy of a controller's ConfigMap."""
    return f"{config_map_name}-{OWN_PREFIX}"
