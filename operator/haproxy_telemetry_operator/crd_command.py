"""``crd``: prints the CustomResourceDefinition, for ``kubectl apply --server-side -f -``."""

import argparse

import yaml

from .resource import custom_resource_definition

__all__ = ["add_command"]


def add_command(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Adds it to the command line."""
    commands.add_parser("crd", description="Print the CustomResourceDefinition.").set_defaults(run=_run)


def _run(_options: argparse.Namespace) -> int:
    print(yaml.safe_dump(custom_resource_definition(), sort_keys=False), end="")  # noqa: T201
    return 0
