"""The custom resource ``HAProxyTelemetry``: its model, its CustomResourceDefinition, and what of it only we can judge."""

from .definition import custom_resource_definition
from .problems import SpecProblem
from .spec import Spec
from .telemetry_resource import TelemetryResource

__all__ = ["Spec", "SpecProblem", "TelemetryResource", "custom_resource_definition"]
