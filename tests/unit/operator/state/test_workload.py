"""Workloads and pods."""

import copy
from typing import Any

import pytest

from haproxy_telemetry_operator.state.workload import Pod, Workload, selects
from support.cluster_objects import PODS, deployment, telemetry


def pod_body(**changes: Any) -> dict[str, Any]:
    body: dict[str, Any] = copy.deepcopy(dict(PODS["plain-file"]))
    body["metadata"] |= {"name": "web-6d4cf56db6-abcde", "uid": "u", "creationTimestamp": "2026-01-01T00:00:00Z"}
    body["metadata"]["annotations"] = {"haproxy-telemetry.io/injected": "edge", "haproxy-telemetry.io/config-hash": "h"}
    body["status"] = {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]} | changes
    return body


def test_a_pod() -> None:
    assert Pod.of_body(pod_body()) == Pod(
        "web-6d4cf56db6-abcde",
        "u",
        ("Deployment", "web"),
        PODS["plain-file"]["metadata"]["labels"],
        "edge",
        "h",
        ready=True,
        ending=False,
        ip="10.0.0.1",
        created="2026-01-01T00:00:00Z",
        waiting=None,
    )


@pytest.mark.parametrize(
    ("reference", "owner"),
    [
        ({"kind": "ReplicaSet", "name": "web-6d4cf56db6", "controller": True}, ("Deployment", "web")),
        ({"kind": "ReplicaSet", "name": "of-somebody-else", "controller": True}, None),
        ({"kind": "DaemonSet", "name": "edge", "controller": True}, ("DaemonSet", "edge")),
        ({"kind": "DaemonSet", "name": "edge"}, None),
    ],
)
def test_owners(reference: dict[str, Any], owner: tuple[str, str] | None) -> None:
    body = pod_body()
    body["metadata"]["ownerReferences"] = [reference]
    assert Pod.of_body(body).owner == owner


def test_a_pod_that_ends() -> None:
    assert Pod.of_body(pod_body(phase="Succeeded")).ending
    assert Pod.of_body(pod_body(phase="Failed")).ending
    body = pod_body()
    body["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    assert Pod.of_body(body).ending


@pytest.mark.parametrize(
    ("name", "reason", "waits"),
    [
        ("haproxy-telemetry", "ImagePullBackOff", True),
        ("haproxy-telemetry-config", "CreateContainerConfigError", True),
        ("haproxy-telemetry", "PodInitializing", False),
        ("haproxy", "ImagePullBackOff", False),
    ],
)
@pytest.mark.parametrize("where", ["initContainerStatuses", "containerStatuses"])
def test_what_a_container_of_ours_waits_for(where: str, name: str, reason: str, waits: bool) -> None:
    pod = Pod.of_body(pod_body(**{where: [{"name": name, "state": {"waiting": {"reason": reason, "message": "m"}}}]}))
    assert pod.waiting == (f"{name}: {reason}: m" if waits else None)


def test_a_deployment() -> None:
    workload = Workload.of_body("Deployment", deployment(PODS["plain-file"]))
    assert workload.key == ("Deployment", "web")
    assert workload.labels == {"app": "web"}
    assert (workload.replicas, workload.updated, workload.available, workload.current) == (2, 2, 2, 2)
    assert workload.settled
    assert (workload.paused, workload.on_delete, workload.stuck) == (False, False, False)
    assert (workload.restarted_for, workload.restarted_at, workload.attempts) == (None, None, 0)


@pytest.mark.parametrize(
    ("status", "settled"),
    [
        ({}, True),
        ({"observedGeneration": 2}, False),
        ({"updatedReplicas": 1}, False),
        ({"availableReplicas": 1}, False),
        ({"replicas": 3}, False),
    ],
)
def test_settled(status: dict[str, int], settled: bool) -> None:
    assert Workload.of_body("Deployment", deployment(PODS["plain-file"], **status)).settled is settled


def test_a_daemon_set() -> None:
    body = {
        "metadata": {"name": "edge", "generation": 1},
        "spec": {"updateStrategy": {"type": "OnDelete"}},
        "status": {
            "observedGeneration": 1,
            "desiredNumberScheduled": 3,
            "currentNumberScheduled": 3,
            "updatedNumberScheduled": 3,
            "numberAvailable": 3,
        },
    }
    workload = Workload.of_body("DaemonSet", body)
    assert (workload.replicas, workload.updated, workload.available, workload.current) == (3, 3, 3, 3)
    assert workload.settled
    assert workload.on_delete
    assert workload.labels == workload.annotations == {}


def test_stuck_is_what_its_controller_says_of_the_newest_template() -> None:
    conditions = [{"type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded"}]
    assert Workload.of_body("Deployment", deployment(PODS["plain-file"], conditions=conditions)).stuck
    assert not Workload.of_body("Deployment", deployment(PODS["plain-file"], conditions=conditions, observedGeneration=2)).stuck


@pytest.mark.parametrize(("text", "attempts"), [("3", 3), ("", 0), ("x", 0), ("-1", 0), ("²", 0)])
def test_attempts(text: str, attempts: int) -> None:
    body = deployment(PODS["plain-file"])
    body["spec"]["template"]["metadata"]["annotations"] = {"haproxy-telemetry.io/restarts": text}
    assert Workload.of_body("Deployment", body).attempts == attempts


LABELS = {"app": "web", "tier": "edge"}


@pytest.mark.parametrize(
    ("selector", "selected"),
    [
        (None, True),
        ({}, True),
        ({"matchLabels": {"app": "web"}}, True),
        ({"matchLabels": {"app": "web", "tier": "core"}}, False),
        ({"matchLabels": {"gone": ""}}, False),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["web", "x"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "In", "values": ["x"]}]}, False),
        ({"matchExpressions": [{"key": "gone", "operator": "In", "values": ["x"]}]}, False),
        ({"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["web"]}]}, False),
        ({"matchExpressions": [{"key": "gone", "operator": "NotIn", "values": ["web"]}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "Exists"}]}, True),
        ({"matchExpressions": [{"key": "gone", "operator": "Exists"}]}, False),
        ({"matchExpressions": [{"key": "gone", "operator": "DoesNotExist"}]}, True),
        ({"matchExpressions": [{"key": "app", "operator": "DoesNotExist"}]}, False),
        ({"matchLabels": {"app": "web"}, "matchExpressions": [{"key": "tier", "operator": "DoesNotExist"}]}, False),
    ],
)
def test_selectors(selector: dict[str, Any] | None, selected: bool) -> None:
    spec = telemetry({"target": {"selector": selector}} if selector is not None else {}).spec()
    assert selects(spec.target.selector, LABELS) is selected
    assert not selects(spec.target.selector, LABELS | {"haproxy-telemetry.io/inject": "false"})
