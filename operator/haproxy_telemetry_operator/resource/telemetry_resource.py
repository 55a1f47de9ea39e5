"""One ``HAProxyTelemetry`` as the API server has it: its spec checked, and what of its metadata matters."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

import msgspec

from haproxy_telemetry_agent.settings.explanation import explain

from ..names import FINALIZER
from .problems import SpecProblem
from .selector import check_selector
from .spec import Spec

__all__ = ["TelemetryResource"]


@dataclass(frozen=True)
class TelemetryResource:
    """What of the object is worked with."""

    namespace: str
    name: str
    uid: str
    generation: int
    created: str
    """RFC 3339, UTC: sorts as text."""
    deleted: datetime | None
    """When somebody asked for its deletion."""
    has_finalizer: bool
    document: Mapping[str, Any]
    """``spec`` as it was written."""
    status: Mapping[str, Any] = field(compare=False)
    """As it was then. We write it ourselves: another one is no other resource."""

    @classmethod
    def of_body(cls, body: Mapping[str, Any]) -> Self:
        """From the API's object."""
        metadata = body["metadata"]
        return cls(
            namespace=metadata["namespace"],
            name=metadata["name"],
            uid=metadata.get("uid", ""),
            generation=metadata.get("generation", 0),
            created=metadata.get("creationTimestamp", ""),
            deleted=_time(metadata.get("deletionTimestamp")),
            has_finalizer=FINALIZER in metadata.get("finalizers", ()),
            document=body.get("spec") or {},
            status=body.get("status") or {},
        )

    @property
    def deleting(self) -> bool:
        """Whether it is on its way out."""
        return self.deleted is not None

    @property
    def key(self) -> tuple[str, str]:
        """``(namespace, name)``."""
        return self.namespace, self.name

    @property
    def precedence(self) -> tuple[str, str]:
        """Of the resources of a namespace the least one is in charge: the oldest, then the first by name."""
        return self.created, self.name

    def spec(self) -> Spec:
        """The spec with its defaults.

        Raises:
            SpecProblem: a field that the API server let through; its schema is an older one, perhaps.
        """
        try:
            spec = msgspec.convert(self.document, Spec)
        except msgspec.ValidationError as error:
            raise SpecProblem(f"spec.{explain(error, self.document, Spec)}") from None
        check_selector(spec.target.selector)
        return spec


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
