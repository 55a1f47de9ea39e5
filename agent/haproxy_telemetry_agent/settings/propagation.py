"""Settings of propagation: how trace context travels, and whose is believed."""

from typing import Annotated, Literal

import msgspec

from .types import Struct

__all__ = ["Propagation"]


class Propagation(Struct, frozen=True):
    """How trace context travels."""

    propagators: Annotated[list[Literal["tracecontext"]], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["tracecontext"]
    )
