"""Targets: the kinds of HAProxy pods, how they are told apart, and what each kind's configuration needs."""

from .ingress_block import block_lines, managed_key
from .recognition import Kind, NotRecognised, Recognition, recognise

__all__ = ["Kind", "NotRecognised", "Recognition", "block_lines", "managed_key", "recognise"]
