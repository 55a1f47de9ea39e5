"""Settings of what spans say."""

import msgspec

from ..tracing.semconv import KNOWN_METHODS, SENSITIVE_QUERY_PARAMETERS
from .types import Struct

__all__ = ["Spans"]


class Spans(Struct, frozen=True):
    """What spans say."""

    redact_query: bool = True
    """Replace the values of sensitive query parameters by REDACTED."""
    sensitive_query_parameters: list[str] = msgspec.field(default_factory=lambda: sorted(SENSITIVE_QUERY_PARAMETERS))
    """Keys whose values are redacted; replaces the default list."""
    known_methods: list[str] = msgspec.field(default_factory=lambda: sorted(KNOWN_METHODS))
    """Methods that may stand in span names; all others are _OTHER."""
