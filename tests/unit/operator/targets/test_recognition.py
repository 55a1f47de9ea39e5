"""Recognition: images, arguments, and what the resource tells."""

from typing import Any

import pytest

from haproxy_telemetry_operator.targets import NotRecognised, Recognition, recognise
from support.cluster_objects import NAMESPACE, PODS, telemetry


def found(pod_spec: Any, target: dict[str, Any] | None = None) -> Recognition | NotRecognised | None:
    return recognise(pod_spec, NAMESPACE, telemetry({"target": target or {}}).spec().target)


def pod(*containers: dict[str, Any]) -> dict[str, Any]:
    return {"containers": [{"name": f"c{index}", **container} for index, container in enumerate(containers)]}


@pytest.mark.parametrize(
    ("image", "kind", "version"),
    [
        ("haproxytech/kubernetes-ingress", "KubernetesIngress", None),
        ("docker.io/haproxytech/kubernetes-ingress:3.2.11", "KubernetesIngress", "3.2.11"),
        ("registry.example:5000/haproxytech/kubernetes-ingress@sha256:00ff", "KubernetesIngress", None),
        ("registry.example:5000/haproxytech/kubernetes-ingress:v3.1@sha256:00ff", "KubernetesIngress", "3.1"),
        ("registry.example:5000/haproxy-kubernetes-ingress:1.11.12-ubi", "KubernetesIngress", "1.11.12"),
        ("quay.io/jcmoraisjr/haproxy-ingress:v0.16.1", "HAProxyIngress", "0.16.1"),
        ("haproxy-ingress-controller:latest", "HAProxyIngress", None),
        ("haproxy", "Plain", None),
        ("haproxy:lts-alpine", "Plain", None),
        ("haproxy:3.2.4-alpine3.22", "Plain", "3.2.4"),
        ("localhost:5000/haproxy", "Plain", None),
        ("haproxytech/haproxy-alpine:3.0", "Plain", "3.0"),
        ("haproxytech/haproxy-ubuntu@sha256:00ff", "Plain", None),
        ("bitnami/haproxy:2.8.1-debian-12-r0", "Plain", "2.8.1"),
        ("prom/haproxy-exporter:v0.15", None, None),
        ("nginx:3.0", None, None),
        ("registry.example/haproxy/nginx:1", None, None),
        ("haproxytech/dataplaneapi:3.0", None, None),
        ("", None, None),
    ],
)
def test_images(image: str, kind: str | None, version: str | None) -> None:
    recognition = found(pod({"image": image, "args": ["--configmap=a/b"]}))
    if kind is None:
        assert recognition is None
    else:
        assert isinstance(recognition, Recognition)
        assert (recognition.kind, recognition.haproxy_version) == (kind, version)


@pytest.mark.parametrize(
    ("name", "recognition"),
    [
        (
            "kubernetes-ingress",
            Recognition("KubernetesIngress", ("kubernetes-ingress-controller",), ("shop", "controller"), haproxy_version="3.2.11"),
        ),
        (
            "haproxy-ingress",
            Recognition("HAProxyIngress", ("haproxy-ingress",), ("shop", "haproxy-ingress"), haproxy_version="0.16.1"),
        ),
        (
            "haproxy-ingress-external",
            Recognition("HAProxyIngress", ("haproxy", "haproxy-ingress"), ("shop", "haproxy-ingress"), haproxy_version="3.0.9"),
        ),
        (
            "plain-file",
            Recognition("Plain", ("haproxy",), config_paths=("/usr/local/etc/haproxy/haproxy.cfg",), haproxy_version="3.2.4"),
        ),
        (
            "plain-folder",
            Recognition(
                "Plain", ("proxy",), config_paths=("/etc/haproxy/global.cfg", "/etc/haproxy/conf.d"), haproxy_version="3.0"
            ),
        ),
        ("plain-image", Recognition("Plain", ("haproxy",), config_paths=("/usr/local/etc/haproxy/haproxy.cfg",))),
    ],
)
def test_pods(name: str, recognition: Recognition) -> None:
    assert found(PODS[name]["spec"]) == recognition


def test_a_command_tells_as_well_as_an_image() -> None:
    recognition = found(pod({"image": "mine:1", "command": ["/usr/sbin/haproxy"], "args": ["-f", "/h.cfg"]}))
    assert recognition == Recognition("Plain", ("c0",), config_paths=("/h.cfg",), haproxy_version=None)


def test_config_maps() -> None:
    image = {"image": "haproxytech/kubernetes-ingress"}
    assert found(pod(image)) == NotRecognised("The controller has no --configmap argument: set one, or spec.target.configMapRef.")
    without_namespace = found(pod(image | {"args": ["--configmap=mine"]}))
    assert isinstance(without_namespace, Recognition)
    assert without_namespace.config_map == (NAMESPACE, "mine")
    told = found(pod(image | {"args": ["--configmap=a/b"]}), {"configMapRef": {"name": "mine"}})
    assert isinstance(told, Recognition)
    assert told.config_map == (NAMESPACE, "mine")
    jcm = found(pod({"image": "jcmoraisjr/haproxy-ingress"}))
    assert isinstance(jcm, NotRecognised)


@pytest.mark.parametrize(("value", "disabled"), [("frontend", True), ("all", True), ("global, frontend", True), ("backend", False)])
def test_disabled_snippets(value: str, disabled: bool) -> None:
    recognition = found(
        pod({"image": "haproxytech/kubernetes-ingress", "args": ["--configmap=a/b", f"--disable-config-snippets={value}"]})
    )
    assert isinstance(recognition, Recognition)
    assert recognition.snippets_disabled is disabled


def test_manual_and_other_types_look_for_nothing_else() -> None:
    assert found(PODS["plain-file"]["spec"], {"type": "Manual"}) is None
    assert found(PODS["plain-file"]["spec"], {"type": "KubernetesIngress"}) is None
    assert found(PODS["plain-file"]["spec"], {"type": "HAProxyIngress"}) is None
    assert found(PODS["kubernetes-ingress"]["spec"], {"type": "Plain"}) is None


def test_the_container_that_is_named_is_the_one() -> None:
    mine = pod({"image": "mine:2.9"}, {"image": "haproxy:3"})
    assert found(mine, {"containerName": "gone"}) is None
    plain = found(mine, {"containerName": "c0"})
    assert isinstance(plain, Recognition)
    assert (plain.containers, plain.haproxy_version) == (("c0",), "2.9")
    several = pod({"image": "haproxy:3"}, {"image": "haproxy:3"})
    assert found(several) == NotRecognised("HAProxy is in several containers (c0, c1): set spec.target.containerName.")
    chosen = found(several, {"containerName": "c1"})
    assert isinstance(chosen, Recognition)
    assert chosen.containers == ("c1",)


@pytest.mark.parametrize("kind", ["KubernetesIngress", "HAProxyIngress"])
def test_a_controller_of_ones_own_image_is_told_by_type_and_name(kind: str) -> None:
    mine = pod({"image": "log:1"}, {"image": "mine:1", "args": ["--configmap=a/b"]})
    assert found(mine, {"type": kind}) is None
    recognition = found(mine, {"type": kind, "containerName": "c1"})
    assert isinstance(recognition, Recognition)
    assert (recognition.kind, recognition.containers) == (kind, ("c1",))


@pytest.mark.parametrize(
    ("arguments", "target", "paths"),
    [
        ([], {}, ("/usr/local/etc/haproxy/haproxy.cfg",)),
        (["-f", "/a"], {}, ("/a",)),
        (["-f", "/a"], {"configPath": "/b"}, ("/b",)),
        (["-f", "a"], {"configPath": "/b"}, ("/b",)),
    ],
)
def test_paths(arguments: list[str], target: dict[str, str], paths: tuple[str, ...]) -> None:
    recognition = found(pod({"image": "haproxy:3", "args": arguments}), target)
    assert isinstance(recognition, Recognition)
    assert recognition.config_paths == paths


def test_bitnamis_image_has_a_place_of_its_own() -> None:
    recognition = found(pod({"image": "docker.io/bitnami/haproxy:3"}))
    assert isinstance(recognition, Recognition)
    assert recognition.config_paths == ("/bitnami/haproxy/conf/haproxy.cfg",)


@pytest.mark.parametrize("path", ["haproxy.cfg", "$(CONFIG)", "/etc/$(NAME)/haproxy.cfg"])
def test_paths_that_mean_something_else_elsewhere(path: str) -> None:
    refusal = found(pod({"image": "haproxy:3", "args": ["-f", path]}))
    assert isinstance(refusal, NotRecognised)
    assert repr(path) in refusal.message
    assert refusal.message.endswith("set spec.target.configPath.")


def test_our_own_containers_are_no_haproxy() -> None:
    assert found({"containers": [{"name": "haproxy-telemetry", "image": "haproxy:3"}]}) is None
    assert found({}) is None
