"""Settings of the argument mini-language: what SPOE files written for spoa-opentracing may make the agent hold."""

from typing import Annotated

import msgspec

from ..tracing.minilang import SERVER_SPANS
from .types import Duration, Struct

__all__ = ["MiniLanguageSettings"]


class MiniLanguageSettings(Struct, frozen=True):
    """Open exchanges of SPOE files in spoa-opentracing's argument language, which HAProxy may never finish."""

    max_exchanges: Annotated[int, msgspec.Meta(ge=1, le=10_000_000)] = 10_000
    max_bytes: Annotated[int, msgspec.Meta(ge=1_048_576)] = 64 * 1024 * 1024
    """Of all open exchanges together, as estimated."""
    max_spans: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 64
    """Open at the same time in one exchange."""
    max_tags: Annotated[int, msgspec.Meta(ge=1, le=10_000)] = 128
    """Of one span; as many logs, and as many items of baggage."""
    max_text_characters: Annotated[int, msgspec.Meta(ge=16, le=65_536)] = 1_024
    """Names and values longer than this are cut."""
    request_timeout: Duration = "1m"
    """How long an exchange may be silent that has reached no server; then its spans are closed as unfinished."""
    server_timeout: Duration = "10m"
    """The same once a server has been reached."""
    upgraded_timeout: Duration = "60m"
    """The same once the server has switched protocols (a status tag of 101)."""
    server_spans: list[str] = msgspec.field(default_factory=lambda: list(SERVER_SPANS))
    """Names of spans that begin when a server has been reached."""
