"""The CustomResourceDefinition; and that a real API server takes it, and refuses what it should, in our words."""

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
needs_cluster = pytest.mark.skipif(
    not os.environ.get("KUBECONFIG") or shutil.which("kubectl") is None, reason="needs KUBECONFIG and kubectl"
)


def test_names() -> None:
    definition = custom_resource_definition()
    assert definition["metadata"]["name"] == "haproxytelemetries.haproxy-telemetry.io"
    assert definition["spec"]["names"]["shortNames"] == ["hapt"]
    version = definition["spec"]["versions"][0]
    assert version["subresources"] == {"status": {}}
    assert [column["name"] for column in version["additionalPrinterColumns"] if not column.get("priority")] == [
        "Ready",
        "Reason",
        "Pods",
        "Endpoint",
        "Age",
    ]


def test_columns_are_of_fields_that_there_are() -> None:
    version = custom_resource_definition()["spec"]["versions"][0]
    schema = version["schema"]["openAPIV3Schema"]
    for column in version["additionalPrinterColumns"]:
        path = column["jsonPath"].partition("[?")[0].strip(".").split(".")
        found: Any = schema
        for name in path:
            if path[0] != "metadata":
                found = found["properties"][name]


def rules(schema: Any) -> Iterator[dict[str, str]]:
    if isinstance(schema, dict):
        yield from schema.get("x-kubernetes-validations", ())
        for value in schema.values():
            yield from rules(value)
    elif isinstance(schema, list):
        for value in schema:
            yield from rules(value)


def test_messages_say_what_to_do_and_are_one_line() -> None:
    found = list(rules(custom_resource_definition()))
    assert len(found) >= 10
    for rule in found:
        assert len(rule["message"]) <= 160
        assert "\n" not in rule["message"]


def test_it_is_made_anew_each_time() -> None:
    first = custom_resource_definition()
    assert first == custom_resource_definition()
    first["spec"]["versions"][0]["schema"].clear()
    assert first != custom_resource_definition()


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
        kubectl("delete", f"crd/haproxytelemetries.{GROUP}", "--wait=false")


def create(served: str, spec: dict[str, Any], name: str = "edge") -> subprocess.CompletedProcess[str]:
    document = {"apiVersion": served, "kind": "HAProxyTelemetry", "metadata": {"name": name, "namespace": "default"}, "spec": spec}
    return kubectl("create", "--dry-run=server", "--validate=strict", "-o", "json", "-f", "-", document=document)


def exporter(**fields: Any) -> dict[str, Any]:
    return {"exporter": {"endpoint": COLLECTOR, **fields}}


@needs_cluster
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


@needs_cluster
def test_the_api_server_fills_in_what_is_ours_and_nothing_of_the_agents(served: str) -> None:
    spec = json.loads(create(served, exporter()).stdout)["spec"]
    assert spec["injection"]["spopPort"] == 12345
    assert spec["target"]["frontends"] == {"include": ["*"], "exclude": [], "tcp": True}
    assert "sampling" not in spec
    assert "batch" not in spec["exporter"]


@needs_cluster
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
        (exporter() | {"smapling": {}}, 'unknown field "spec.smapling"'),
    ],
    ids=json.dumps,
)
def test_the_api_server_refuses_what_is_not_and_names_field_and_fix(served: str, spec: dict[str, Any], message: str) -> None:
    created = create(served, spec)
    assert created.returncode != 0, created.stdout
    assert message in created.stderr


@needs_cluster
def test_the_api_server_refuses_a_name_that_no_label_could_hold(served: str) -> None:
    assert create(served, exporter(), "a" * 63).returncode == 0
    assert "metadata.name has more than 63 characters" in create(served, exporter(), "a" * 64).stderr


@needs_cluster
def test_the_api_server_takes_the_definition_itself() -> None:
    applied = kubectl(
        "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "-", document=custom_resource_definition()
    )
    assert applied.returncode == 0, applied.stderr
