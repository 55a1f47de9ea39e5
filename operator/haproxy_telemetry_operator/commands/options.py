"""Options that several commands have in common."""

import argparse

__all__ = ["DEFAULT_IMAGE", "add_image_options", "add_log_options", "namespaces_of"]

DEFAULT_IMAGE = "haproxy-telemetry/agent:latest"


def add_image_options(parser: argparse.ArgumentParser) -> None:
    """What sidecars are made of."""
    parser.add_argument("--image", default=DEFAULT_IMAGE, metavar="IMAGE", help="the agent's image (%(default)s)")
    parser.add_argument(
        "--image-pull-policy", choices=("Always", "IfNotPresent", "Never"), default="IfNotPresent", help="(%(default)s)"
    )
    parser.add_argument(
        "--no-user", action="store_true", help="name no user id in sidecars: OpenShift gives each namespace its own"
    )


def add_log_options(parser: argparse.ArgumentParser) -> None:
    """Of the program's own log."""
    parser.add_argument("--log-level", choices=("debug", "info", "warn", "error"), default="info", help="(%(default)s)")
    parser.add_argument("--log-format", choices=("json", "console"), default="json", help="(%(default)s)")
    parser.add_argument(
        "--watch-namespaces",
        default="",
        metavar="A,B",
        help="the namespaces to look at, separated by commas (default: all; the roles must fit)",
    )


def namespaces_of(options: argparse.Namespace) -> tuple[str, ...]:
    """The watched ones; none: all."""
    return tuple(sorted({name.strip() for name in options.watch_namespaces.split(",") if name.strip()}))
