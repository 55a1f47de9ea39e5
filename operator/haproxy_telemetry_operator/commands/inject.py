"""``inject``: the injector."""

import argparse
import asyncio
import logging
import os
import signal
from datetime import UTC, datetime
from pathlib import Path

from ..cluster import ApiError, Cluster
from ..injection import Facts
from ..injector import Injector, InjectorError
from ..inventory import Inventory
from ..logs import configure_logging
from ..resource_watch import ResourceWatch
from .options import add_image_options, add_log_options, namespaces_of

__all__ = ["add_arguments", "run"]

_OK, _FAILED = 0, 1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command."""
    add_image_options(parser)
    add_log_options(parser)
    parser.add_argument("--host", default="0.0.0.0", metavar="ADDRESS", help="to listen on (%(default)s)")
    parser.add_argument("--port", type=int, default=9443, metavar="PORT", help="HTTPS (%(default)s)")
    parser.add_argument("--http-port", type=int, default=8080, metavar="PORT", help="metrics and probes (%(default)s)")
    parser.add_argument(
        "--certificate-directory",
        type=Path,
        default=Path("/etc/haproxy-telemetry-injector"),
        metavar="DIRECTORY",
        help="tls.crt and tls.key, read again when they change (%(default)s)",
    )


def run(options: argparse.Namespace) -> int:
    """Until it is told to stop."""
    configure_logging(level=options.log_level, log_format=options.log_format)
    logger = logging.getLogger("haproxy_telemetry_operator")
    try:
        asyncio.run(_serve(options))
    except (ApiError, InjectorError) as error:
        logger.error("%s", error)  # noqa: TRY400 - its words say it all
        return _FAILED
    return _OK


async def _serve(options: argparse.Namespace) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    inventory = Inventory()
    async with await Cluster.connect(kubeconfig=os.environ.get("KUBECONFIG") or None) as cluster:
        injector = Injector(
            facts=Facts(options.image, options.image_pull_policy, set_user=not options.no_user),
            inventory=inventory,
            watch=ResourceWatch(cluster, inventory, namespaces_of(options)),
            certificate_directory=options.certificate_directory,
            host=options.host,
            port=options.port,
            http_port=options.http_port,
            now=lambda: datetime.now(UTC),
        )
        await injector.run(stop)
