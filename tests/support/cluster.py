"""A real Kubernetes cluster for tests: the one that KUBECONFIG names.

Each test gets a namespace of its own and takes away what it made outside of it. Pods that need no container are held back from the
scheduler: admission is over by then, and nothing has to be pulled.
"""

import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from kubernetes.aio import client, config

__all__ = ["NO_CLUSTER", "Cluster", "open_cluster", "own_namespace", "why_no_cluster"]

NO_CLUSTER = "no cluster: set KUBECONFIG to that of a cluster for tests, and run `make cluster-test`"


def why_no_cluster() -> str:
    """Why there is none; empty: there is one."""
    path = os.environ.get("KUBECONFIG", "")
    if not path or os.environ.get("CLUSTER_TEST") != "1":
        return NO_CLUSTER
    return "" if Path(path).is_file() else f"no cluster: KUBECONFIG names {path}, which does not exist"


class Cluster:
    """What tests need of the API."""

    def __init__(self, api_client: client.ApiClient, kubeconfig: Path) -> None:
        self.api_client = api_client
        self.core = client.CoreV1Api(api_client)
        self.rbac = client.RbacAuthorizationV1Api(api_client)
        self.discovery = client.DiscoveryV1Api(api_client)
        self.admission = client.AdmissionregistrationV1Api(api_client)
        self.custom = client.CustomObjectsApi(api_client)
        self._settings: dict[str, Any] = yaml.safe_load(kubeconfig.read_text())

    @property
    def host_address(self) -> str:
        """Where this machine is reached from the cluster: the API server's own address, which runs here as well."""
        return urlsplit(self._server["server"]).hostname or ""

    @property
    def _server(self) -> dict[str, Any]:
        server: dict[str, Any] = self._settings["clusters"][0]["cluster"]
        return server

    def kubeconfig_for(self, token: str) -> str:
        """A kubeconfig for a service account."""
        return str(
            yaml.safe_dump(
                {
                    "apiVersion": "v1",
                    "kind": "Config",
                    "current-context": "test",
                    "clusters": [{"name": "test", "cluster": self._server}],
                    "users": [{"name": "test", "user": {"token": token}}],
                    "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
                }
            )
        )


@contextlib.asynccontextmanager
async def open_cluster() -> AsyncIterator[Cluster]:
    """The cluster of KUBECONFIG, with all rights that it gives."""
    path = Path(os.environ["KUBECONFIG"])
    settings = client.Configuration()
    await config.load_kube_config(str(path), client_configuration=settings)  # type: ignore[no-untyped-call]
    async with client.ApiClient(settings) as api_client:
        yield Cluster(api_client, path)


@contextlib.asynccontextmanager
async def own_namespace(cluster: Cluster, prefix: str) -> AsyncIterator[str]:
    """A new namespace; that it is gone is not waited for."""
    name = f"{prefix}-{secrets.token_hex(3)}"
    await cluster.core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=name)))
    try:
        yield name
    finally:
        await _let_go(cluster, name)
        await cluster.core.delete_namespace(name)


async def _let_go(cluster: Cluster, namespace: str) -> None:
    """An operator that runs in the cluster may hold a resource, and with it the namespace."""
    resources: Callable[..., Any] = cluster.custom.list_namespaced_custom_object
    where = ("haproxy-telemetry.io", "v1alpha1", namespace, "haproxytelemetries")
    for body in (await resources(*where))["items"]:
        await cluster.custom.delete_namespaced_custom_object(*where, body["metadata"]["name"])
        with contextlib.suppress(client.ApiException):
            await cluster.custom.patch_namespaced_custom_object(
                *where, body["metadata"]["name"], [{"op": "add", "path": "/metadata/finalizers", "value": []}]
            )
