"""The CustomResourceDefinition and a real API server: what it takes, what it refuses, and in which words.

The definition stands there under a group of its own, which no operator watches; nothing is ever made of it (``--dry-run=server``).
"""

import copy
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import pytest

from haproxy_telemetry_operator.resource import custom_resource_definition

COLLECTOR = "http://otel-collector.observability:4318"
GROUP = "definition-test.haproxy-telemetry.io"
pytestmark = pytest.mark.skipif(
    os.environ.get("CLUSTER_TEST") != "1" or not os.environ.get("KUBECONFIG") or shutil.which("kubectl") is None,
    reason="no cluster: set KUBECONFIG to that of a cluster for tests, and run `make cluster-test`",
)


def kubectl(*arguments: str, document: Any = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["kubectl", *arguments],
        input=None if document is None else json.dumps(document),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    """The definition under a group of its own, which no operator watches; the API version."""
    definition = copy.deepcopy(custom_resource_definition())
    definition["metadata"]["name"] = f"haproxytelemetries.{GROUP}"
    definition["metadata"]["annotations"] = {"api-approved.kubernetes.io": "unapproved, for a test"}
    definition["spec"]["group"] = GROUP
    definition["spec"]["names"].pop("shortNames")
    definition["spec"]["names"].pop("categories")
    applied = kubectl("apply", "--server-side", "-f", "-", document=definition)
    assert applied.returncode == 0, applied.stderr
    try:
        established = kubectl("wait", "--for=condition=Established", "--timeout=30s", f"crd/haproxytelemetries.{GROUP}")
        assert established.returncode == 0, established.stderr
        deadline = time.monotonic() + 30
        while kubectl("get", f"haproxytelemetries.{GROUP}").returncode != 0:
            assert time.monotonic() < deadline, "the API server does not serve it"
        yield f"{GROUP}/v1alpha1"
    finally:
        kubectl("delete", f"crd/haproxytelemetries.{GROUP}", "--timeout=50s")


def create(served: str, spec: dict[str, Any], name: str = "edge") -> subprocess.CompletedProcess[str]:
    document = {"apiVersion": served, "kind": "HAProxyTelemetry", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return kubectl("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-", document=document)


def exporter(**fields: Any) -> dict[str, Any]:
    return {"exporter": {"endpoint": COLLECTOR, **fields}}


@pytest.mark.parametrize(
    "spec",
    [
        exporter(),
        {"exporter": {"type": "none"}},
        {"exporter": {"tracesEndpoint": "https://c.example/v1/traces", "tls": {"caSecretRef": {"name": "s"}}}},
        exporter() | {"exporters": [{"type": "console"}], "suspend": True},
        exporter() | {"sampling": {"type": "TraceIDRatio", "ratio": 0.5}},
        exporter() | {"target": {"selector": {"matchExpressions": [{"key": "a", "operator": "In", "values": ["b"]}]}}},
        exporter() | {"target": {"selector": {"matchExpressions": [{"key": "a", "operator": "Exists"}]}}},
        exporter() | {"sidecar": {"resources": {"limits": {"memory": "1Gi", "cpu": 1}}, "env": [{"name": "A", "value": "1"}]}},
    ],
    ids=json.dumps,
)
def test_the_api_server_takes_what_is_good(served: str, spec: dict[str, Any]) -> None:
    created = create(served, spec)
    assert created.returncode == 0, created.stderr


def test_the_api_server_fills_in_what_is_ours_and_nothing_of_the_agents(served: str) -> None:
    spec = json.loads(create(served, exporter()).stdout)["spec"]
    assert spec["injection"]["spopPort"] == 12345
    assert spec["target"]["frontends"] == {"include": ["*"], "exclude": [], "tcp": True}
    assert "sampling" not in spec
    assert "batch" not in spec["exporter"]


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ({}, "spec.exporter: Required value"),
        ({"exporter": {}}, "endpoint is required: the collector's URL, such as http://otel-collector.observability:4318"),
        ({"exporter": {"endpoint": "collector:4318"}}, "spec.exporter.endpoint"),
        (exporter() | {"exporters": [{"type": "otlp"}]}, "spec.exporters[0]: Invalid value: endpoint is required"),
        (exporter(tls={"caSecretRef": {"name": "s"}}), "tls needs a https:// endpoint"),
        (
            exporter(endpoint="https://c", tls={"insecureSkipVerify": True, "caSecretRef": {"name": "s"}}),
            "insecureSkipVerify excludes a CA: drop one of them",
        ),
        (
            exporter(endpoint="https://c", tls={"caConfigMapRef": {"name": "s"}, "caSecretRef": {"name": "s"}}),
            "caSecretRef and caConfigMapRef exclude each other: drop one of them",
        ),
        (exporter(headers=[{"name": "a"}]), "exactly one of value and secretKeyRef is required"),
        (
            exporter(headers=[{"name": "a", "value": "b", "secretKeyRef": {"name": "s", "key": "k"}}]),
            "exactly one of value and secretKeyRef is required",
        ),
        (exporter(headers=[{"name": "a", "value": "b"}, {"name": "a", "value": "c"}]), "Duplicate value"),
        (
            exporter() | {"sampling": {"type": "TraceIDRatio"}},
            "ratio is required by, and only allowed with, type TraceIDRatio and ParentBasedTraceIDRatio",
        ),
        (exporter() | {"sampling": {"ratio": 0.5}}, "ratio is required by, and only allowed with"),
        (exporter() | {"injection": {"spopPort": 9464}}, "spopPort, recordsPort and httpPort must be three different ports"),
        (exporter() | {"injection": {"spopPort": 80}}, "spec.injection.spopPort"),
        (exporter() | {"injection": {"processingTimeout": "0ms"}}, "spec.injection.processingTimeout"),
        (exporter() | {"target": {"type": "Plain", "configMapRef": {"name": "a"}}}, "configMapRef is for ingress controllers"),
        (exporter() | {"target": {"type": "KubernetesIngress", "configPath": "/a"}}, "configPath is for a plain HAProxy"),
        (
            exporter() | {"target": {"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}},
            "values are required by, and only allowed with, operator In and NotIn",
        ),
        (exporter() | {"sidecar": {"resources": {"limits": {"memory": "lots"}}}}, "spec.sidecar.resources.limits.memory"),
        (exporter() | {"sampler": {}}, 'unknown field "spec.sampler"'),
    ],
    ids=json.dumps,
)
def test_the_api_server_refuses_what_is_not_and_names_field_and_fix(served: str, spec: dict[str, Any], message: str) -> None:
    created = create(served, spec)
    assert created.returncode != 0, created.stdout
    assert message in created.stderr


def test_the_api_server_refuses_a_name_that_no_label_could_hold(served: str) -> None:
    assert create(served, exporter(), "a" * 63).returncode == 0
    assert "metadata.name has more than 63 characters" in create(served, exporter(), "a" * 64).stderr


def test_the_api_server_takes_the_definition_itself() -> None:
    applied = kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", document=custom_resource_definition()
    )
    assert applied.returncode == 0, applied.stderr
