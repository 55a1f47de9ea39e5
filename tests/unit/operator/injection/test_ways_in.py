"""Ways into ingress controllers."""

import copy
from typing import Any

import pytest

from haproxy_telemetry_operator.injection import Mutation, mutate
from support.cluster_objects import FACTS, NAMESPACE, PODS, pod_of, telemetry


def inject(pod: Any, spec: Any = None) -> Mutation:
    return mutate(pod, namespace=NAMESPACE, resource=telemetry(spec), facts=FACTS)


def mounts(mutation: Mutation, index: int = 0) -> dict[str, dict[str, Any]]:
    assert mutation.pod is not None, mutation
    return {entry["mountPath"]: entry for entry in mutation.pod["spec"]["containers"][index]["volumeMounts"]}


def arguments(mutation: Mutation) -> list[str]:
    assert mutation.pod is not None, mutation
    container = mutation.pod["spec"]["containers"][0]
    return [*container.get("command", ()), *container.get("args", ())]


def with_aux(volume: dict[str, Any], path: str = "/etc/haproxy/haproxy-aux.cfg", **mount: Any) -> dict[str, Any]:
    pod = copy.deepcopy(dict(PODS["kubernetes-ingress-aux"]))
    pod["spec"]["volumes"][1] = {"name": "aux", **volume}
    pod["spec"]["containers"][0]["volumeMounts"][1] = {"name": "aux", "mountPath": path, **mount}
    return pod


def test_kubernetes_ingress_reads_one_more_file() -> None:
    found = mounts(inject(PODS["kubernetes-ingress"]))
    assert found["/etc/haproxy/haproxy-aux.cfg"]["subPath"] == "haproxy-aux.cfg"
    assert "subPath" not in found["/etc/haproxy-telemetry"], "a directory follows changes, a file does not"


@pytest.mark.parametrize("index", [0, 1])
def test_haproxy_ingress_reads_one_more_file_in_both_of_its_containers(index: int) -> None:
    found = mounts(inject(PODS["haproxy-ingress-external"]), index)
    assert found["/etc/haproxy/zz-haproxy-telemetry.cfg"]["subPath"] == "haproxy-aux.cfg"
    assert "/etc/haproxy-telemetry" in found


@pytest.mark.parametrize("path", ["/etc/haproxy/haproxy-aux.cfg", "/usr/local/etc/haproxy/haproxy-aux.cfg"])
@pytest.mark.parametrize(
    ("volume", "sub_path", "source"),
    [
        (
            {"configMap": {"name": "a"}},
            "mine.cfg",
            {"configMap": {"name": "a", "items": [{"key": "mine.cfg", "path": "10-user.cfg"}]}},
        ),
        (
            {"configMap": {"name": "a", "items": [{"key": "k", "path": "p/mine.cfg"}], "optional": True}},
            "p/mine.cfg",
            {"configMap": {"name": "a", "items": [{"key": "k", "path": "10-user.cfg"}], "optional": True}},
        ),
        (
            {"secret": {"secretName": "s"}},
            "mine.cfg",
            {"secret": {"name": "s", "items": [{"key": "mine.cfg", "path": "10-user.cfg"}]}},
        ),
    ],
)
def test_an_auxiliary_file_of_the_users_becomes_a_folder_with_both(path: str, volume: Any, sub_path: str, source: Any) -> None:
    mutation = inject(with_aux(volume, path, subPath=sub_path))
    assert mounts(mutation)[path] == {"name": "haproxy-telemetry-aux", "mountPath": path, "readOnly": True}
    assert mutation.pod is not None
    projected = next(entry["projected"] for entry in mutation.pod["spec"]["volumes"] if entry["name"] == "haproxy-telemetry-aux")
    ours = {
        "configMap": {
            "name": "haproxy-telemetry-edge",
            "items": [{"key": "haproxy-aux.cfg", "path": "90-haproxy-telemetry.cfg"}],
            "optional": True,
        }
    }
    assert projected == {"sources": [source, ours]}


@pytest.mark.parametrize(
    ("volume", "mount"),
    [
        ({"emptyDir": {}}, {"subPath": "haproxy-aux.cfg"}),
        ({"hostPath": {"path": "/x.cfg"}}, {}),
        ({"csi": {"driver": "x"}}, {}),
        ({"configMap": {"name": "a"}}, {}),
    ],
)
def test_any_other_source_of_it_is_refused(volume: Any, mount: Any) -> None:
    mutation = inject(with_aux(volume, **mount))
    assert (mutation.pod, mutation.result) == (None, "unsupported")
    assert mutation.message == (
        "/etc/haproxy/haproxy-aux.cfg is of volume 'aux', which is neither a ConfigMap nor a Secret with a subPath."
    )


def test_a_container_beside_the_controller_stays_as_it_is() -> None:
    beside = {"name": "log", "image": "log:1", "args": ["--configmap=shop/controller"]}
    pod = copy.deepcopy(dict(PODS["kubernetes-ingress"]))
    pod["spec"]["containers"].append(beside)
    for spec in ({}, SHADOW):
        mutation = inject(pod, spec)
        assert mutation.pod is not None
        assert mutation.pod["spec"]["containers"][1] == beside


SHADOW = {"injection": {"configStrategy": "Shadow"}}


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (["--configmap=shop/c", "--a"], ["--configmap=shop/c-haproxy-telemetry", "--a"]),
        (["--configmap", "shop/c", "shop/c"], ["--configmap", "shop/c-haproxy-telemetry", "shop/c"]),
        (["-configmap=c"], ["-configmap=shop/c-haproxy-telemetry"]),
        (["-configmap", "c"], ["-configmap", "shop/c-haproxy-telemetry"]),
        (["--configmap=infra/c"], ["--configmap=infra/c-haproxy-telemetry"]),
        (["--other=shop/c", "--configmap=shop/c"], ["--other=shop/c", "--configmap=shop/c-haproxy-telemetry"]),
    ],
)
@pytest.mark.parametrize("field", ["command", "args"])
def test_shadow_points_the_controller_at_the_copy(field: str, given: list[str], expected: list[str]) -> None:
    pod = pod_of({"name": "c", "image": "haproxytech/kubernetes-ingress", field: given})
    assert arguments(inject(pod, SHADOW)) == expected


@pytest.mark.parametrize("given", [[], ["--configmap=shop/another"]])
def test_shadow_without_an_argument_to_change_is_refused(given: list[str]) -> None:
    pod = pod_of({"name": "c", "image": "haproxytech/kubernetes-ingress", "args": given})
    mutation = inject(pod, SHADOW | {"target": {"configMapRef": {"name": "told"}}})
    assert (mutation.pod, mutation.result) == (None, "unsupported")
    assert mutation.message.startswith("Strategy Shadow changes the --configmap argument, and no argument names told")
    assert inject(pod, {"target": {"configMapRef": {"name": "told"}}}).result == "injected"
