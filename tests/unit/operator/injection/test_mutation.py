"""The mutation as a whole: every kind of pod, twice, and back again."""

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from haproxy_telemetry_operator.injection import Facts, Mutation, mutate
from haproxy_telemetry_operator.injection.case import Owner
from haproxy_telemetry_operator.injection.mutation import is_injected, owner_of
from haproxy_telemetry_operator.injection.originals import restored
from haproxy_telemetry_operator.names import ANNOTATION_CONFIG_HASH, ANNOTATION_INJECTED, LABEL_INJECT
from haproxy_telemetry_operator.resource import TelemetryResource
from support.cluster_objects import FACTS, NAMESPACE, PODS, owned_pod, pod_of, telemetry
from support.golden import assert_text

GOLDEN = Path(__file__).parent.parent / "golden"
every_pod = pytest.mark.parametrize("name", PODS)
FULL_SPEC = {
    "exporter": {
        "endpoint": "https://collector.example:4318",
        "headers": [{"name": "x-tenant", "secretKeyRef": {"name": "tenant", "key": "id"}}],
        "spill": {"enabled": True},
    },
    "injection": {"configStrategy": "Shadow", "nativeSidecar": "Disabled", "transport": "Unix"},
    "sidecar": {"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "extra", "key": "token"}}}]},
}


def inject(pod: Any, resource: TelemetryResource | None = None, facts: Facts = FACTS) -> Mutation:
    return mutate(pod, namespace=NAMESPACE, resource=resource or telemetry(), facts=facts)


def injected(pod: Any, resource: TelemetryResource | None = None, facts: Facts = FACTS) -> dict[str, Any]:
    mutation = inject(pod, resource, facts)
    assert mutation.result == "injected", mutation
    assert mutation.pod is not None
    return mutation.pod


def all_containers(pod: Any) -> list[dict[str, Any]]:
    return [*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]]


@every_pod
def test_pods(name: str) -> None:
    assert_text(GOLDEN / "pods" / f"{name}.yaml", yaml.safe_dump(injected(PODS[name]), width=132))


def test_a_pod_with_all_that_a_resource_can_ask_for() -> None:
    pod = injected(
        PODS["kubernetes-ingress"], telemetry(FULL_SPEC), Facts("agent:1", "Always", native_sidecar=True, set_user=False)
    )
    assert_text(GOLDEN / "pods" / "kubernetes-ingress-full.yaml", yaml.safe_dump(pod, width=132))


@every_pod
@pytest.mark.parametrize("spec", [{}, FULL_SPEC | {"injection": {"nativeSidecar": "Disabled", "transport": "Unix"}}])
def test_twice_is_once_and_back_is_what_it_was(name: str, spec: dict[str, Any]) -> None:
    original = copy.deepcopy(PODS[name])
    once = injected(original, telemetry(spec))
    assert original == PODS[name], "the pod that came was changed"
    assert inject(once, telemetry(spec)) == Mutation(None, "unchanged")
    assert restored(once) == original


@every_pod
def test_a_pod_that_was_injected_otherwise_is_injected_as_if_for_the_first_time(name: str) -> None:
    other = telemetry({"injection": {"profile": "Full", "transport": "Unix", "nativeSidecar": "Disabled"}})
    assert injected(injected(PODS[name], other)) == injected(PODS[name])


@pytest.mark.parametrize("name", ["kubernetes-ingress", "haproxy-ingress", "haproxy-ingress-external"])
def test_shadow_goes_back_too(name: str) -> None:
    resource = telemetry({"injection": {"configStrategy": "Shadow"}})
    pod = injected(PODS[name], resource)
    assert any("-haproxy-telemetry" in word for container in pod["spec"]["containers"] for word in container.get("args", ()))
    assert restored(pod) == PODS[name]


@every_pod
@pytest.mark.parametrize("native", [True, False])
def test_names_of_containers_volumes_variables_and_places_occur_once(name: str, native: bool) -> None:
    pod = injected(PODS[name], telemetry(FULL_SPEC | {"injection": {}}), Facts("agent:1", native_sidecar=native))
    unique(entry["name"] for entry in all_containers(pod))
    volumes = {entry["name"] for entry in pod["spec"]["volumes"]}
    unique(entry["name"] for entry in pod["spec"]["volumes"])
    for container in all_containers(pod):
        mounts = container.get("volumeMounts", [])
        unique(mount["mountPath"] for mount in mounts)
        assert {mount["name"] for mount in mounts} <= volumes
        unique(entry["name"] for entry in container.get("env", ()))


def unique(names: Any) -> None:
    listed = list(names)
    assert sorted(set(listed)) == sorted(listed)


@every_pod
def test_containers_of_our_image_pass_pod_securitys_restricted(name: str) -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, what of it is about containers."""
    pod = injected(PODS[name])
    ours = [container for container in all_containers(pod) if container["image"] == FACTS.image]
    assert ours
    for container in ours:
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["privileged"] is False
        assert security["readOnlyRootFilesystem"] is True
        assert security["runAsNonRoot"] is True
        assert security["runAsUser"] != 0
        assert security["seccompProfile"]["type"] == "RuntimeDefault"
        assert "livenessProbe" not in container
        assert container["resources"]["requests"]
        assert container["resources"]["limits"]
    allowed = {"configMap", "downwardAPI", "emptyDir", "ephemeral", "persistentVolumeClaim", "projected", "secret"}
    for volume in pod["spec"]["volumes"]:
        assert (volume.keys() - {"name"}) <= allowed


@every_pod
def test_containers_of_our_image_get_no_token(name: str) -> None:
    """The API server mounts one where nothing is mounted: what is there is an empty volume."""
    pod = injected(PODS[name])
    empty = {volume["name"] for volume in pod["spec"]["volumes"] if volume.get("emptyDir") == {}}
    for container in all_containers(pod):
        if container["image"] == FACTS.image:
            places = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
            assert places["/var/run/secrets/kubernetes.io/serviceaccount"] in empty


@every_pod
def test_no_volume_of_ours_has_a_size_that_a_pod_could_be_evicted_for(name: str) -> None:
    theirs = {volume["name"] for volume in PODS[name]["spec"]["volumes"]}
    for volume in injected(PODS[name], telemetry(FULL_SPEC | {"injection": {}}))["spec"]["volumes"]:
        if volume["name"] not in theirs:
            assert "sizeLimit" not in volume.get("emptyDir", {})


@every_pod
def test_nothing_that_a_pod_refers_to_has_to_be_there(name: str) -> None:
    """With the payload or a Secret gone HAProxy starts all the same."""
    pod = injected(PODS[name], telemetry(FULL_SPEC | {"injection": {}}))
    theirs = {volume["name"] for volume in PODS[name]["spec"]["volumes"]}
    for volume in pod["spec"]["volumes"]:
        if volume["name"] in theirs:
            continue
        sources = volume.get("projected", {}).get("sources", [{key: value for key, value in volume.items() if key != "name"}])
        for source in sources:
            for kind in ("configMap", "secret"):
                assert source.get(kind, {"optional": True})["optional"] is True
    for container in all_containers(pod):
        for variable in container.get("env", ()):
            for kind in ("configMapKeyRef", "secretKeyRef"):
                assert variable.get("valueFrom", {}).get(kind, {"optional": True})["optional"] is True


def test_on_openshift_no_user_is_named() -> None:
    pod = injected(PODS["plain-file"], facts=Facts("agent:1", set_user=False))
    ours = [container for container in all_containers(pod) if container["image"] == "agent:1"]
    assert len(ours) == 2
    assert all(container["securityContext"].keys().isdisjoint({"runAsUser", "runAsGroup"}) for container in ours)


def test_what_is_left_alone() -> None:
    opted_out = copy.deepcopy(dict(PODS["plain-file"]))
    opted_out["metadata"]["labels"][LABEL_INJECT] = "false"
    assert inject(opted_out) == Mutation(None, "opted_out")
    assert inject(owned_pod("Job", "backup")) == Mutation(None, "not_owned")
    alone = copy.deepcopy(dict(PODS["plain-file"]))
    del alone["metadata"]["ownerReferences"]
    assert inject(alone) == Mutation(None, "not_owned")
    assert inject(pod_of({"name": "app", "image": "nginx:1"})) == Mutation(None, "not_haproxy")
    assert inject({"metadata": PODS["plain-file"]["metadata"]}) == Mutation(None, "not_haproxy")
    assert inject(PODS["plain-file"], telemetry({"suspend": True})) == Mutation(None, "suspended")
    assert inject(PODS["plain-file"], telemetry({"target": {"type": "Manual"}})) == Mutation(None, "not_haproxy")
    assert inject(PODS["plain-file"], telemetry(deletionTimestamp="2026-01-02T00:00:00Z")) == Mutation(None, "suspended")


def test_a_resource_that_can_not_be_used_leaves_the_pod_alone_and_says_so() -> None:
    mutation = inject(PODS["plain-file"], telemetry({"exporter": {"endpoint": "collector:4318"}}))
    assert (mutation.pod, mutation.result) == (None, "invalid_resource")
    assert mutation.message.startswith("spec.exporter.endpoint: ")


def test_a_pod_that_can_not_be_got_into_is_left_alone_with_a_word_on_why() -> None:
    pod = pod_of({"name": "a", "image": "haproxy:3"}, {"name": "b", "image": "haproxy:3"})
    assert inject(pod) == Mutation(None, "unsupported", "HAProxy is in several containers (a, b): set spec.target.containerName.")
    propagated = copy.deepcopy(dict(PODS["plain-file"]))
    propagated["spec"]["containers"][0]["volumeMounts"][0]["mountPropagation"] = "HostToContainer"
    mutation = inject(propagated)
    assert (mutation.pod, mutation.result) == (None, "unsupported")
    assert "mountPropagation" in mutation.message


@pytest.mark.parametrize("where", ["initContainers", "containers", "volumes"])
def test_what_the_user_gave_a_name_of_ours_is_never_taken_out(where: str) -> None:
    pod = copy.deepcopy(dict(PODS["plain-file"]))
    pod["spec"].setdefault(where, []).append({"name": "haproxy-telemetry-of-mine", "image": "x"})
    assert inject(pod) == Mutation(
        None, "unsupported", "'haproxy-telemetry-of-mine' is a name that only the injector may give: rename it."
    )


def test_annotations() -> None:
    pod = injected(PODS["plain-folder"])
    annotations = pod["metadata"]["annotations"]
    assert is_injected(pod)
    assert not is_injected(PODS["plain-folder"])
    assert annotations[ANNOTATION_INJECTED] == "edge"
    assert len(annotations[ANNOTATION_CONFIG_HASH]) == 12
    assert annotations["kubectl.kubernetes.io/default-container"] == "proxy"
    assert pod["metadata"]["labels"] == PODS["plain-folder"]["metadata"]["labels"], "an ingress controller reads its pod's labels"


def test_annotations_of_the_user_stay() -> None:
    original = copy.deepcopy(dict(PODS["plain-file"]))
    original["metadata"]["annotations"] = {"kubectl.kubernetes.io/default-container": "log", "a": "b"}
    pod = injected(original)
    assert pod["metadata"]["annotations"].items() >= original["metadata"]["annotations"].items()
    assert restored(pod) == original
    original["metadata"]["annotations"] = None
    assert is_injected(injected(original))


def test_owners() -> None:
    assert owner_of(PODS["plain-file"]) == Owner("ReplicaSet", "web-6d4cf56db6", "6d4cf56db6")
    assert owner_of(owned_pod("DaemonSet", "edge")) == Owner("DaemonSet", "edge")
    assert owner_of(owned_pod("StatefulSet", "edge")) == Owner("StatefulSet", "edge")
    assert owner_of(owned_pod("Job", "edge")) is None
    assert owner_of({"metadata": {"ownerReferences": [{"kind": "ReplicaSet", "name": "a"}]}}) is None
    assert owner_of({}) is None
