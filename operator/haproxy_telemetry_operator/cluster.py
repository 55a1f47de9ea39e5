"""The cluster: the one place that talks to the API server, in the few ways that the operator needs.

Objects are plain mappings, as the API has them. What is ours is applied on the server's side, under our own name; what is the
user's is only ever changed by a patch that says what it expects to find.
"""

import inspect
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, NamedTuple, Self

import aiohttp
from kubernetes.aio import client, config

from .names import FIELD_MANAGER, GROUP, PLURAL, VERSION

__all__ = ["ApiError", "Cluster", "Kind"]

_TIMEOUT_SECONDS = 30.0
_PAGE = 500


class Kind(NamedTuple):
    """A resource of the API, by where its objects are."""

    prefix: str
    """``/api/v1`` or ``/apis/<group>/<version>``."""
    plural: str
    namespaced: bool = True

    def path(self, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Of an object, or of all in a namespace, or of all."""
        parts = [self.prefix]
        if namespace is not None and self.namespaced:
            parts += ["namespaces", namespace]
        parts += [part for part in (self.plural, name, subresource) if part]
        return "/".join(parts)


CONFIG_MAPS = Kind("/api/v1", "configmaps")
PODS = Kind("/api/v1", "pods")
NODES = Kind("/api/v1", "nodes", namespaced=False)
EVENTS = Kind("/api/v1", "events")
SECRETS = Kind("/api/v1", "secrets")
SERVICES = Kind("/api/v1", "services")
ENDPOINT_SLICES = Kind("/apis/discovery.k8s.io/v1", "endpointslices")
INGRESSES = Kind("/apis/networking.k8s.io/v1", "ingresses")
TELEMETRIES = Kind(f"/apis/{GROUP}/{VERSION}", PLURAL)
WEBHOOK_CONFIGURATIONS = Kind("/apis/admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", namespaced=False)
DEFINITIONS = Kind("/apis/apiextensions.k8s.io/v1", "customresourcedefinitions", namespaced=False)
WORKLOADS: Mapping[str, Kind] = {
    "Deployment": Kind("/apis/apps/v1", "deployments"),
    "StatefulSet": Kind("/apis/apps/v1", "statefulsets"),
    "DaemonSet": Kind("/apis/apps/v1", "daemonsets"),
}


class ApiError(Exception):
    """The API server did not do what it was asked; its own words.

    Attributes:
        status: HTTP status; 0: it could not be reached.
    """

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Cluster:
    """A connection to one API server; use it as a context manager."""

    def __init__(self, api: client.ApiClient) -> None:
        self._api = api
        self.calls = 0
        """Requests made so far."""

    @classmethod
    async def connect(cls, *, kubeconfig: str | None = None, context: str | None = None) -> Self:
        """By the pod's own service account, or by a kubeconfig.

        Raises:
            ApiError: there is neither.
        """
        configuration = client.Configuration()
        try:
            if kubeconfig is None and context is None:
                try:
                    config.load_incluster_config(client_configuration=configuration)
                except config.ConfigException:
                    await config.load_kube_config(client_configuration=configuration)
            else:
                await config.load_kube_config(kubeconfig, context=context, client_configuration=configuration)
        except (config.ConfigException, OSError) as error:
            raise ApiError(0, f"no cluster is configured: {error}") from None
        return cls(client.ApiClient(configuration))

    async def close(self) -> None:
        """Closes its connections."""
        await self._api.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_exception: object) -> None:
        await self.close()

    async def get(self, kind: Kind, namespace: str | None, name: str) -> dict[str, Any] | None:
        """An object; None if there is none of that name."""
        try:
            return await self._call("GET", kind.path(namespace, name))
        except ApiError as error:
            if error.status == 404:
                return None
            raise

    async def all(self, kind: Kind, namespace: str | None = None, *, label_selector: str = "") -> list[dict[str, Any]]:
        """All objects, page by page."""
        return (await self.all_with_version(kind, namespace, label_selector=label_selector))[0]

    async def all_with_version(
        self, kind: Kind, namespace: str | None = None, *, label_selector: str = ""
    ) -> tuple[list[dict[str, Any]], str]:
        """All objects, page by page, and the version to watch from."""
        items: list[dict[str, Any]] = []
        query = {"limit": str(_PAGE)} | ({"labelSelector": label_selector} if label_selector else {})
        while True:
            page = await self._call("GET", kind.path(namespace), query=query)
            items += page.get("items") or []
            token = (page.get("metadata") or {}).get("continue")
            if not token:
                return items, str(page["metadata"].get("resourceVersion", ""))
            query["continue"] = token

    async def watch(self, kind: Kind, namespace: str | None, version: str, *, seconds: int) -> AsyncIterator[bytes]:
        """Lines of a watch, each the JSON of an event.

        Raises:
            ApiError: the API server refuses.
        """
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(seconds)}
        response = await self._send("GET", kind.path(namespace), query=query, timeout_seconds=seconds + _TIMEOUT_SECONDS)
        raw = response.response
        if response.status != 200:
            raise ApiError(response.status, _reason(await response.read(), response.reason))
        async with raw:
            async for line in raw.content:
                yield line

    async def create(self, kind: Kind, namespace: str | None, body: Mapping[str, Any]) -> dict[str, Any]:
        """Makes an object."""
        return await self._call("POST", kind.path(namespace), body=body, query={"fieldManager": FIELD_MANAGER})

    async def apply(self, kind: Kind, body: Mapping[str, Any], *, subresource: str | None = None) -> dict[str, Any]:
        """Makes an object of ours what it should be: server-side apply."""
        metadata = body["metadata"]
        return await self._call(
            "PATCH",
            kind.path(metadata.get("namespace"), metadata["name"], subresource),
            body=body,
            content_type="application/apply-patch+yaml",
            query={"fieldManager": FIELD_MANAGER, "force": "true"},
        )

    async def replace(self, kind: Kind, body: Mapping[str, Any]) -> dict[str, Any]:
        """Puts an object in the place of the one with its resourceVersion."""
        metadata = body["metadata"]
        path = kind.path(metadata.get("namespace"), metadata["name"])
        return await self._call("PUT", path, body=body, query={"fieldManager": FIELD_MANAGER})

    async def merge(
        self, kind: Kind, namespace: str | None, name: str, patch: Mapping[str, Any], *, subresource: str | None = None
    ) -> dict[str, Any]:
        """JSON merge patch."""
        return await self._call(
            "PATCH",
            kind.path(namespace, name, subresource),
            body=patch,
            content_type="application/merge-patch+json",
            query={"fieldManager": FIELD_MANAGER},
        )

    async def patch(self, kind: Kind, namespace: str | None, name: str, operations: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """JSON patch; with ``test`` among the operations it is all or nothing (422)."""
        return await self._call(
            "PATCH",
            kind.path(namespace, name),
            body=list(operations),
            content_type="application/json-patch+json",
            query={"fieldManager": FIELD_MANAGER},
        )

    async def delete(self, kind: Kind, namespace: str | None, name: str) -> None:
        """Deletes an object, if it is there."""
        try:
            await self._call("DELETE", kind.path(namespace, name))
        except ApiError as error:
            if error.status != 404:
                raise

    async def version(self) -> str:
        """The server's, such as ``v1.36.4``."""
        return str((await self._call("GET", "/version"))["gitVersion"])

    async def _call(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        response = await self._send(method, path, body=body, content_type=content_type, query=query)
        try:
            await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from None
        data = response.data
        if response.status >= 300:
            raise ApiError(response.status, _reason(data, response.reason))
        document: dict[str, Any] = json.loads(data) if data else {}
        return document

    async def _send(
        self,
        method: str,
        path: str,
        *,
        body: Any = None,
        content_type: str = "application/json",
        query: Mapping[str, str] | None = None,
        timeout_seconds: float = _TIMEOUT_SECONDS,
    ) -> Any:
        self.calls += 1
        serialized = self._api.param_serialize(
            method,
            path,
            query_params=list((query or {}).items()),
            header_params={"Content-Type": content_type, "Accept": "application/json"},
            body=body,
            auth_settings=["BearerToken"],
        )
        verb, url, headers, sent, _form = await serialized if inspect.isawaitable(serialized) else serialized
        try:
            return await self._api.call_api(verb, url, headers, sent, _request_timeout=timeout_seconds)
        except client.ApiException as error:
            raise ApiError(error.status or 0, _reason(error.body, error.reason)) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise _unreachable(error) from None


def _unreachable(error: Exception) -> ApiError:
    return ApiError(0, f"the API server can't be reached: {error or type(error).__name__}")


def _reason(body: Any, default: Any) -> str:
    """The server's own sentence."""
    text = body.decode(errors="replace") if isinstance(body, bytes) else str(body or "")
    try:
        return str(json.loads(text)["message"])
    except (ValueError, KeyError, TypeError):
        return text[:200] or str(default)
