"""Trace context from hop to hop: each format in a module of its own, and whose context is believed."""

from .propagation import Inbound, Mode, Propagation

__all__ = ["Inbound", "Mode", "Propagation"]
