"""The diagnosis: what is wrong with an installation, step by step, each with its fix. Pure: evidence in, findings out.

The steps are in the order in which things depend on each other; behind one that fails, what follows from it is not said again.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, NamedTuple

from .names import GROUP, KIND, PLURAL, VERSION
from .rendering import render
from .resource import SpecProblem, TelemetryResource
from .resource.spec import Spec
from .state.matching import Match

__all__ = ["Evidence", "Finding", "Part", "ResourceEvidence", "diagnose"]

Level = Literal["ok", "note", "wrong"]
Part = Literal["definition", "resources", "heartbeat", "webhook", "certificate", "workloads"]
"""What a user may have no right to look at."""
_OLD_HEARTBEAT = timedelta(minutes=3)
_SOON = timedelta(days=7)
_UNDER_WAY = frozenset(("NoPods", "NoSpansYet", "RollingOut", "Suspended"))
"""Conditions that are not true, and nothing is wrong."""
_RIGHTS = "Ask somebody with more rights to run this."
_FIXES = {
    "InvalidSpec": "kubectl edit it: the message names the field.",
    "ConfigMapElsewhere": "Have the controller read a ConfigMap of its own namespace (--configmap).",
    "Contended": "Something writes that ConfigMap all the time: find out what, by its metadata.managedFields.",
    "MarkersDamaged": "Edit that ConfigMap; the operator puts its lines in again.",
    "SnippetsDisabled": "Drop `frontend` (or `all`) from the controller's --disable-config-snippets.",
    "ConfigMapNotFound": "kubectl create configmap in that namespace, by the name that the controller is started with.",
    "ContendedByFieldManager": "Have GitOps ignore that key, or set spec.injection.configStrategy: Shadow.",
    "RolloutStalled": "kubectl describe the pods that do not get ready. Mend the resource, or set spec.suspend: true.",
    "PodsNotInjected": "Look at the injector's log: does the API server reach it (its port, 9443, through firewalls)?",
    "InjectorUnavailable": "Look at the operator's and the injector's pods.",
    "RestartNeeded": "kubectl rollout restart the workloads, or set spec.injection.rollout: Automatic.",
    "UnsupportedTarget": "Do what the message says, or set spec.target.type: Manual and see `haproxy-telemetry-operator render`.",
    "NoPodsFound": "Look at spec.target.selector; it selects pods by their labels, and HAProxy is known by its image.",
    "NoSpoeConnection": "kubectl logs the HAProxy container: has it read our lines? `mode http` frontends only are traced by SPOE.",
    "AgentsNotReachable": "kubectl logs the container haproxy-telemetry: does the agent run? Is its port open to the operator?",
    "ExportFailing": "kubectl logs the container haproxy-telemetry: it has the collector's words. Check spec.exporter.",
    "Conflicted": "Delete one of the two, or move it to another namespace.",
}


class Finding(NamedTuple):
    """One thing that was looked at."""

    level: Level
    text: str
    fix: str = ""


@dataclass
class ResourceEvidence:
    """What was found of one resource."""

    resource: TelemetryResource
    in_charge: bool
    matches: Sequence[Match] = ()
    missing: Sequence[str] = ()
    """Secrets and ConfigMaps that it refers to and that are not there."""
    hidden: Mapping[Part, str] = field(default_factory=dict)
    """What could not be looked at, and the API server's words."""

    @property
    def wants_injection(self) -> bool:
        """Whether the operator has anything to do for it."""
        if not self.in_charge or self.resource.deleting:
            return False
        try:
            spec = self.resource.spec()
        except SpecProblem:
            return False
        return not spec.suspend and spec.target.type != "Manual"


@dataclass
class Evidence:
    """What was found."""

    now: datetime
    server: str | None = None
    """The API server's version; None: it did not answer."""
    server_problem: str = ""
    definition: Mapping[str, Any] | None = None
    heartbeat: datetime | None = None
    webhook: Mapping[str, Any] | None = None
    endpoints: int | None = None
    """Ready addresses of the injector's Service; None: it could not be told."""
    certificate_end: datetime | None = None
    resources: Sequence[ResourceEvidence] = field(default_factory=list)
    namespace: str | None = None
    hidden: dict[Part, str] = field(default_factory=dict)
    """What could not be looked at, and the API server's words. It is not said to be wrong."""


def diagnose(evidence: Evidence) -> Iterator[Finding]:
    """All findings, in their order."""
    if evidence.server is None:
        yield Finding("wrong", f"The API server does not answer: {evidence.server_problem}", "Check KUBECONFIG and --context.")
        return
    yield Finding("ok", f"The API server answers: Kubernetes {evidence.server}.")
    definition = _definition(evidence)
    yield definition
    if definition.level == "wrong":
        return
    yield _operator(evidence)
    if "resources" in evidence.hidden:
        yield Finding(
            "wrong", f"No {KIND} can be listed: {evidence.hidden['resources']}", f"Name a namespace of yours (-n). {_RIGHTS}"
        )
        return
    if not evidence.resources:
        where = f"namespace {evidence.namespace}" if evidence.namespace else "the cluster"
        yield Finding("wrong", f"There is no {KIND} in {where}.", "Create one: it needs no more than spec.exporter.endpoint.")
        return
    if any(found.wants_injection for found in evidence.resources):
        yield from _webhook(evidence)
    for found in evidence.resources:
        yield from _resource(evidence, found)


def _definition(evidence: Evidence) -> Finding:
    name = f"CustomResourceDefinition {PLURAL}.{GROUP}"
    if "definition" in evidence.hidden:
        return _hidden(f"The {name}", evidence.hidden["definition"])
    if evidence.definition is None:
        return Finding("wrong", f"The {name} is not there.", "haproxy-telemetry-operator crd | kubectl apply --server-side -f -")
    versions = [entry["name"] for entry in evidence.definition["spec"]["versions"] if entry.get("served")]
    if VERSION not in versions:
        return Finding("wrong", f"The {name} serves {', '.join(versions)}, not {VERSION}.", "Apply the one of this version.")
    return Finding("ok", f"The {name} is there, with {VERSION}.")


def _operator(evidence: Evidence) -> Finding:
    if "heartbeat" in evidence.hidden:
        return _hidden("The operator's sign of life", evidence.hidden["heartbeat"])
    if evidence.heartbeat is None:
        return Finding(
            "wrong", "No operator has ever left a sign of life.", "Is it installed? `helm list -A`; see --operator-namespace."
        )
    age = evidence.now - evidence.heartbeat
    if age > _OLD_HEARTBEAT:
        return Finding(
            "wrong",
            f"The operator's last sign of life is {int(age.total_seconds() // 60)} min old.",
            "Look at its pod and its log.",
        )
    return Finding("ok", "The operator is alive.")


def _webhook(evidence: Evidence) -> Iterator[Finding]:
    webhook = evidence.webhook
    if "webhook" in evidence.hidden:
        yield _hidden("The webhook's configuration", evidence.hidden["webhook"])
        return
    if webhook is None:
        yield Finding(
            "wrong", "There is no MutatingWebhookConfiguration haproxy-telemetry.", "The operator makes it: look at its log."
        )
        return
    entries = webhook.get("webhooks") or []
    if any(not entry["clientConfig"].get("caBundle") for entry in entries):
        yield Finding("wrong", "The webhook's configuration has no CA bundle.", "The operator writes it: look at its log.")
    elif "certificate" in evidence.hidden:
        yield Finding("ok", "The webhook's configuration is there.")
        yield _hidden("The injector's certificate", evidence.hidden["certificate"])
    elif evidence.certificate_end is None:
        yield Finding(
            "wrong",
            "The injector's Secret has no certificate that can be read.",
            "Look at the operator's log, and at --operator-namespace and --certificate-secret.",
        )
    elif evidence.certificate_end <= evidence.now:
        yield Finding("wrong", "The injector's certificate has ended.", "Delete its Secret: the operator makes another one.")
    elif evidence.certificate_end - evidence.now < _SOON:
        yield Finding(
            "note", f"The injector's certificate ends at {evidence.certificate_end:%Y-%m-%d %H:%M} UTC.", "Is it being renewed?"
        )
    else:
        yield Finding("ok", "The webhook's configuration is there, and its certificate is good.")
    if evidence.endpoints == 0:
        yield Finding("wrong", "No injector is ready: new pods start without the agent.", "Look at the injector's pods.")
    elif evidence.endpoints:
        yield Finding("ok", f"Injectors that are ready: {evidence.endpoints}.")


def _resource(evidence: Evidence, found: ResourceEvidence) -> Iterator[Finding]:
    resource = found.resource
    name = f"{resource.namespace}/{resource.name}"
    if not found.in_charge:
        yield Finding("wrong", f"{name} is not in charge: an older one of its namespace is.", _FIXES["Conflicted"])
        return
    if resource.deleting:
        yield Finding("note", f"{name} is being deleted: the agent is taken out of its pods.")
        yield from _conditions(name, resource)
        return
    try:
        spec = render(resource).spec
    except SpecProblem as problem:
        yield Finding("wrong", f"{name}: {problem}", "kubectl edit it.")
        return
    if spec.suspend:
        yield Finding("note", f"{name} is suspended.", "Set spec.suspend: false.")
        return
    if spec.target.type == "Manual":
        yield Finding("note", f"{name} is for `haproxy-telemetry-operator render` only: nothing is injected.")
        return
    for missing in found.missing:
        yield Finding(
            "wrong", f"{name} refers to {missing}, which is not there.", "Create it: the agent reads it within a minute or two."
        )
    yield from _matches(name, spec, found)
    yield from _entry(evidence, found)
    yield from _conditions(name, resource)


def _matches(name: str, spec: Spec, found: ResourceEvidence) -> Iterator[Finding]:
    if "workloads" in found.hidden:
        yield _hidden(f"{name}: its workloads and pods", found.hidden["workloads"])
        return
    if not found.matches:
        selector = "no selector" if spec.target.selector is None else "its selector"
        yield Finding("wrong", f"{name} means no workload: with {selector} there is none with an HAProxy.", _FIXES["NoPodsFound"])
    for match in found.matches:
        if match.problem is not None:
            yield Finding("wrong", f"{name}: {match.problem}", _FIXES["UnsupportedTarget"])
            continue
        living = [pod for pod in match.pods if not pod.ending]
        injected = sum(pod.injected is not None for pod in living)
        workload = f"{match.workload.kind} {match.workload.name}"
        kind = "" if match.recognition is None else f" ({match.recognition.kind})"
        if injected < len(living):
            yield Finding(
                "wrong",
                f"{name}: {workload}{kind}: {injected} of {len(living)} pods have the agent in them.",
                f"kubectl -n {found.resource.namespace} rollout restart {match.workload.kind.lower()}/{match.workload.name}",
            )
        else:
            yield Finding("ok", f"{name}: {workload}{kind}: all {len(living)} pods have the agent in them.")


def _entry(evidence: Evidence, found: ResourceEvidence) -> Iterator[Finding]:
    wanted = f"{found.resource.name}.{found.resource.namespace}.{GROUP}"
    names = [entry["name"] for entry in (evidence.webhook or {}).get("webhooks") or ()]
    if evidence.webhook is not None and wanted not in names:
        yield Finding("wrong", f"The webhook's configuration has no entry {wanted}.", "The operator writes it: look at its log.")


def _conditions(name: str, resource: TelemetryResource) -> Iterator[Finding]:
    conditions = [entry for entry in resource.status.get("conditions") or () if entry["type"] != "Ready"]
    if not conditions:
        yield Finding("wrong", f"{name} has no status: no operator has looked at it.", "Does the operator watch this namespace?")
    elif resource.status.get("observedGeneration") != resource.generation:
        yield Finding("note", f"{name}: the operator has not seen the last change yet.")
    for entry in conditions:
        text = f"{name}: {entry['type']}: {entry['reason']}: {entry['message']}"
        if entry["status"] == "True":
            yield Finding("ok", text)
        elif entry["reason"] in _UNDER_WAY:
            yield Finding("note", text, "Send a request through HAProxy." if entry["reason"] == "NoSpansYet" else "")
        else:
            yield Finding("wrong", text, _FIXES.get(entry["reason"], ""))


def _hidden(what: str, problem: str) -> Finding:
    return Finding("note", f"{what} can't be looked at: {problem}", _RIGHTS)
