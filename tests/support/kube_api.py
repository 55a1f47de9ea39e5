"""An API server, talked to by tests: a few verbs on plain objects. The operator has its own client; tests do not trust it."""

import json
import ssl
from collections.abc import Mapping
from typing import Any, Self

import aiohttp
from kubernetes.aio import client, config

__all__ = ["ApiRefused", "KubeApi"]

_CORE = "/api/v1"
_PLACES: Mapping[str, tuple[str, str, bool]] = {
    "Namespace": (_CORE, "namespaces", False),
    "Node": (_CORE, "nodes", False),
    "Pod": (_CORE, "pods", True),
    "Event": (_CORE, "events", True),
    "Secret": (_CORE, "secrets", True),
    "Service": (_CORE, "services", True),
    "ServiceAccount": (_CORE, "serviceaccounts", True),
    "ConfigMap": (_CORE, "configmaps", True),
    "ResourceQuota": (_CORE, "resourcequotas", True),
    "EndpointSlice": ("/apis/discovery.k8s.io/v1", "endpointslices", True),
    "Deployment": ("/apis/apps/v1", "deployments", True),
    "DaemonSet": ("/apis/apps/v1", "daemonsets", True),
    "StatefulSet": ("/apis/apps/v1", "statefulsets", True),
    "Ingress": ("/apis/networking.k8s.io/v1", "ingresses", True),
    "IngressClass": ("/apis/networking.k8s.io/v1", "ingressclasses", False),
    "ClusterRole": ("/apis/rbac.authorization.k8s.io/v1", "clusterroles", False),
    "ClusterRoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings", False),
    "Role": ("/apis/rbac.authorization.k8s.io/v1", "roles", True),
    "RoleBinding": ("/apis/rbac.authorization.k8s.io/v1", "rolebindings", True),
    "MutatingWebhookConfiguration": ("/apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", False),
    "CustomResourceDefinition": ("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", False),
    "HAProxyTelemetry": ("/apis/haproxy-telemetry.io/v1alpha1", "haproxytelemetries", True),
}
_MANAGER = "cluster-tests"


class ApiRefused(Exception):
    """The API server's own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(f"{status}: {message}")
        self.status = status


class KubeApi:
    """`async with KubeApi(kubeconfig) as api`."""

    def __init__(self, kubeconfig: str) -> None:
        self._kubeconfig = kubeconfig
        self._session: aiohttp.ClientSession | None = None
        self.url = ""

    async def get(self, kind: str, namespace: str | None, name: str) -> dict[str, Any] | None:
        """An object; None if there is none."""
        try:
            return await self._call("GET", _path(kind, namespace, name))
        except ApiRefused as error:
            if error.status == 404:
                return None
            raise

    async def all(self, kind: str, namespace: str | None = None, *, labels: str = "") -> list[dict[str, Any]]:
        """All objects of a namespace, or all."""
        found = await self._call("GET", _path(kind, namespace), query={"labelSelector": labels} if labels else {})
        items: list[dict[str, Any]] = found["items"]
        return items

    async def apply(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Makes an object what it says."""
        metadata = body["metadata"]
        return await self._call(
            "PATCH",
            _path(body["kind"], metadata.get("namespace"), metadata["name"]),
            body=body,
            content_type="application/apply-patch+yaml",
            query={"fieldManager": _MANAGER, "force": "true"},
        )

    async def merge(self, kind: str, namespace: str | None, name: str, patch: Mapping[str, Any]) -> dict[str, Any]:
        """JSON merge patch."""
        path = _path(kind, namespace, name)
        content_type = "application/merge-patch+json"
        return await self._call("PATCH", path, body=patch, content_type=content_type, query={"fieldManager": _MANAGER})

    async def delete(self, kind: str, namespace: str | None, name: str) -> None:
        """Asks for its end, if it is there."""
        try:
            await self._call("DELETE", _path(kind, namespace, name))
        except ApiRefused as error:
            if error.status != 404:
                raise

    async def log(self, namespace: str, pod: str, container: str, *, tail: int | None = None) -> str:
        """Of a container."""
        assert self._session is not None
        query = {"container": container} | ({} if tail is None else {"tailLines": str(tail)})
        async with self._session.get(self.url + _path("Pod", namespace, pod) + "/log", params=query) as response:
            return await response.text(errors="replace")

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        assert self._session is not None
        data = None if body is None else json.dumps(body)
        headers = {"Content-Type": content_type}
        async with self._session.request(method, self.url + path, data=data, headers=headers, params=query) as response:
            answer = await response.json(content_type=None)
            if response.status >= 300:
                raise ApiRefused(response.status, str(answer.get("message", answer)))
            document: dict[str, Any] = answer
            return document

    async def __aenter__(self) -> Self:
        found = client.Configuration()
        await config.load_kube_config(self._kubeconfig, client_configuration=found)  # type: ignore[no-untyped-call]
        context = ssl.create_default_context(cafile=found.ssl_ca_cert)
        if found.cert_file:
            context.load_cert_chain(found.cert_file, found.key_file)
        headers = {"Authorization": found.api_key["BearerToken"]} if "BearerToken" in found.api_key else {}
        self.url = str(found.host)
        connector = aiohttp.TCPConnector(ssl=context, limit=20)
        self._session = aiohttp.ClientSession(connector=connector, headers=headers, timeout=aiohttp.ClientTimeout(total=30))
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()


def _path(kind: str, namespace: str | None, name: str | None = None) -> str:
    prefix, plural, namespaced = _PLACES[kind]
    parts = [prefix, *(("namespaces", namespace) if namespaced and namespace else ()), plural, name]
    return "/".join(part for part in parts if part)
