"""``haproxy-telemetry-operator inject``: the webhook that API servers ask before they make a pod.

It needs the rights ``get``, ``list`` and ``watch`` on the resources HAProxyTelemetry, and with ``--certificate-secret`` ``get`` and
``watch`` on that one Secret; nothing else.
"""

import argparse
import asyncio
import contextlib
import datetime
import importlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubernetes.aio import client, config

from haproxy_telemetry_agent.logs import configure_logging

from ..api_watch import ResourceSource, SecretSource, Sink, Source, follow
from ..injector import Injector
from ..injector_telemetry import InjectorTelemetry
from ..pod_decision import Change, Sidecar
from ..resource_cache import ResourceCache
from ..serving_tls import CertificateFiles, SecretSink, ServingTls

if TYPE_CHECKING:
    from ..admission import Decision
    from ..resource import TelemetryResource

__all__ = ["MakeChange", "add_arguments", "not_ready", "run"]

_logger = logging.getLogger(__name__)

_OK, _FAILED = 0, 1
_LEAST_VALIDITY = datetime.timedelta(hours=24)
_FILES_SECONDS = 2.0
_MAX_DRAIN_SECONDS = 600.0
_SIGNALS = (signal.SIGTERM, signal.SIGINT)

MakeChange = Callable[[argparse.Namespace], Change]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command."""
    parser.add_argument("--host", metavar="ADDRESS", help="listen there only (default: all addresses)")
    parser.add_argument("--port", type=_port, default=9443, help="HTTPS, for API servers (default: %(default)s)")
    parser.add_argument("--http-port", type=_port, default=8080, help="HTTP, for /metrics and probes (default: %(default)s)")
    certificate = parser.add_mutually_exclusive_group(required=True)
    certificate.add_argument(
        "--certificate-directory", type=Path, metavar="DIR", help="where tls.crt and tls.key are; read again when changed"
    )
    certificate.add_argument(
        "--certificate-secret", type=_secret, metavar="NAMESPACE/NAME", help="the Secret with tls.crt and tls.key; it is watched"
    )
    parser.add_argument("--image", required=True, help="the agent's image")
    parser.add_argument("--image-pull-policy", choices=("Always", "IfNotPresent", "Never"), help="(default: Kubernetes' own)")
    parser.add_argument(
        "--set-user",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="whether the agent's container says its user and group; OpenShift chooses them itself",
    )
    parser.add_argument("--openshift", dest="set_user", action="store_false", help="the same as --no-set-user")
    parser.add_argument(
        "--watch-namespaces",
        type=_namespaces,
        default=(),
        metavar="A,B",
        help="resources of these namespaces only (default: of all)",
    )
    parser.add_argument(
        "--drain-seconds",
        type=_drain_seconds,
        default=5.0,
        metavar="SECONDS",
        help="how long to go on answering after SIGTERM, until nobody asks any more (default: %(default)g)",
    )
    parser.add_argument("--log-level", choices=("debug", "info", "warn", "error"), default="info", help="(default: %(default)s)")
    parser.add_argument("--log-format", choices=("console", "json"), default="console", help="(default: %(default)s)")


def run(options: argparse.Namespace, make_change: MakeChange | None = None) -> int:
    """Serve until SIGTERM.

    Args:
        options: of the command.
        make_change: what changes pods; None: ``injection.mutate``.

    Returns:
        The exit code.
    """
    configure_logging(level=options.log_level, format=options.log_format, stream=sys.stderr)
    change = (_mutating if make_change is None else make_change)(options)
    return asyncio.run(_serve(options, change, os.environ.get("KUBECONFIG", "")))


def _mutating(options: argparse.Namespace) -> Change:
    injection = importlib.import_module("..injection", __package__)
    facts = {
        sidecar: injection.Facts(
            image=options.image,
            image_pull_policy=options.image_pull_policy,
            native_sidecar=sidecar == "native",
            set_user=options.set_user,
        )
        for sidecar in ("native", "container")
    }

    def change(pod: Mapping[str, Any], resource: "TelemetryResource", sidecar: Sidecar) -> "Decision":
        decision: Decision = injection.mutate(pod, namespace=resource.namespace, resource=resource, facts=facts[sidecar])
        return decision

    return change


async def _serve(options: argparse.Namespace, change: Change, kubeconfig: str) -> int:
    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    hurry = asyncio.Event()

    def end() -> None:
        (hurry if ending.is_set() else ending).set()

    for number in _SIGNALS:
        loop.add_signal_handler(number, end)
    try:
        if kubeconfig:
            await config.load_kube_config(kubeconfig)  # type: ignore[no-untyped-call]
        else:
            config.load_incluster_config()  # type: ignore[no-untyped-call]
    except (config.ConfigException, OSError) as problem:
        _logger.error("no way to the Kubernetes API: %s: run in a pod with a service account, or set KUBECONFIG", problem)  # noqa: TRY400
        return _FAILED
    cache = ResourceCache(options.watch_namespaces)
    telemetry = InjectorTelemetry(resources=lambda: (len(cache), cache.refused), certificate_not_after=lambda: tls.not_after)
    tls = ServingTls(telemetry)
    injector = Injector(resources=cache, change=change, telemetry=telemetry, tls=tls, ready=lambda: not_ready(cache, tls, _now()))
    async with contextlib.AsyncExitStack() as opened:
        api_client = await opened.enter_async_context(client.ApiClient())
        running = [asyncio.create_task(task) for task in _tasks(options, api_client, cache, tls, telemetry)]
        opened.push_async_callback(_cancel, running)
        opened.push_async_callback(injector.close)
        try:
            await injector.start(host=options.host, port=options.port, http_port=options.http_port)
        except OSError as problem:
            _logger.error("%s", problem)  # noqa: TRY400 - one line says it
            return _FAILED
        _logger.info("listening: https %d, metrics %d", options.port, options.http_port)
        stopped = asyncio.create_task(ending.wait())
        # A task that ends has a mistake in it: better a new process than one that knows nothing new.
        done, _ = await asyncio.wait([stopped, *running], return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in done if task is not stopped]
        for task in failed:
            _logger.error("a watch has ended", exc_info=task.exception())
        injector.drain()
        if not failed:
            _logger.info("ending in %g s", options.drain_seconds)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(hurry.wait(), options.drain_seconds)
        stopped.cancel()
    _ignore_signals(loop)
    return _FAILED if failed else _OK


def not_ready(cache: ResourceCache, tls: ServingTls, now: datetime.datetime) -> str:
    """Why pods should rather be sent to another injector; empty: no reason."""
    if not cache.synced:
        return "the resources have not been read yet"
    if tls.not_after is None:
        return "there is no certificate"
    if tls.not_after - now < _LEAST_VALIDITY:
        return f"the certificate ends {tls.not_after.isoformat()}"
    return ""


def _tasks(
    options: argparse.Namespace,
    api_client: client.ApiClient,
    cache: ResourceCache,
    tls: ServingTls,
    telemetry: InjectorTelemetry,
) -> Iterator[Coroutine[None, None, None]]:
    watches: list[tuple[Source, Sink]] = [(ResourceSource(api_client, scope.namespace), scope) for scope in cache.scopes]
    if options.certificate_secret is not None:
        watches.append((SecretSource(api_client, *options.certificate_secret), SecretSink(tls)))
    for source, sink in watches:
        telemetry.expect_watch(source.name)
        yield follow(source, sink, telemetry)
    if options.certificate_directory is not None:
        yield _look_at(CertificateFiles(options.certificate_directory, tls))


async def _look_at(files: CertificateFiles) -> None:
    while True:
        files.look()
        await asyncio.sleep(_FILES_SECONDS)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _ignore_signals(loop: asyncio.AbstractEventLoop) -> None:
    """The loop gives its signals back when it closes: one that comes then must not spoil the exit code."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    for number in _SIGNALS:
        loop.remove_signal_handler(number)
        signal.signal(number, signal.SIG_IGN)


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _port(text: str) -> int:
    if text.isascii() and text.isdecimal() and 1 <= (port := int(text[:9])) <= 65_535:
        return port
    raise argparse.ArgumentTypeError(f"{text!r}: expected 1 to 65535")


def _secret(text: str) -> tuple[str, str]:
    namespace, slash, name = text.partition("/")
    if slash and namespace and name and "/" not in name:
        return namespace, name
    raise argparse.ArgumentTypeError(f"{text!r}: expected NAMESPACE/NAME, such as haproxy-telemetry/injector-tls")


def _namespaces(text: str) -> tuple[str, ...]:
    return tuple(name for part in text.split(",") if (name := part.strip()))


def _drain_seconds(text: str) -> float:
    with contextlib.suppress(ValueError):
        if 0 <= (seconds := float(text)) <= _MAX_DRAIN_SECONDS:
            return seconds
    raise argparse.ArgumentTypeError(f"{text!r}: expected 0 to {_MAX_DRAIN_SECONDS:g} seconds")
