"""``doctor`` looks at a double of a cluster; what it makes of what it sees, ``test_diagnosis`` has."""

import base64
import datetime
from typing import Any

import pytest

from haproxy_telemetry_operator.certificates import make_pair
from haproxy_telemetry_operator.cli import main
from haproxy_telemetry_operator.cluster import (
    CONFIG_MAPS,
    DEFINITIONS,
    ENDPOINT_SLICES,
    PODS,
    SECRETS,
    TELEMETRIES,
    WEBHOOK_CONFIGURATIONS,
    WORKLOADS,
    ApiError,
    Cluster,
)
from haproxy_telemetry_operator.names import ANNOTATION_INJECTED
from support import cluster_objects
from support.cluster_objects import NAMESPACE, deployment, telemetry_body
from support.fake_cluster import FakeCluster

OPERATOR = "haproxy-telemetry"
SECRET = f"{OPERATOR}-injector-tls"
HEADER = {"name": "authorization", "secretKeyRef": {"name": "token", "key": "bearer"}}
TLS = {"caConfigMapRef": {"name": "ca", "key": "ca.crt"}}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> FakeCluster:
    """One in which all is well."""
    cluster = FakeCluster()

    async def connect(**_options: Any) -> Cluster:
        return cluster

    monkeypatch.setattr(Cluster, "connect", connect)
    now = datetime.datetime.now(datetime.UTC)
    cluster.put(
        DEFINITIONS,
        {
            "metadata": {"name": "haproxytelemetries.haproxy-telemetry.io"},
            "spec": {"versions": [{"name": "v1alpha1", "served": True}]},
        },
    )
    cluster.put(
        CONFIG_MAPS,
        {"metadata": {"name": "haproxy-telemetry-operator-heartbeat", "namespace": OPERATOR}, "data": {"at": now.isoformat()}},
    )
    entry = {
        "name": "edge.shop.haproxy-telemetry.io",
        "clientConfig": {"service": {"name": "haproxy-telemetry-injector"}, "caBundle": "QQ=="},
    }
    cluster.put(WEBHOOK_CONFIGURATIONS, {"metadata": {"name": "haproxy-telemetry"}, "webhooks": [entry]})
    certificate = base64.b64encode(make_pair(["injector"], now).certificate).decode()
    cluster.put(SECRETS, {"metadata": {"name": SECRET, "namespace": OPERATOR}, "data": {"tls.crt": certificate}})
    cluster.put(
        ENDPOINT_SLICES,
        {
            "metadata": {
                "name": "x",
                "namespace": OPERATOR,
                "labels": {"kubernetes.io/service-name": "haproxy-telemetry-injector"},
            },
            "endpoints": [{"conditions": {"ready": True}}, {}, {"conditions": {"ready": False}}],
        },
    )
    condition = {"type": "Exporting", "status": "True", "reason": "Exporting", "message": "The collector takes spans."}
    resource = telemetry_body({"exporter": {"endpoint": "https://collector:4318", "headers": [HEADER], "tls": TLS}})
    cluster.put(TELEMETRIES, resource | {"status": {"observedGeneration": 1, "conditions": [condition]}})
    cluster.put(SECRETS, {"metadata": {"name": "token", "namespace": NAMESPACE}, "data": {"bearer": "QQ=="}})
    cluster.put(CONFIG_MAPS, {"metadata": {"name": "ca", "namespace": NAMESPACE}, "data": {"ca.crt": "PEM"}})
    cluster.put(WORKLOADS["Deployment"], deployment(cluster_objects.PODS["plain-file"]))
    cluster.put(
        PODS,
        {
            "metadata": {
                "name": "web-abc-0",
                "namespace": NAMESPACE,
                "labels": {"pod-template-hash": "abc"},
                "annotations": {ANNOTATION_INJECTED: "edge"},
                "ownerReferences": [{"kind": "ReplicaSet", "name": "web-abc", "controller": True}],
            }
        },
    )
    return cluster


def doctor(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    code = main(["doctor", *arguments])
    output = capsys.readouterr()
    assert output.err == ""
    return code, output.out


def test_all_is_well(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    code, output = doctor(capsys)
    assert code == 0
    assert output == (
        "ok    The API server answers: Kubernetes v1.36.4.\n"
        "ok    The CustomResourceDefinition haproxytelemetries.haproxy-telemetry.io is there, with v1alpha1.\n"
        "ok    The operator is alive.\n"
        "ok    The webhook's configuration is there, and its certificate is good.\n"
        "ok    Injectors that are ready: 2.\n"
        "ok    shop/edge: Deployment web (Plain): all 1 pods have the agent in them.\n"
        "ok    shop/edge: Exporting: Exporting: The collector takes spans.\n"
        "\nNothing is wrong.\n"
    )
    assert cluster.writes() == []


def test_nothing_is_written_and_no_value_of_a_secret_is_shown(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    for where, name in ((SECRETS, "token"), (CONFIG_MAPS, "ca")):
        found = cluster.find(where, NAMESPACE, name)
        assert found is not None
        cluster.put(where, found | {"data": {"other": "c2VjcmV0"}})
    code, output = doctor(capsys, "-n", NAMESPACE)
    assert code == 1
    assert "WRONG shop/edge refers to key bearer of Secret token, which is not there.\n      -> Create it" in output
    assert "WRONG shop/edge refers to key ca.crt of ConfigMap ca, which is not there." in output
    assert output.endswith("\n2 are wrong.\n")
    assert "c2VjcmV0" not in output
    assert cluster.writes() == []


def test_objects_that_are_missing(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.remove(SECRETS, NAMESPACE, "token")
    code, output = doctor(capsys)
    assert code == 1
    assert "WRONG shop/edge refers to Secret token, which is not there." in output
    assert output.endswith("\n1 is wrong.\n")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("customresourcedefinitions", "note  The CustomResourceDefinition haproxytelemetries.haproxy-telemetry.io can't be"),
        ("heartbeat", "note  The operator's sign of life can't be looked at: forbidden"),
        ("mutatingwebhook", "note  The webhook's configuration can't be looked at: forbidden"),
        (SECRET, "note  The injector's certificate can't be looked at: forbidden"),
        ("/pods", "note  shop/edge: its workloads and pods can't be looked at: forbidden"),
        ("deployments", "note  shop/edge: its workloads and pods can't be looked at: forbidden"),
        ("secrets/token", "ok    shop/edge: Exporting"),
        ("endpointslices", "ok    shop/edge: Exporting"),
    ],
)
def test_what_the_user_may_not_look_at_is_not_said_to_be_wrong(
    cluster: FakeCluster, capsys: pytest.CaptureFixture[str], path: str, text: str
) -> None:
    cluster.fail(path, 403, "forbidden")
    code, output = doctor(capsys)
    assert text in output
    assert "WRONG" not in output
    assert code == 0


def test_resources_that_may_not_be_listed(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.fail("GET /apis/haproxy-telemetry.io", 403, "forbidden")
    code, output = doctor(capsys)
    assert code == 1
    assert "WRONG No HAProxyTelemetry can be listed: forbidden\n      -> Name a namespace of yours (-n)." in output


@pytest.mark.parametrize("data", [{}, {"at": "yesterday"}])
def test_a_heartbeat_that_can_not_be_read(cluster: FakeCluster, capsys: pytest.CaptureFixture[str], data: Any) -> None:
    cluster.put(CONFIG_MAPS, {"metadata": {"name": "haproxy-telemetry-operator-heartbeat", "namespace": OPERATOR}, "data": data})
    assert "WRONG No operator has ever left a sign of life." in doctor(capsys)[1]


def test_a_certificate_that_can_not_be_read(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.put(SECRETS, {"metadata": {"name": SECRET, "namespace": OPERATOR}, "data": {"tls.crt": "QQ=="}})
    assert "WRONG The injector's Secret has no certificate that can be read." in doctor(capsys)[1]


def test_an_injector_outside_of_the_cluster(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    entry = {"name": "edge.shop.haproxy-telemetry.io", "clientConfig": {"url": "https://injector", "caBundle": "QQ=="}}
    cluster.put(WEBHOOK_CONFIGURATIONS, {"metadata": {"name": "haproxy-telemetry"}, "webhooks": [entry]})
    code, output = doctor(capsys)
    assert code == 0
    assert "Injectors that are ready" not in output


def test_a_second_resource_and_one_that_can_not_be_used(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.put(TELEMETRIES, telemetry_body(name="younger", creationTimestamp="2026-02-01T00:00:00Z"))
    cluster.put(TELEMETRIES, telemetry_body({"target": {"type": "Apache"}}, namespace="bank"))
    code, output = doctor(capsys)
    assert code == 1
    assert "WRONG shop/younger is not in charge: an older one of its namespace is." in output
    assert "WRONG bank/edge: spec.target.type" in output
    assert "bank/edge" not in doctor(capsys, "--namespace", NAMESPACE)[1]


def test_a_cluster_without_any_of_it(cluster: FakeCluster, capsys: pytest.CaptureFixture[str]) -> None:
    cluster.remove(DEFINITIONS, "", "haproxytelemetries.haproxy-telemetry.io")
    cluster.fail("GET /apis/haproxy-telemetry.io", 404, "the server could not find the requested resource")
    code, output = doctor(capsys)
    assert code == 1
    assert "is not there.\n      -> haproxy-telemetry-operator crd | kubectl apply" in output
    assert output.endswith("\n1 is wrong.\n")


def test_a_server_that_does_not_answer(
    cluster: FakeCluster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cluster.fail("/version", 0, "the API server can't be reached: no route")
    code, output = doctor(capsys)
    assert code == 1
    assert output.startswith("WRONG The API server does not answer: the API server can't be reached: no route\n")

    async def connect(**options: Any) -> Cluster:
        assert options == {"kubeconfig": "/none", "context": "other"}
        raise ApiError(0, "no cluster is configured")

    monkeypatch.setattr(Cluster, "connect", connect)
    code, output = doctor(capsys, "--kubeconfig", "/none", "--context", "other")
    assert code == 1
    assert output.startswith("WRONG The API server does not answer: no cluster is configured\n")
