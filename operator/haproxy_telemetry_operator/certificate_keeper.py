"""The keeper of the injector's certificate: one Secret in the operator's own namespace, and what API servers are told of it.

What is to be done with the Secret, ``certificate_secret`` decides; here it is read and written. It is written with its
resourceVersion: of two that would write it, one does. A Secret of somebody else's (the user's, cert-manager's) is only read.
"""

import base64
import logging
from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlsplit

from .certificate_secret import AUTHORITY, CERTIFICATE, current, provided_bundle, read_data, secret_body
from .certificates import CertificateProblem, dns_names, read_not_after
from .cluster import SECRETS, ApiError, Cluster
from .settings import OperatorSettings

__all__ = ["CertificateKeeper"]

_logger = logging.getLogger(__name__)


class CertificateKeeper:
    """Keeps it, and says how API servers reach the injector.

    Args:
        cluster: the connection.
        settings: the operator's.
        now: UTC.
    """

    def __init__(self, cluster: Cluster, settings: OperatorSettings, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._settings = settings
        self._now = now
        names = dns_names(settings.injector_service, settings.own_namespace)
        if settings.injector_url is not None:
            host = urlsplit(settings.injector_url).hostname
            names = (*names, *([host] if host else []))
        self._names = names
        self._bundle = b""
        self._problem = "nobody has looked yet"
        self.published = b""
        """The bundle that all webhooks have."""
        self.expires: datetime | None = None

    async def look(self) -> None:
        """Reads the Secret, and makes the step that is due.

        Raises:
            ApiError: the API server can't be asked.
        """
        settings = self._settings
        found = await self._cluster.get(SECRETS, settings.own_namespace, settings.certificate_secret)
        data = read_data(found)
        if settings.manage_certificates:
            published = data is not None and self.published == data.get(AUTHORITY)
            plan = current(data, self._now(), names=self._names, published=published)
            if plan.data is not None:
                version = None if found is None else found["metadata"]["resourceVersion"]
                if not await self._write(secret_body(settings.own_namespace, settings.certificate_secret, plan.data, version)):
                    self._problem = "somebody else is writing the injector's certificate at this moment"
                    return
                _logger.info("the injector's certificate: %s: %s", plan.step.value, plan.reason)
                data = plan.data
            self._bundle = plan.bundle
        else:
            try:
                self._bundle = provided_bundle(data)
            except CertificateProblem as problem:
                self._problem = f"Secret {settings.own_namespace}/{settings.certificate_secret}: {problem}."
                _logger.warning("%s", self._problem)
                return
        self._problem = ""
        try:
            self.expires = read_not_after((data or {}).get(CERTIFICATE, b""))
        except CertificateProblem:
            self.expires = None

    @property
    def bundle(self) -> bytes:
        """The authorities that the injector's certificate may have, PEM."""
        return self._bundle

    async def client_config(self) -> dict[str, Any] | str:
        """For a webhook's entry; a sentence if there is no certificate yet."""
        if not self._bundle:
            await self.look()
        if not self._bundle:
            return self._problem
        bundle = base64.b64encode(self._bundle).decode()
        if self._settings.injector_url is not None:
            return {"url": self._settings.injector_url, "caBundle": bundle}
        service = {
            "name": self._settings.injector_service,
            "namespace": self._settings.own_namespace,
            "port": self._settings.injector_port,
        }
        return {"service": service, "caBundle": bundle}

    async def _write(self, body: dict[str, Any]) -> bool:
        """Whether it was written; if not, somebody else was faster, and it is read at the next look."""
        try:
            if "resourceVersion" in body["metadata"]:
                await self._cluster.replace(SECRETS, body)
            else:
                await self._cluster.create(SECRETS, self._settings.own_namespace, body)
        except ApiError as error:
            if error.status != 409:
                raise
            return False
        return True
