"""``reference``: prints what can be said in an HAProxyTelemetry, in Markdown."""

import argparse

from ..resource.reference import render_reference

__all__ = ["add_arguments", "run"]


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_options: argparse.Namespace) -> int:
    """Prints it."""
    print(render_reference(), end="")  # noqa: T201
    return 0
