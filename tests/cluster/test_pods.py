"""Injected pods of every kind and a real API server: it takes them, strictly, where Pod Security enforces `restricted`.

Nothing is ever made of them (``--dry-run=server``).
"""

import copy
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from haproxy_telemetry_operator.injection import mutate
from support.cluster_objects import FACTS, PODS, telemetry

NAMESPACE = "haproxy-telemetry-pods-test"
RESTRICTED = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "runAsNonRoot": True,
    "runAsUser": 99,
    "seccompProfile": {"type": "RuntimeDefault"},
}
TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"
pytestmark = pytest.mark.skipif(
    os.environ.get("CLUSTER_TEST") != "1" or not os.environ.get("KUBECONFIG") or shutil.which("kubectl") is None,
    reason="no cluster: set KUBECONFIG to that of a cluster for tests, and run `make cluster-test`",
)
SPECS = {
    "least": {},
    "most": {
        "exporter": {
            "endpoint": "https://collector.example:4318",
            "headers": [{"name": "x-tenant", "secretKeyRef": {"name": "tenant", "key": "id"}}],
            "spill": {"enabled": True},
        },
        "sidecar": {"env": [{"name": "TOKEN", "valueFrom": {"secretKeyRef": {"name": "extra", "key": "token"}}}]},
    },
    "container": {"injection": {"nativeSidecar": "Disabled", "transport": "Unix"}},
}


def kubectl(*arguments: str, document: Any = None) -> subprocess.CompletedProcess[str]:
    text = None if document is None else json.dumps(document)
    return subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture(scope="module")
def namespace() -> Iterator[str]:
    labels = {f"pod-security.kubernetes.io/{name}": "restricted" for name in ("enforce", "warn")}
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": labels}}
    made = kubectl("apply", "--server-side", "-f", "-", document=body)
    assert made.returncode == 0, made.stderr
    try:
        there = kubectl("wait", "--for=create", "--timeout=30s", "-n", NAMESPACE, "serviceaccount/default")
        assert there.returncode == 0, there.stderr
        yield NAMESPACE
    finally:
        kubectl("delete", f"namespace/{NAMESPACE}", "--timeout=50s")


def restricted(name: str) -> dict[str, Any]:
    """The pod as its owner sent it, without what the API server adds; by itself it is one that `restricted` allows."""
    pod: dict[str, Any] = copy.deepcopy(dict(PODS[name]))
    spec = pod["spec"]
    for container in (*spec.get("initContainers", ()), *spec["containers"]):
        container["securityContext"] = dict(RESTRICTED)
        container["volumeMounts"] = [mount for mount in container.get("volumeMounts", ()) if mount["mountPath"] != TOKEN_PATH]
    spec["volumes"] = [volume for volume in spec["volumes"] if not volume["name"].startswith("kube-api-access")]
    return pod


@pytest.mark.parametrize("name", [name for name in PODS if "hostNetwork" not in PODS[name]["spec"]])
@pytest.mark.parametrize("spec", SPECS.values(), ids=SPECS)
def test_the_api_server_takes_an_injected_pod(namespace: str, name: str, spec: dict[str, Any]) -> None:
    pod = mutate(restricted(name), namespace=namespace, resource=telemetry(spec), facts=FACTS).pod
    assert pod is not None
    theirs = {container["name"] for container in PODS[name]["spec"]["containers"]}
    metadata = {key: value for key, value in pod["metadata"].items() if key not in ("ownerReferences", "generateName")}
    document = pod | {"metadata": metadata | {"name": "web", "namespace": namespace}}
    created = kubectl("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-", document=document)
    assert created.returncode == 0, created.stderr
    assert created.stderr == "", "Pod Security warns"
    found = json.loads(created.stdout)["spec"]
    for container in (*found.get("initContainers", ()), *found["containers"]):
        tokens = [mount["name"] for mount in container["volumeMounts"] if mount["mountPath"] == TOKEN_PATH]
        if container["image"] == FACTS.image:
            assert tokens == ["haproxy-telemetry-no-token"], "the API server has mounted a token"
        elif container["name"] in theirs:
            assert tokens != ["haproxy-telemetry-no-token"], "HAProxy's container has lost its token"
