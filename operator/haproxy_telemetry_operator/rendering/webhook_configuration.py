"""The MutatingWebhookConfiguration: one entry for each resource in charge, so that no other namespace ever waits for the injector.

Nothing may depend on the injector: ``failurePolicy: Ignore``. Entries of resources that have gone leave with them.
"""

from collections.abc import Iterable
from typing import Any

import msgspec

from ..names import FIELD_MANAGER, GROUP, LABEL_INJECT, LABEL_MANAGED_BY
from ..resource import TelemetryResource
from ..resource.spec import Spec

__all__ = ["WEBHOOK_CONFIGURATION", "entry_name", "webhook_configuration", "webhook_entry"]

WEBHOOK_CONFIGURATION = "haproxy-telemetry"
_TIMEOUT_SECONDS = 5
_NAMESPACE_NAME = "kubernetes.io/metadata.name"


def webhook_configuration(entries: Iterable[dict[str, Any]], *, name: str = WEBHOOK_CONFIGURATION) -> dict[str, Any]:
    """The object with these entries, sorted by name."""
    return {
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "MutatingWebhookConfiguration",
        "metadata": {"name": name, "labels": {LABEL_MANAGED_BY: FIELD_MANAGER}},
        "webhooks": sorted(entries, key=lambda entry: str(entry["name"])),
    }


def entry_name(resource: TelemetryResource) -> str:
    """Of a resource's entry."""
    return f"{resource.name}.{resource.namespace}.{GROUP}"


def webhook_entry(
    resource: TelemetryResource, spec: Spec, *, client_config: dict[str, Any], native_sidecar: bool
) -> dict[str, Any]:
    """The entry of one resource.

    Args:
        resource: whose.
        spec: its spec.
        client_config: ``caBundle``, and ``service`` without a path, or ``url`` without one.
        native_sidecar: whether the cluster's nodes know init containers that stay; in the path, so that the injector needs no right
            to look at nodes.
    """
    sidecar = "native" if native_sidecar else "container"
    path = f"/inject/{sidecar}/{resource.namespace}/{resource.name}"
    selector: dict[str, Any] = msgspec.to_builtins(spec.target.selector) if spec.target.selector is not None else {}
    expressions = [_expression(requirement) for requirement in selector.get("matchExpressions", [])]
    expressions.append({"key": LABEL_INJECT, "operator": "NotIn", "values": ["false"]})
    object_selector: dict[str, Any] = {"matchExpressions": expressions}
    if selector.get("matchLabels"):
        object_selector["matchLabels"] = selector["matchLabels"]
    return {
        "name": entry_name(resource),
        "admissionReviewVersions": ["v1"],
        "clientConfig": _with_path(client_config, path),
        "failurePolicy": "Ignore",
        "matchPolicy": "Equivalent",
        "namespaceSelector": {"matchExpressions": [{"key": _NAMESPACE_NAME, "operator": "In", "values": [resource.namespace]}]},
        "objectSelector": object_selector,
        "reinvocationPolicy": "IfNeeded",
        "rules": [
            {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"], "scope": "Namespaced"}
        ],
        "sideEffects": "None",
        "timeoutSeconds": _TIMEOUT_SECONDS,
    }


def _expression(requirement: dict[str, Any]) -> dict[str, Any]:
    """Exists and DoesNotExist take no values, not even an empty list."""
    return {key: value for key, value in requirement.items() if key != "values" or value}


def _with_path(client_config: dict[str, Any], path: str) -> dict[str, Any]:
    if "url" in client_config:
        return client_config | {"url": client_config["url"].rstrip("/") + path}
    return client_config | {"service": client_config["service"] | {"path": path}}
