"""What has to be known to write HAProxy's side: where the agent listens and what HAProxy does without it."""

from dataclasses import dataclass
from typing import Literal

from .thresholds import ALWAYS, PathPattern, ThresholdForce, ThresholdRule
from .words import plain_or_quoted

__all__ = ["Capture", "Plan", "Profile", "Sampling", "haproxy_address"]

Profile = Literal["Standard", "Full", "Stream"]
"""How often HAProxy waits for the agent: once, at every safe event, never."""


@dataclass(frozen=True, slots=True)
class Capture:
    """Something that spans shall say beyond the table of fields: a header, a property of TLS, a sample of the user's."""

    key: str
    """Its name as SPOE argument and in the record, such as ``q.x-request-id``: no space, quote, ``=`` or bracket."""
    fetch: str
    """Sample expression."""
    at: Literal["request", "decision", "response", "end"] = "request"
    """When HAProxy looks: while the request waits (``decision``: only for the agent's decision, never for the record), when the
    answer leaves, or as it writes the record."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How HAProxy samples: with profile Stream always, otherwise where the agent gave no answer. See ``thresholds``."""

    threshold: str = ALWAYS
    """For the traces that begin here."""
    follows_parent: bool = True
    rules: tuple[ThresholdRule, ...] = ()
    force: ThresholdForce | None = None
    excluded_paths: tuple[PathPattern, ...] = ()
    excluded_user_agents: tuple[str, ...] = ()

    @property
    def excludes(self) -> bool:
        """Whether some requests are to leave no trace."""
        return bool(self.excluded_paths or self.excluded_user_agents)

    @property
    def decides(self) -> bool:
        """Whether there is anything to decide: not if all that begins is kept, and all callers are followed."""
        return self.threshold != ALWAYS or not self.follows_parent or bool(self.rules) or self.force is not None


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
    sampling: Sampling = Sampling()
    propagators: tuple[str, ...] = ("tracecontext", "baggage")
    propagation_mode: Literal["Propagate", "Extract", "Inject", "Ignore"] = "Propagate"
    trusted_networks: tuple[str, ...] = ()
    """CIDRs whose clients' context is believed; empty: everybody's."""
    link_untrusted: bool = False
    with_baggage: bool = False
    """Whether the agent wants to see baggage; it passes through in any case."""
    captures: tuple[Capture, ...] = ()

    @property
    def extracted_propagators(self) -> tuple[str, ...]:
        """The formats that are read."""
        return self.propagators if self.propagation_mode in ("Propagate", "Extract") else ()

    @property
    def injected_propagators(self) -> tuple[str, ...]:
        """The formats that are written."""
        return self.propagators if self.propagation_mode in ("Propagate", "Inject") else ()


def haproxy_address(listen: str) -> str:
    """The address HAProxy connects to, for an address the agent listens on.

    ``unix:/path`` becomes ``unix@/path``, quoted if it must be; a wildcard becomes the loopback address of its family.
    """
    if listen.startswith("unix:"):
        return plain_or_quoted("unix@" + listen.removeprefix("unix:"))
    host, _, port = listen.rpartition(":")
    loopback = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]", "localhost": "127.0.0.1"}
    return f"{loopback.get(host, host)}:{port}"
