"""Trace context from hop to hop: each format in a module of its own, and whose context is believed."""

from .propagation import ExtractCounts, Inbound, Mode, Propagation

__all__ = ["ExtractCounts", "Inbound", "Mode", "Propagation"]
