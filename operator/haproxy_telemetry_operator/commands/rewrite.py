"""``rewrite``: what the first init container of a plain HAProxy's pod runs."""

import argparse
import sys
from pathlib import Path
from typing import Any

from ..pod_mounts import Mount, place_of
from ..pod_rewriting import rewrite_pod
from ..rewrite_report import RewriteReport
from ..tree_copy import CopyError

__all__ = ["add_arguments", "run"]

_MESSAGE_LIMIT_BYTES = 4000
"""Kubernetes keeps 4,096 bytes of a termination message."""


class _MountAction(argparse.Action):
    def __call__(
        self, parser: argparse.ArgumentParser, namespace: argparse.Namespace, values: Any, option_string: str | None = None
    ) -> None:
        others: list[Mount] = getattr(namespace, self.dest)
        try:
            mount = Mount.of(*values)
        except ValueError as error:
            parser.error(f"{option_string}: {error}")
        if any(other.destination == mount.destination for other in others):
            parser.error(f"{option_string}: {mount.destination} takes two mounts: give each a folder of its own")
        setattr(namespace, self.dest, [*others, mount])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Where everything is."""
    parser.add_argument("--plan", type=Path, required=True, metavar="FILE", help="what is to be inserted; it may be missing")
    parser.add_argument(
        "--mount",
        action=_MountAction,
        nargs=3,
        default=[],
        required=True,
        metavar=("PATH", "SOURCE", "DESTINATION"),
        help="a mount of HAProxy's container that is replaced: its path there; the original here, a folder or a file; the new "
        "volume's folder here. A file is put into it under the last name of PATH. (Several)",
    )
    parser.add_argument(
        "--file",
        action="append",
        type=_pod_path,
        default=[],
        required=True,
        metavar="PATH",
        help="a file or folder that HAProxy is given with -f, by its path there (several, in HAProxy's order)",
    )
    parser.add_argument(
        "--message",
        type=Path,
        default=Path("/dev/termination-log"),
        metavar="FILE",
        help="gets the report, too, if it is there (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Copies and rewrites; 1 if there is no complete copy."""
    try:
        report = rewrite_pod(options.plan, options.mount, options.file)
    except CopyError as error:
        print(f"haproxy-telemetry-operator: {error}", file=sys.stderr)  # noqa: T201
        return 1
    _say(report, options.message)
    return 0


def _say(report: RewriteReport, message: Path) -> None:
    """Nobody may listen, or there may be no room: that is no reason to fail."""
    try:
        for line in report.lines():
            print(line, file=sys.stderr)  # noqa: T201
        sys.stdout.buffer.write(report.json() + b"\n")
        sys.stdout.buffer.flush()
        if message.exists():
            message.write_bytes(report.json(_MESSAGE_LIMIT_BYTES))
    except OSError:
        pass


def _pod_path(text: str) -> str:
    try:
        place_of((), text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
    return text
