"""Who the spans are from: the OpenTelemetry SDK's Resource, with its detectors and ``OTEL_*`` variables.

Spans describe HAProxy, not the agent beside it: ``service.name`` is HAProxy's (``haproxy`` if nobody says better), and the agent is
the instrumentation scope.
"""

from collections.abc import Mapping, Sequence

from opentelemetry.sdk.resources import SERVICE_NAME, Resource

from .tracing import Attribute
from .version import VERSION

__all__ = ["resource_attributes"]

_DISTRIBUTION = {"telemetry.distro.name": "haproxy-telemetry", "telemetry.distro.version": VERSION}


def resource_attributes(*, service_name: str | None, attributes: Mapping[str, str]) -> dict[str, Attribute]:
    """The resource's attributes: settings over ``OTEL_RESOURCE_ATTRIBUTES`` and ``OTEL_SERVICE_NAME`` over detectors."""
    given: dict[str, str] = {**_DISTRIBUTION, **attributes}
    if service_name is not None:
        given[SERVICE_NAME] = service_name
    resource = Resource.create(given)
    merged: dict[str, Attribute] = {}
    for key, value in resource.attributes.items():
        if isinstance(value, str | bool | int | float):
            merged[key] = value
        elif isinstance(value, Sequence):
            merged[key] = [str(item) for item in value]
    if str(merged.get(SERVICE_NAME, "unknown_service")).startswith("unknown_service"):
        merged[SERVICE_NAME] = "haproxy"
    return merged
