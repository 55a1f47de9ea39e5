"""Settings of propagation: how trace context travels, and whose is believed."""

from typing import Annotated, Literal

import msgspec

from .explanation import SettingsError
from .networks import check_networks
from .types import Struct

__all__ = ["Propagation", "PropagationMode", "Propagator", "check_propagation"]

Propagator = Literal["tracecontext", "baggage", "b3", "b3multi", "jaeger", "xray", "none"]
PropagationMode = Literal["Propagate", "Extract", "Inject", "Ignore"]
BaggageKey = Annotated[
    str,
    msgspec.Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$(?!\n)", max_length=256, description="a baggage key, such as tenant"),
]


class Propagation(Struct, frozen=True):
    """How trace context travels."""

    propagators: Annotated[list[Propagator], msgspec.Meta(min_length=1)] = msgspec.field(
        default_factory=lambda: ["tracecontext", "baggage"]
    )
    """Formats of the headers: all are written, the first that is found is read. none stands alone."""
    mode: PropagationMode = "Propagate"
    """Propagate reads and writes them, Extract only reads, Inject only writes (each exchange begins a trace), Ignore none."""
    trusted_networks: Annotated[list[str], msgspec.Meta(max_length=256)] = msgspec.field(default_factory=list)
    """Networks (10.0.0.0/8) whose clients' context is believed; empty: everybody's."""
    link_untrusted: bool = False
    """Link spans to the context of other clients, instead of leaving it out."""
    baggage_attributes: Annotated[list[BaggageKey], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=list)
    """Keys of baggage that spans show, as attribute baggage.<key>; whoever the client is. Baggage itself always passes through."""


def check_propagation(propagation: Propagation) -> None:
    """What types can't say.

    Raises:
        SettingsError: names the field, its value and the fix.
    """
    propagators = propagation.propagators
    if "none" in propagators and len(propagators) > 1:
        raise SettingsError(f"propagation.propagators: {propagators}: none excludes all others: drop it or them")
    for index, propagator in enumerate(propagators):
        if propagator in propagators[:index]:
            raise SettingsError(f"propagation.propagators[{index}]: {propagator!r}: stands there already: drop one")
    if propagation.link_untrusted and not propagation.trusted_networks:
        raise SettingsError("propagation.linkUntrusted: true: everybody is trusted: set propagation.trustedNetworks")
    if propagation.link_untrusted and (propagation.mode in ("Inject", "Ignore") or "none" in propagators):
        said = "propagators: [none]" if "none" in propagators else f"mode: {propagation.mode}"
        raise SettingsError(
            f"propagation.linkUntrusted: true: with {said} no context is read that could be linked: drop one of them"
        )
    check_networks("propagation.trustedNetworks", propagation.trusted_networks, single=False)
