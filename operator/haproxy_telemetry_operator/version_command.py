"""``version``: prints it."""

import argparse

from haproxy_telemetry_agent.version import VERSION

__all__ = ["add_command"]


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds it to the command line."""
    commands.add_parser("version", description="Print the version.").set_defaults(run=_run)


def _run(_options: argparse.Namespace) -> int:
    print(f"haproxy-telemetry-operator {VERSION}")  # noqa: T201
    return 0
