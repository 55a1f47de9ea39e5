"""The check of settings that list networks."""

from collections.abc import Iterable

from ..tracing.networks import network_fault
from .explanation import SettingsError

__all__ = ["check_networks"]


def check_networks(field: str, networks: Iterable[str], *, unix: bool = False, single: bool = True) -> None:
    """Check each of a list; ``unix``: whether this word may stand among them; ``single``: whether single addresses may.

    Raises:
        SettingsError: names the field, its value and the fix.
    """
    for index, network in enumerate(networks):
        fault = network_fault(network, unix=unix, single=single)
        if fault is not None:
            raise SettingsError(f"{field}[{index}]: {network!r}: {fault}")
