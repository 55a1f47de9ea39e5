"""The CustomResourceDefinition: the schema of spec and status, with what ``kubectl get`` shows."""

from typing import Any

from ..names import GROUP, KIND, PLURAL, SHORT_NAME, SINGULAR, VERSION
from .spec import Spec
from .status import Status
from .structural import structural_schema

__all__ = ["custom_resource_definition"]

_READY = '.status.conditions[?(@.type=="Ready")]'
_COLUMNS: tuple[dict[str, Any], ...] = (
    {"name": "Ready", "type": "string", "jsonPath": f"{_READY}.status"},
    {"name": "Reason", "type": "string", "jsonPath": f"{_READY}.reason"},
    {"name": "Pods", "type": "string", "jsonPath": ".status.podsSummary", "description": "instrumented/matching"},
    {"name": "Endpoint", "type": "string", "jsonPath": ".spec.exporter.endpoint"},
    {"name": "Profile", "type": "string", "jsonPath": ".spec.injection.profile", "priority": 1},
    {"name": "Sampler", "type": "string", "jsonPath": ".spec.sampling.type", "priority": 1},
    {"name": "Config", "type": "string", "jsonPath": ".status.configHash", "priority": 1},
    {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"},
)


_NAME_RULE = "size(self.metadata.name) <= 63"
_NAME_MESSAGE = "metadata.name has more than 63 characters: give it a shorter one, it becomes a label's value"


def custom_resource_definition() -> dict[str, Any]:
    """The object, ready to be applied."""
    status = structural_schema(Status)
    _without_defaults(status)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": SINGULAR,
                "shortNames": [SHORT_NAME],
                "categories": ["haproxy", "observability"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "subresources": {"status": {}},
                    "additionalPrinterColumns": list(_COLUMNS),
                    "schema": {
                        "openAPIV3Schema": {
                            "description": "Traces the HAProxy pods of its namespace.",
                            "type": "object",
                            "required": ["spec"],
                            "x-kubernetes-validations": [{"rule": _NAME_RULE, "message": _NAME_MESSAGE}],
                            "properties": {
                                "apiVersion": {"type": "string"},
                                "kind": {"type": "string"},
                                "metadata": {"type": "object"},
                                "spec": structural_schema(Spec),
                                "status": status,
                            },
                        }
                    },
                }
            ],
        },
    }


def _without_defaults(schema: Any) -> None:
    """A status is what we write, not what the API server fills in."""
    if isinstance(schema, dict):
        schema.pop("default", None)
        for value in schema.values():
            _without_defaults(value)
