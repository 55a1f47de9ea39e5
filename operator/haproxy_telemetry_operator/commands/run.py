"""``run``: the operator."""

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

import kopf

from haproxy_telemetry_agent.logs import configure_logging

from ..cluster import ApiError, Cluster
from ..handlers import register
from ..names import FIELD_MANAGER
from ..operator_service import OperatorService
from ..own_traces import OwnTraces
from ..settings import OperatorSettings
from .options import add_image_options, add_log_options, namespaces_of

__all__ = ["add_arguments", "run"]

_OK, _FAILED = 0, 1
_NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command."""
    add_image_options(parser)
    add_log_options(parser)
    parser.add_argument("--namespace", metavar="NAME", help="the operator's own (default: its pod's)")
    parser.add_argument(
        "--injector-service", default=OperatorSettings(image="").injector_service, metavar="NAME", help="(%(default)s)"
    )
    parser.add_argument("--injector-url", metavar="URL", help="where the API server reaches the injector, if it is no Service")
    parser.add_argument(
        "--certificate-secret", default=OperatorSettings(image="").certificate_secret, metavar="NAME", help="(%(default)s)"
    )
    parser.add_argument(
        "--no-certificate", action="store_true", help="the Secret is somebody else's (cert-manager's): only its ca.crt is read"
    )
    parser.add_argument("--http-port", type=int, default=8080, metavar="PORT", help="metrics and probes (%(default)s)")
    parser.add_argument(
        "--revert-timeout", type=float, default=600.0, metavar="SECONDS", help="how long a deletion may wait for pods (%(default)g)"
    )


def run(options: argparse.Namespace) -> int:
    """Until it is told to stop."""
    configure_logging(level=options.log_level, format=options.log_format, stream=sys.stderr)
    settings = OperatorSettings(
        image=options.image,
        image_pull_policy=options.image_pull_policy,
        namespaces=namespaces_of(options),
        own_namespace=options.namespace or _own_namespace(),
        injector_service=options.injector_service,
        injector_url=options.injector_url,
        certificate_secret=options.certificate_secret,
        manage_certificates=not options.no_certificate,
        set_user=not options.no_user,
        revert_timeout_seconds=options.revert_timeout,
        http_port=options.http_port,
    )
    # Every event of every pod would be a line.
    logging.getLogger("kopf").setLevel(logging.WARNING)
    try:
        asyncio.run(_serve(settings))
    except ApiError as error:
        logging.getLogger("haproxy_telemetry_operator").error("%s", error)  # noqa: TRY400 - its words say it all
        return _FAILED
    return _OK


async def _serve(settings: OperatorSettings) -> None:
    cluster = await Cluster.connect(kubeconfig=os.environ.get("KUBECONFIG") or None)
    traces = OwnTraces(os.environ)
    service = OperatorService(settings, cluster, traces)
    namespaces = {settings.own_namespace, *settings.namespaces} if settings.namespaces else None
    try:
        await kopf.operator(
            registry=register(service),
            # By default it is made of the user's name, and in a container there is none.
            identity=FIELD_MANAGER,  # type: ignore[arg-type]
            clusterwide=namespaces is None,
            namespaces=sorted(namespaces or ()),
        )
    finally:
        traces.close()


def _own_namespace() -> str:
    try:
        return _NAMESPACE_FILE.read_text().strip()
    except OSError:
        return OperatorSettings(image="").own_namespace
