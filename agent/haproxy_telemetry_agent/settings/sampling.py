"""Settings of sampling: which traces are recorded."""

from typing import Annotated, Literal

import msgspec

from .types import Struct

__all__ = ["RATIO_SAMPLERS", "SamplerType", "Sampling"]

SamplerType = Literal[
    "AlwaysOn", "AlwaysOff", "TraceIDRatio", "ParentBasedAlwaysOn", "ParentBasedAlwaysOff", "ParentBasedTraceIDRatio"
]
RATIO_SAMPLERS = ("TraceIDRatio", "ParentBasedTraceIDRatio")


class Sampling(Struct, frozen=True):
    """Which traces are recorded."""

    type: SamplerType = "ParentBasedAlwaysOn"
    ratio: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
