"""Rendering: what a resource comes to, as texts and objects. Pure: nothing is read, nothing is written."""

from .block import render_block, with_block, without_block
from .payload import Rendering, payload_object, render
from .webhook_configuration import WEBHOOK_CONFIGURATION, webhook_configuration

__all__ = [
    "WEBHOOK_CONFIGURATION",
    "Rendering",
    "payload_object",
    "render",
    "render_block",
    "webhook_configuration",
    "with_block",
    "without_block",
]
