"""Matching."""

import copy
from typing import Any

from haproxy_telemetry_operator.rendering import render
from haproxy_telemetry_operator.state.matching import Match, match
from haproxy_telemetry_operator.state.workload import Pod, Workload
from support.cluster_objects import FACTS, PODS, deployment, pod_of, telemetry


def workload(pod: Any, name: str, kind: str = "Deployment", **labels: str) -> Workload:
    body = deployment(pod, name)
    body["spec"]["template"]["metadata"]["labels"] |= labels
    return Workload.of_body(kind, body)


def matches(workloads: list[Workload], pods: list[Pod] | None = None, spec: dict[str, Any] | None = None) -> list[Match]:
    resource = telemetry(spec)
    return match(resource, render(resource), workloads, pods or [], FACTS)


def test_what_has_no_haproxy_or_opted_out_is_not_meant() -> None:
    app, out = workload(pod_of({"name": "app", "image": "app:1"}), "app"), workload(PODS["plain-file"], "out")
    out.template["metadata"]["labels"]["haproxy-telemetry.io/inject"] = "false"
    assert matches([app, out]) == []


def test_the_selector() -> None:
    web, other = workload(PODS["plain-file"], "web"), workload(PODS["plain-file"], "other", app="other")
    found = matches([web, other], spec={"target": {"selector": {"matchLabels": {"app": "other"}}}})
    assert [entry.workload for entry in found] == [other]


def test_all_that_are_meant_by_kind_and_name_with_their_pods() -> None:
    daemons, b, a = (
        workload(PODS["kubernetes-ingress"], "z", "DaemonSet"),
        workload(PODS["plain-file"], "web"),
        workload(PODS["haproxy-ingress"], "a"),
    )
    body = copy.deepcopy(dict(PODS["plain-file"]))
    body["metadata"]["name"] = "web-6d4cf56db6-abcde"
    own = Pod.of_body(body)
    del body["metadata"]["ownerReferences"]
    found = matches([b, daemons, a], [own, Pod.of_body(body)])
    assert [entry.workload for entry in found] == [daemons, a, b]
    assert [list(entry.pods) for entry in found] == [[], [], [own]]
    assert [entry.problem for entry in found] == [None, None, None]
    assert [entry.recognition.kind for entry in found if entry.recognition] == ["KubernetesIngress", "HAProxyIngress", "Plain"]


def test_what_can_not_be_told_or_got_into_says_so_before_any_pod_is_restarted() -> None:
    two = workload(pod_of({"name": "a", "image": "haproxy:3"}, {"name": "b", "image": "haproxy:3"}), "two")
    root = workload(pod_of({"name": "a", "image": "haproxy:3", "args": ["-f", "/haproxy.cfg"]}), "root")
    found = {entry.workload.name: entry for entry in matches([two, root])}
    assert found["two"].recognition is None
    assert (found["two"].problem or "").startswith("Deployment two: HAProxy is in several containers (a, b)")
    assert found["root"].recognition is not None
    assert (found["root"].problem or "").startswith("Deployment root: HAProxy reads /haproxy.cfg")


def test_a_template_that_was_restarted_is_still_one_that_can_be_injected() -> None:
    restarted = workload(PODS["plain-file"], "web")
    restarted.template["metadata"]["annotations"] = {"haproxy-telemetry.io/config-hash": render(telemetry()).config_hash}
    assert [entry.problem for entry in matches([restarted])] == [None]
