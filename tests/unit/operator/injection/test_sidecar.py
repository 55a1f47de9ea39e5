"""The sidecar: where it is placed, what it reads, and who it says it is."""

import copy
from typing import Any

import pytest

from haproxy_telemetry_operator.injection import Facts, mutate
from haproxy_telemetry_operator.injection.sidecar import SIDECAR, transport_of
from support.cluster_objects import FACTS, NAMESPACE, PODS, owned_pod, telemetry


def injected(pod: Any, spec: Any = None, facts: Facts = FACTS) -> dict[str, Any]:
    mutation = mutate(pod, namespace=NAMESPACE, resource=telemetry(spec), facts=facts)
    assert mutation.pod is not None, mutation
    return mutation.pod


def sidecar(pod: Any, spec: Any = None, facts: Facts = FACTS) -> dict[str, Any]:
    found = injected(pod, spec, facts)["spec"]
    return next(entry for entry in [*(found.get("initContainers") or ()), *found["containers"]] if entry["name"] == SIDECAR)


def variables(container: Any) -> dict[str, Any]:
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in container["env"]}


@pytest.mark.parametrize(
    ("wanted", "known", "native"),
    [("Auto", True, True), ("Auto", False, False), ("Enabled", False, True), ("Disabled", True, False)],
)
def test_native_or_not(wanted: str, known: bool, native: bool) -> None:
    pod = injected(
        PODS["haproxy-ingress-external"], {"injection": {"nativeSidecar": wanted}}, Facts("agent:1", native_sidecar=known)
    )
    names = [entry["name"] for entry in pod["spec"]["initContainers"]]
    assert names == ([SIDECAR, "init"] if native else ["init"])
    container = pod["spec"]["initContainers"][0] if native else pod["spec"]["containers"][-1]
    assert container["name"] == SIDECAR
    assert container.get("restartPolicy") == ("Always" if native else None)
    assert ("lifecycle" in container) is not native


@pytest.mark.parametrize(("grace", "seconds"), [(60, 20), (25, 20), (12, 7), (5, None), (0, None)])
def test_a_plain_sidecar_outlasts_haproxys_first_seconds_and_never_the_pod(grace: int, seconds: int | None) -> None:
    pod = copy.deepcopy(dict(PODS["haproxy-ingress"]))
    pod["spec"]["terminationGracePeriodSeconds"] = grace
    lifecycle = sidecar(pod, {"injection": {"nativeSidecar": "Disabled"}}).get("lifecycle")
    if seconds is None:
        assert lifecycle is None
    else:
        assert lifecycle["preStop"]["exec"]["command"][-1].endswith(f"sleep({seconds})")


@pytest.mark.parametrize(
    ("transport", "host_network", "expected"),
    [("Auto", False, "TCP"), ("Auto", True, "Unix"), ("TCP", True, "TCP"), ("Unix", False, "Unix")],
)
def test_transports(transport: str, host_network: bool, expected: str) -> None:
    assert transport_of(telemetry({"injection": {"transport": transport}}).spec(), {"hostNetwork": host_network}) == expected


def test_on_the_nodes_network_a_socket_and_no_port() -> None:
    pod = injected(PODS["kubernetes-ingress-host-network"])
    agent, haproxy = pod["spec"]["initContainers"][0], pod["spec"]["containers"][0]
    assert "ports" not in agent
    assert agent["args"][-1].endswith("/agent-unix.yaml")
    mount = {"name": "haproxy-telemetry-run", "mountPath": "/run/haproxy-telemetry"}
    assert mount in agent["volumeMounts"]
    assert mount in haproxy["volumeMounts"]
    assert any(entry.get("subPath") == "haproxy-aux-unix.cfg" for entry in haproxy["volumeMounts"])


def test_every_container_of_haproxys_has_the_guard_from_the_payload() -> None:
    pod = injected(PODS["haproxy-ingress-external"])
    reference = {"configMapKeyRef": {"name": "haproxy-telemetry-edge", "key": "enabled", "optional": True}}
    assert [variables(container)["HAPROXY_TELEMETRY"] for container in pod["spec"]["containers"]] == [reference, reference]


def test_http_port() -> None:
    container = sidecar(PODS["plain-file"], {"injection": {"httpPort": 9999}})
    assert container["ports"] == [{"name": "ht-metrics", "containerPort": 9999, "protocol": "TCP"}]


def with_metadata(annotations: dict[str, str], labels: dict[str, str]) -> dict[str, Any]:
    pod = copy.deepcopy(dict(PODS["plain-file"]))
    pod["metadata"]["annotations"] = annotations
    pod["metadata"]["labels"] |= labels
    return pod


ANNOTATION = {"resource.opentelemetry.io/service.name": "annotated"}
INSTANCE, NAME = {"app.kubernetes.io/instance": "instance"}, {"app.kubernetes.io/name": "name"}


@pytest.mark.parametrize(
    ("annotations", "labels", "name"),
    [
        (ANNOTATION, INSTANCE | NAME, "annotated"),
        ({}, INSTANCE | NAME, "instance"),
        ({}, {"app.kubernetes.io/instance": ""} | NAME, "name"),
        ({}, {}, "web"),
    ],
)
def test_the_service_is_named_in_opentelemetrys_order(annotations: Any, labels: Any, name: str) -> None:
    """https://opentelemetry.io/docs/specs/semconv/non-normative/k8s-attributes/"""
    assert variables(sidecar(with_metadata(annotations, labels)))["OTEL_SERVICE_NAME"] == name


def test_the_resources_own_service_name_wins() -> None:
    assert "OTEL_SERVICE_NAME" not in variables(sidecar(with_metadata(ANNOTATION, INSTANCE), {"resource": {"serviceName": "mine"}}))


@pytest.mark.parametrize(
    ("pod", "owner"),
    [
        (PODS["plain-file"], {"k8s.deployment.name": "web", "k8s.replicaset.name": "web-6d4cf56db6"}),
        (owned_pod("ReplicaSet", "bare"), {"k8s.replicaset.name": "bare"}),
        (owned_pod("DaemonSet", "edge"), {"k8s.daemonset.name": "edge"}),
        (owned_pod("StatefulSet", "edge"), {"k8s.statefulset.name": "edge"}),
    ],
)
def test_resource_attributes_are_haproxys(pod: Any, owner: dict[str, str]) -> None:
    container = sidecar(pod)
    attributes = dict(item.split("=", 1) for item in variables(container)["OTEL_RESOURCE_ATTRIBUTES"].split(","))
    assert attributes == {
        "k8s.namespace.name": "shop",
        "k8s.pod.name": "$(POD_NAME)",
        "k8s.pod.uid": "$(POD_UID)",
        "k8s.node.name": "$(NODE_NAME)",
        "k8s.container.name": "haproxy",
        "service.namespace": "shop",
        "service.instance.id": "shop.$(POD_NAME).haproxy",
        "service.version": "3.2.4",
        **owner,
    }
    names = [entry["name"] for entry in container["env"]]
    assert names.index("OTEL_RESOURCE_ATTRIBUTES") > max(names.index(name) for name in ("POD_NAME", "POD_UID", "NODE_NAME"))


def test_without_a_version_in_the_images_tag_there_is_none() -> None:
    assert "service.version" not in variables(sidecar(PODS["plain-image"]))["OTEL_RESOURCE_ATTRIBUTES"]


def test_variables_of_the_user_come_last_and_may_be_missing() -> None:
    env = [
        {"name": "A", "value": "1"},
        {"name": "B", "valueFrom": {"configMapKeyRef": {"name": "m", "key": "k"}}},
        {"name": "C", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k", "optional": False}}},
    ]
    given = sidecar(PODS["plain-file"], {"sidecar": {"env": env}})["env"][-3:]
    assert given[0] == env[0]
    assert given[1]["valueFrom"]["configMapKeyRef"] == {"name": "m", "key": "k", "optional": True}
    assert given[2] == env[2], "who wants a variable to be there may say so"
