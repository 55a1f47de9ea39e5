"""Kopf's handlers: every event of a watch goes to the service. No logic here, and nothing that Kopf would keep in objects.

Kopf's own admission server is not used: it would overwrite the webhook's configuration at every end of a process.
"""

from typing import Any

import kopf

from .names import GROUP, KIND, PLURAL, VERSION
from .operator_service import OperatorService

__all__ = ["register"]

_START_BACKOFF_SECONDS = 5.0
"""An API server that is away at the start is asked again."""
_WATCHED = (
    (GROUP, VERSION, PLURAL, KIND),
    ("", "v1", "pods", "Pod"),
    ("", "v1", "configmaps", "ConfigMap"),
    ("apps", "v1", "deployments", "Deployment"),
    ("apps", "v1", "statefulsets", "StatefulSet"),
    ("apps", "v1", "daemonsets", "DaemonSet"),
    ("networking.k8s.io", "v1", "ingresses", "Ingress"),
)


def register(service: OperatorService) -> kopf.OperatorRegistry:
    """The registry for ``kopf.operator``."""
    registry = kopf.OperatorRegistry()

    @kopf.on.startup(registry=registry, backoff=_START_BACKOFF_SECONDS)
    async def startup(settings: kopf.OperatorSettings, **_: Any) -> None:
        settings.posting.enabled = False
        settings.peering.standalone = True
        settings.scanning.disabled = True
        settings.networking.request_timeout = 30
        settings.watching.server_timeout = 240
        settings.watching.client_timeout = 300
        settings.persistence.finalizer = f"{GROUP}/kopf"
        settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=f"kopf.{GROUP}")
        settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=f"kopf.{GROUP}")
        await service.start()

    @kopf.on.cleanup(registry=registry)
    async def cleanup(**_: Any) -> None:
        await service.stop()

    @kopf.on.login(registry=registry)
    def login(**kwargs: Any) -> kopf.ConnectionInfo | None:
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    for watched in _WATCHED:
        _watch(registry, service, watched)
    return registry


def _watch(registry: kopf.OperatorRegistry, service: OperatorService, watched: tuple[str, str, str, str]) -> None:
    group, version, plural, kind = watched

    @kopf.on.event(group, version, plural, registry=registry, id=f"see-{plural}")
    async def see(event: kopf.RawEvent, **_: Any) -> None:
        service.see(kind, dict(event["object"]), gone=event["type"] == "DELETED")
