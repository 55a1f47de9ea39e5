"""``doctor``: looks at a cluster with the user's own rights, and says what is wrong."""

import argparse
import asyncio
import base64
import contextlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from ..certificates import read_not_after
from ..cluster import (
    CONFIG_MAPS,
    DEFINITIONS,
    ENDPOINT_SLICES,
    PODS,
    SECRETS,
    TELEMETRIES,
    WEBHOOK_CONFIGURATIONS,
    WORKLOADS,
    ApiError,
    Cluster,
)
from ..diagnosis import Evidence, Finding, Part, ResourceEvidence, diagnose
from ..injection import Facts
from ..names import GROUP, PLURAL
from ..operator_service import HEARTBEAT
from ..rendering import WEBHOOK_CONFIGURATION, render
from ..rendering.credentials import credential_files, destinations
from ..resource import SpecProblem, TelemetryResource
from ..settings import OperatorSettings
from ..state.matching import Match, match
from ..state.workload import Pod, Workload
from .options import DEFAULT_IMAGE

__all__ = ["add_arguments", "run"]

_OK, _FAILED = 0, 1
_MARKS = {"ok": "ok   ", "note": "note ", "wrong": "WRONG"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Of the command."""
    defaults = OperatorSettings(image="")
    parser.add_argument("-n", "--namespace", metavar="NS", help="look at this namespace (default: at all)")
    parser.add_argument("--context", metavar="NAME", help="of the kubeconfig")
    parser.add_argument("--kubeconfig", metavar="FILE")
    parser.add_argument("--operator-namespace", default=defaults.own_namespace, metavar="NS", help="(%(default)s)")
    parser.add_argument("--injector-service", default=defaults.injector_service, metavar="NAME", help="(%(default)s)")
    parser.add_argument("--certificate-secret", default=defaults.certificate_secret, metavar="NAME", help="(%(default)s)")


def run(options: argparse.Namespace) -> int:
    """Prints what it finds; 1 if anything is wrong."""
    findings = list(diagnose(asyncio.run(_look(options))))
    for finding in findings:
        _print(finding)
    wrong = sum(finding.level == "wrong" for finding in findings)
    print(f"\n{wrong or 'Nothing'} {'is' if wrong < 2 else 'are'} wrong.")  # noqa: T201
    return _FAILED if wrong else _OK


def _print(finding: Finding) -> None:
    print(f"{_MARKS[finding.level]} {finding.text}")  # noqa: T201
    if finding.fix and finding.level != "ok":
        print(f"      -> {finding.fix}")  # noqa: T201


async def _look(options: argparse.Namespace) -> Evidence:
    evidence = Evidence(datetime.now(UTC), namespace=options.namespace)
    try:
        cluster = await Cluster.connect(kubeconfig=options.kubeconfig, context=options.context)
    except ApiError as error:
        evidence.server_problem = str(error)
        return evidence
    async with cluster:
        try:
            evidence.server = await cluster.version()
        except ApiError as error:
            evidence.server_problem = str(error)
            return evidence
        hidden = evidence.hidden
        with _may_be_hidden(hidden, "definition"):
            evidence.definition = await cluster.get(DEFINITIONS, None, f"{PLURAL}.{GROUP}")
        with _may_be_hidden(hidden, "resources"):
            evidence.resources = await _resources(cluster, options.namespace)
        with _may_be_hidden(hidden, "heartbeat"), contextlib.suppress(KeyError, ValueError, TypeError):
            beat = await cluster.get(CONFIG_MAPS, options.operator_namespace, HEARTBEAT)
            evidence.heartbeat = None if beat is None else datetime.fromisoformat(beat["data"]["at"])
        with _may_be_hidden(hidden, "webhook"):
            evidence.webhook = await cluster.get(WEBHOOK_CONFIGURATIONS, None, WEBHOOK_CONFIGURATION)
        with _may_be_hidden(hidden, "certificate"), contextlib.suppress(KeyError, ValueError, TypeError):
            secret = await cluster.get(SECRETS, options.operator_namespace, options.certificate_secret)
            if secret is not None:
                evidence.certificate_end = read_not_after(base64.b64decode(secret["data"]["tls.crt"]))
        with contextlib.suppress(ApiError):
            evidence.endpoints = await _endpoints(cluster, options, evidence)
    return evidence


@contextlib.contextmanager
def _may_be_hidden(hidden: dict[Part, str], part: Part) -> Iterator[None]:
    """Notes what the API server does not let the user look at."""
    try:
        yield
    except ApiError as error:
        hidden[part] = str(error)


async def _endpoints(cluster: Cluster, options: argparse.Namespace, evidence: Evidence) -> int | None:
    entries = (evidence.webhook or {}).get("webhooks") or []
    if not any("service" in entry["clientConfig"] for entry in entries):
        return None
    slices = await cluster.all(
        ENDPOINT_SLICES, options.operator_namespace, label_selector=f"kubernetes.io/service-name={options.injector_service}"
    )
    return sum(
        (endpoint.get("conditions") or {}).get("ready") is not False for one in slices for endpoint in one.get("endpoints") or ()
    )


async def _resources(cluster: Cluster, namespace: str | None) -> list[ResourceEvidence]:
    found = [TelemetryResource.of_body(body) for body in await cluster.all(TELEMETRIES, namespace)]
    found.sort(key=lambda resource: (resource.namespace, *resource.precedence))
    evidence: list[ResourceEvidence] = []
    seen: set[str] = set()
    for resource in found:
        in_charge = resource.namespace not in seen
        seen.add(resource.namespace)
        hidden: dict[Part, str] = {}
        matches: Sequence[Match] = ()
        with _may_be_hidden(hidden, "workloads"):
            matches = await _matches(cluster, resource) if in_charge else ()
        missing = await _missing(cluster, resource) if in_charge else ()
        evidence.append(ResourceEvidence(resource, in_charge, matches, missing, hidden))
    return evidence


async def _matches(cluster: Cluster, resource: TelemetryResource) -> Sequence[Match]:
    try:
        rendering = render(resource)
    except SpecProblem:
        return ()
    pods = [Pod.of_body(body) for body in await cluster.all(PODS, resource.namespace)]
    workloads = [
        Workload.of_body(kind, body) for kind, where in WORKLOADS.items() for body in await cluster.all(where, resource.namespace)
    ]
    return match(resource, rendering, workloads, pods, Facts(DEFAULT_IMAGE))


async def _missing(cluster: Cluster, resource: TelemetryResource) -> Sequence[str]:
    """Only whether they are there; nothing of a Secret is shown."""
    missing: list[str] = []
    try:
        spec = resource.spec()
    except SpecProblem:
        return ()
    wanted = {
        (file.kind, file.object_name, file.key)
        for folder, destination in destinations(spec)
        for file in credential_files(folder, destination).values()
    }
    for kind, name, key in sorted(wanted):
        with contextlib.suppress(ApiError):
            body = await cluster.get(SECRETS if kind == "secret" else CONFIG_MAPS, resource.namespace, name)
            word = "Secret" if kind == "secret" else "ConfigMap"
            if body is None:
                missing.append(f"{word} {name}")
            elif key not in (body.get("data") or {}):
                missing.append(f"key {key} of {word} {name}")
    return missing
