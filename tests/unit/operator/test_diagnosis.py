"""The diagnosis as a table: each thing that is wrong is found, with a fix, and nothing else is."""

import dataclasses
import datetime
from collections.abc import Callable
from typing import Any

import pytest

from haproxy_telemetry_operator.diagnosis import Evidence, Finding, ResourceEvidence, diagnose
from haproxy_telemetry_operator.names import ANNOTATION_INJECTED
from haproxy_telemetry_operator.state.matching import Match
from haproxy_telemetry_operator.state.workload import Pod, Workload
from haproxy_telemetry_operator.targets import Recognition
from support.cluster_objects import NAMESPACE, PODS, deployment, telemetry

NOW = datetime.datetime(2026, 11, 24, 12, tzinfo=datetime.UTC)
MINUTE = datetime.timedelta(minutes=1)
DAY = datetime.timedelta(days=1)


def pod(name: str, *, injected: bool = True, **metadata: Any) -> Pod:
    annotations = {ANNOTATION_INJECTED: "edge"} if injected else {}
    return Pod.of_body({"metadata": {"name": name, "namespace": NAMESPACE, "annotations": annotations, **metadata}})


def found_match(*pods: Pod, problem: str | None = None) -> Match:
    workload = Workload.of_body("Deployment", deployment(PODS["plain-file"]))
    return Match(workload, pods, None if problem else Recognition("Plain", ("haproxy",)), problem)


def condition(status: str, reason: str, kind: str = "Exporting") -> dict[str, str]:
    return {"type": kind, "status": status, "reason": reason, "message": "In its own words."}


def found_resource(spec: Any = None, *, conditions: Any = None, observed: int = 1, **metadata: Any) -> ResourceEvidence:
    status = {"observedGeneration": observed, "conditions": conditions or [condition("True", "Exporting")]}
    resource = dataclasses.replace(telemetry(spec, **metadata), status=status)
    return ResourceEvidence(resource, in_charge=True, matches=[found_match(pod("a"), pod("b"))])


def good(**changes: Any) -> Evidence:
    evidence = Evidence(
        NOW,
        server="v1.36.4",
        definition={"spec": {"versions": [{"name": "v1alpha1", "served": True}]}},
        heartbeat=NOW - MINUTE,
        webhook={"webhooks": [{"name": "edge.shop.haproxy-telemetry.io", "clientConfig": {"caBundle": "QQ=="}}]},
        endpoints=2,
        certificate_end=NOW + 60 * DAY,
        resources=[found_resource()],
    )
    return dataclasses.replace(evidence, **changes)


def of_resource(found: ResourceEvidence) -> Evidence:
    return good(resources=[found])


def changed(**changes: Any) -> Evidence:
    return of_resource(dataclasses.replace(found_resource(), **changes))


def findings(evidence: Evidence, *levels: str) -> list[Finding]:
    return [finding for finding in diagnose(evidence) if finding.level in (levels or ("note", "wrong"))]


def test_all_is_well() -> None:
    assert findings(good()) == []
    assert [finding.text for finding in diagnose(good())] == [
        "The API server answers: Kubernetes v1.36.4.",
        "The CustomResourceDefinition haproxytelemetries.haproxy-telemetry.io is there, with v1alpha1.",
        "The operator is alive.",
        "The webhook's configuration is there, and its certificate is good.",
        "Injectors that are ready: 2.",
        "shop/edge: Deployment web (Plain): all 2 pods have the agent in them.",
        "shop/edge: Exporting: Exporting: In its own words.",
    ]


WRONG: list[tuple[Callable[[], Evidence], str]] = [
    (lambda: good(server=None, server_problem="timed out"), "The API server does not answer: timed out"),
    (lambda: good(definition=None), "The CustomResourceDefinition haproxytelemetries.haproxy-telemetry.io is not there."),
    (
        lambda: good(definition={"spec": {"versions": [{"name": "v1", "served": True}, {"name": "v1alpha1", "served": False}]}}),
        "serves v1, not v1alpha1.",
    ),
    (lambda: good(heartbeat=None), "No operator has ever left a sign of life."),
    (lambda: good(heartbeat=NOW - 4 * MINUTE), "The operator's last sign of life is 4 min old."),
    (lambda: good(resources=[]), "There is no HAProxyTelemetry in the cluster."),
    (lambda: good(resources=[], namespace="shop"), "There is no HAProxyTelemetry in namespace shop."),
    (lambda: good(resources=[], hidden={"resources": "forbidden"}), "No HAProxyTelemetry can be listed: forbidden"),
    (lambda: good(webhook=None), "There is no MutatingWebhookConfiguration haproxy-telemetry."),
    (
        lambda: good(webhook={"webhooks": [{"name": "edge.shop.haproxy-telemetry.io", "clientConfig": {}}]}),
        "The webhook's configuration has no CA bundle.",
    ),
    (lambda: good(webhook={"webhooks": []}), "The webhook's configuration has no entry edge.shop.haproxy-telemetry.io."),
    (lambda: good(certificate_end=NOW), "The injector's certificate has ended."),
    (lambda: good(certificate_end=None), "The injector's Secret has no certificate that can be read."),
    (lambda: good(endpoints=0), "No injector is ready: new pods start without the agent."),
    (lambda: changed(in_charge=False), "shop/edge is not in charge: an older one of its namespace is."),
    (lambda: of_resource(found_resource({"target": {"type": "Apache"}})), "shop/edge: spec.target.type"),
    (lambda: changed(missing=["Secret token"]), "shop/edge refers to Secret token, which is not there."),
    (lambda: changed(matches=[]), "shop/edge means no workload: with no selector there is none with an HAProxy."),
    (
        lambda: of_resource(dataclasses.replace(found_resource({"target": {"selector": {"matchLabels": {"a": "b"}}}}), matches=[])),
        "shop/edge means no workload: with its selector there is none with an HAProxy.",
    ),
    (lambda: changed(matches=[found_match(problem="Deployment web: no.")]), "shop/edge: Deployment web: no."),
    (
        lambda: changed(matches=[found_match(pod("a"), pod("b", injected=False))]),
        "shop/edge: Deployment web (Plain): 1 of 2 pods have the agent in them.",
    ),
    (
        lambda: changed(resource=dataclasses.replace(found_resource().resource, status={})),
        "shop/edge has no status: no operator has looked at it.",
    ),
    *(
        (
            lambda status=status, reason=reason: of_resource(found_resource(conditions=[condition(status, reason)])),  # type: ignore[misc]
            f"shop/edge: Exporting: {reason}: In its own words.",
        )
        for status, reason in (
            ("False", "InvalidSpec"),
            ("False", "Conflicted"),
            ("False", "SnippetsDisabled"),
            ("False", "ConfigMapNotFound"),
            ("False", "ConfigMapElsewhere"),
            ("False", "MarkersDamaged"),
            ("False", "Contended"),
            ("False", "ContendedByFieldManager"),
            ("False", "RolloutStalled"),
            ("False", "RestartNeeded"),
            ("False", "PodsNotInjected"),
            ("False", "InjectorUnavailable"),
            ("False", "NoPodsFound"),
            ("False", "UnsupportedTarget"),
            ("False", "NoSpoeConnection"),
            ("Unknown", "AgentsNotReachable"),
            ("False", "ExportFailing"),
        )
    ),
]


@pytest.mark.parametrize(("make", "text"), WRONG, ids=[text for _, text in WRONG])
def test_what_is_wrong(make: Callable[[], Evidence], text: str) -> None:
    (finding,) = findings(make())
    assert finding.level == "wrong"
    assert text in finding.text
    assert finding.fix, "each has a fix"


NOTES: list[tuple[Callable[[], Evidence], str]] = [
    (lambda: good(definition=None, hidden={"definition": "forbidden"}), "can't be looked at: forbidden"),
    (lambda: good(heartbeat=None, hidden={"heartbeat": "forbidden"}), "The operator's sign of life can't be looked at"),
    (lambda: good(webhook=None, hidden={"webhook": "forbidden"}), "The webhook's configuration can't be looked at"),
    (lambda: good(certificate_end=None, hidden={"certificate": "forbidden"}), "The injector's certificate can't be looked at"),
    (lambda: good(certificate_end=NOW + 6 * DAY), "The injector's certificate ends at 2026-11-30 12:00 UTC."),
    (lambda: changed(matches=[], hidden={"workloads": "no"}), "shop/edge: its workloads and pods can't be looked at: no"),
    (lambda: of_resource(found_resource({"suspend": True})), "shop/edge is suspended."),
    (lambda: of_resource(found_resource({"target": {"type": "Manual"}})), "shop/edge is for `haproxy-telemetry-operator render`"),
    (lambda: of_resource(found_resource(deletionTimestamp="2026-11-24T11:59:00Z")), "shop/edge is being deleted"),
    (lambda: of_resource(found_resource(observed=0)), "shop/edge: the operator has not seen the last change yet."),
    *(
        (
            lambda status=status, reason=reason: of_resource(found_resource(conditions=[condition(status, reason)])),  # type: ignore[misc]
            f"shop/edge: Exporting: {reason}: In its own words.",
        )
        for status, reason in (("Unknown", "NoSpansYet"), ("Unknown", "NoPods"), ("False", "RollingOut"))
    ),
]


@pytest.mark.parametrize(("make", "text"), NOTES, ids=[text for _, text in NOTES])
def test_what_is_worth_a_note(make: Callable[[], Evidence], text: str) -> None:
    (finding,) = findings(make())
    assert finding.level == "note"
    assert text in finding.text


@pytest.mark.parametrize("spec", [{"suspend": True}, {"target": {"type": "Manual"}}])
def test_where_nothing_is_injected_no_webhook_is_missed(spec: Any) -> None:
    evidence = dataclasses.replace(of_resource(found_resource(spec)), webhook=None, certificate_end=None, endpoints=None)
    assert findings(evidence, "wrong") == []


@pytest.mark.parametrize("endpoints", [None, 1])
def test_an_injector_outside_of_the_cluster_has_no_endpoints(endpoints: int | None) -> None:
    assert findings(good(endpoints=endpoints)) == []


def test_pods_that_end_and_the_condition_ready_say_nothing_of_their_own() -> None:
    ending = pod("old", injected=False, deletionTimestamp="2026-11-24T11:59:00Z")
    assert findings(changed(matches=[found_match(pod("a"), ending)])) == []
    conditions = [condition("False", "ExportFailing", "Ready"), condition("True", "Exporting")]
    assert findings(of_resource(found_resource(conditions=conditions))) == []


def test_what_follows_from_something_else_is_not_said_again() -> None:
    assert len(list(diagnose(good(server=None)))) == 1
    assert len(list(diagnose(good(definition=None)))) == 2
    assert [finding.level for finding in diagnose(good(resources=[]))] == ["ok", "ok", "ok", "wrong"]
