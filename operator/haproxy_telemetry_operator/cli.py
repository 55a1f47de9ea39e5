"""The command line: ``run``, ``inject``, ``render``, ``doctor``, ``rewrite``, ``crd``, ``reference``, ``version``.

Exit codes: 0 fine, 1 it could not be done, 2 wrong usage.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module

__all__ = ["main"]

PROGRAM = "haproxy-telemetry-operator"
_COMMANDS = {
    "run": "Run the operator until SIGTERM or SIGINT; one replica.",
    "inject": "Run the injector, which the API server asks about new pods; any number of replicas.",
    "render": "Print all that would be written for a resource, without any cluster.",
    "doctor": "Look at a cluster, and say what is wrong and how to mend it.",
    "rewrite": "Copy a plain HAProxy's configuration and put the agent's lines into the copy (in an init container).",
    "crd": "Print the CustomResourceDefinition.",
    "reference": "Print what can be said in an HAProxyTelemetry, in Markdown.",
    "version": "Print the version.",
}
"""A module of ``commands`` for each."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; returns its exit code."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    options = _parser(given[:1]).parse_args(given)
    try:
        exit_code: int = options.run(options)
    except BrokenPipeError:
        # What reads our output has had enough; nothing more may be written, not even at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    return exit_code


def _parser(asked: Sequence[str]) -> argparse.ArgumentParser:
    """All commands by name, and of the one that is asked for its arguments: only its module is imported."""
    parser = argparse.ArgumentParser(prog=PROGRAM, description="Gets HAProxy pods traced.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in _COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text)
        if name in asked:
            module = import_module(f".commands.{name}", __package__)
            module.add_arguments(sub)
            sub.set_defaults(run=module.run)
    return parser
