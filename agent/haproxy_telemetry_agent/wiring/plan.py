"""What has to be known to write HAProxy's side: where the agent listens and what HAProxy does without it."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Capture", "Plan", "Profile", "haproxy_address"]

Profile = Literal["Standard", "Full", "Stream"]
"""How often HAProxy waits for the agent: once, at every safe event, never."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Something that spans shall say beyond the table of fields: a header, a property of TLS, a sample of the user's."""

    key: str
    """Its name as SPOE argument and in the record, such as ``q.x-request-id``: no space, quote, ``=`` or bracket."""
    fetch: str
    """Sample expression."""
    at: Literal["request", "response", "end"] = "request"
    """When HAProxy looks: while the request waits, when the answer leaves, or as it writes the record."""


@dataclass(frozen=True, slots=True)
class Plan:
    """Parameters of the texts. All addresses are in HAProxy's own form (``127.0.0.1:12345``, ``unix@/run/spoa.sock``)."""

    profile: Profile = "Standard"
    spop_address: str = "127.0.0.1:12345"
    records_address: str = "127.0.0.1:10514"
    spoe_path: str = "/etc/haproxy-telemetry/spoe.cfg"
    """Where HAProxy finds the SPOE file."""
    processing_timeout: str = "20ms"
    """The longest time a request waits for the agent, in HAProxy's time format."""
    fallback_ratio: float = 1.0
    """Share of new traces that HAProxy starts as sampled when the agent gave no answer; with profile Stream, always."""
    captures: tuple[Capture, ...] = ()


def haproxy_address(listen: str) -> str:
    """The address HAProxy connects to, for an address the agent listens on.

    ``unix:/path`` becomes ``unix@/path``; a wildcard becomes the loopback address of its family.
    """
    if listen.startswith("unix:"):
        return "unix@" + listen.removeprefix("unix:")
    host, _, port = listen.rpartition(":")
    loopback = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]", "localhost": "127.0.0.1"}
    return f"{loopback.get(host, host)}:{port}"
