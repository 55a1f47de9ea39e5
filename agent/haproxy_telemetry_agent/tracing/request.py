"""The start of an exchange, as far as sampling and propagation look at it.

HAProxy tells it twice: in the SPOE message while the request waits, and in the record at the end, for exchanges that the agent was
not asked about.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address

import msgspec

__all__ = ["NO_REQUEST", "Request"]


class Request(msgspec.Struct, frozen=True, gc=False):
    """One request; None is what HAProxy did not tell."""

    method: str | None = None
    host: str | None = None
    """``Host`` or ``:authority``, as the client sent it."""
    path: str | None = None
    """Without the query."""
    frontend: str | None = None
    user_agent: str | None = None
    client_address: str | IPv4Address | IPv6Address | None = None
    """The TCP peer's, or the one of the PROXY protocol, as it came."""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)
    """Configured headers only, by lower-case name; a header that comes several times: its last line."""


NO_REQUEST = Request()
"""Nothing is known: an unparsable request."""
