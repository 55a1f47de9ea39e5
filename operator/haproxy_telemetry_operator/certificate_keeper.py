"""The keeper of the injector's certificate: one Secret in the operator's own namespace, made, renewed, and told to the API server.

The Secret is written with its resourceVersion: of two that would write it, one does. With certificates of somebody else's (the
user's, cert-manager's) nothing is ever written, and only the authority is read.
"""

import base64
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any

from .certificates import expiry_of, is_due, make_certificate, service_names
from .cluster import SECRETS, ApiError, Cluster
from .names import FIELD_MANAGER, LABEL_MANAGED_BY
from .settings import OperatorSettings

__all__ = ["CertificateKeeper"]

_logger = logging.getLogger(__name__)


class CertificateKeeper:
    """Keeps it, and says how the API server reaches the injector."""

    def __init__(self, cluster: Cluster, settings: OperatorSettings, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._now = now
        self._names = service_names(settings.injector_service, settings.own_namespace)
        if settings.injector_url is not None:
            self._names.append(settings.injector_url.partition("://")[2].partition("/")[0].rpartition(":")[0])
        self._authorities: str | None = None
        """Base64 of the bundle."""
        self.expires: datetime | None = None

    async def look(self) -> None:
        """Reads the Secret, and makes what is missing or due.

        Raises:
            ApiError: the API server can't be asked.
        """
        settings = self._settings
        found = await self._cluster.get(SECRETS, settings.own_namespace, settings.certificate_secret)
        data = {} if found is None else (found.get("data") or {})
        certificate = _decoded(data.get("tls.crt"))
        if settings.manage_certificates and is_due(certificate, self._names, self._now()):
            await self._renew(found, _decoded(data.get("ca.crt")))
            return
        self._authorities = data.get("ca.crt")
        self.expires = expiry_of(certificate)

    async def client_config(self) -> dict[str, Any] | str:
        """For a webhook's entry; a sentence if there is no certificate yet."""
        if self._authorities is None:
            await self.look()
        if not self._authorities:
            where = f"{self._settings.certificate_secret} in namespace {self._settings.own_namespace}"
            return f"The Secret {where} has no ca.crt: the injector has no certificate yet."
        if self._settings.injector_url is not None:
            return {"url": self._settings.injector_url, "caBundle": self._authorities}
        service = {
            "name": self._settings.injector_service,
            "namespace": self._settings.own_namespace,
            "port": self._settings.injector_port,
        }
        return {"service": service, "caBundle": self._authorities}

    async def _renew(self, found: dict[str, Any] | None, before: bytes) -> None:
        made = make_certificate(self._names, self._now(), before=before)
        settings = self._settings
        body: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Secret",
            "type": "kubernetes.io/tls",
            "metadata": {
                "name": settings.certificate_secret,
                "namespace": settings.own_namespace,
                "labels": {LABEL_MANAGED_BY: FIELD_MANAGER},
            },
            "data": {key: base64.b64encode(value).decode() for key, value in made.data.items()},
        }
        try:
            if found is None:
                await self._cluster.create(SECRETS, settings.own_namespace, body)
            else:
                body["metadata"]["resourceVersion"] = found["metadata"]["resourceVersion"]
                await self._cluster.replace(SECRETS, body)
        except ApiError as error:
            if error.status != 409:
                raise
            return  # Somebody else did it: read at the next look.
        _logger.info("the injector has a new certificate")
        self._authorities = body["data"]["ca.crt"]
        self.expires = expiry_of(made.certificate)


def _decoded(text: str | None) -> bytes:
    try:
        return base64.b64decode(text or "")
    except ValueError:
        return b""
