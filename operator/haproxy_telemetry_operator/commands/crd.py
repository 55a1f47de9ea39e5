"""``crd``: prints the CustomResourceDefinition, for ``kubectl apply --server-side -f -``."""

import argparse

import yaml

from ..resource import custom_resource_definition

__all__ = ["add_arguments", "run"]


def add_arguments(_parser: argparse.ArgumentParser) -> None:
    """It has none."""


def run(_options: argparse.Namespace) -> int:
    """Prints it."""
    print(yaml.safe_dump(custom_resource_definition(), sort_keys=False), end="")  # noqa: T201
    return 0
