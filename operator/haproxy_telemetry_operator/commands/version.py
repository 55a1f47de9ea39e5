"""``version``: prints it."""

import argparse

from haproxy_telemetry_agent.version import VERSION

__all__ = ["add_arguments", "run"]


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_options: argparse.Namespace) -> int:
    """Prints it."""
    print(f"haproxy-telemetry-operator {VERSION}")  # noqa: T201
    return 0
