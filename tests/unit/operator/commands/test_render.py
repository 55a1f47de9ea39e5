"""``render``: what would be written, and one line on whatever can't be."""

import io
from pathlib import Path
from typing import Any

import pytest
import yaml

from haproxy_telemetry_operator.cli import main
from support.cluster_objects import PODS, deployment, telemetry_body
from support.golden import assert_text

GOLDEN = Path(__file__).parent.parent / "golden"
COLLECTOR = {"endpoint": "http://collector:4318"}


def documents(tmp_path: Path, *bodies: Any) -> str:
    path = tmp_path / "file.yaml"
    path.write_text(yaml.safe_dump_all(bodies))
    return str(path)


def workload(kind: str = "Deployment", pod: str = "kubernetes-ingress") -> dict[str, Any]:
    return {"apiVersion": "apps/v1", "kind": kind, **deployment(PODS[pod])}


def rendered(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[Any]:
    assert main(["render", *arguments]) == 0
    output = capsys.readouterr()
    assert output.err == ""
    return list(yaml.safe_load_all(output.out))


def test_a_resource_with_a_deployment(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", documents(tmp_path, telemetry_body(), workload())]) == 0
    text = capsys.readouterr().out
    assert_text(GOLDEN / "rendered" / "deployment.yaml", text)
    assert [document.get("kind") for document in yaml.safe_load_all(text)][:1] == ["ConfigMap"]


def test_from_standard_input_with_other_options(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    text = yaml.safe_dump_all([telemetry_body(), workload(pod="plain-file"), workload("StatefulSet", "plain-file")])
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    options = ["--image", "agent:7", "--image-pull-policy", "Always", "--no-user", "--no-native-sidecar"]
    *_, webhooks, first, second = rendered(capsys, "-", *options)
    assert webhooks["webhooks"][0]["clientConfig"]["service"]["path"] == "/inject/container/shop/edge"
    for pod in (first, second):
        (agent,) = (entry for entry in pod["spec"]["containers"] if entry["name"] == "haproxy-telemetry")
        assert (agent["image"], agent["imagePullPolicy"]) == ("agent:7", "Always")
        assert "runAsUser" not in agent["securityContext"]
    assert "ownerReferences" not in webhooks["metadata"]


@pytest.mark.parametrize(
    ("target", "keys"),
    [
        ("Auto", ["frontend-config-snippet", "config-frontend-early"]),
        ("Manual", ["frontend-config-snippet", "config-frontend-early"]),
        ("KubernetesIngress", ["frontend-config-snippet"]),
        ("HAProxyIngress", ["config-frontend-early"]),
        ("Plain", []),
    ],
)
def test_blocks_of_the_controllers_that_may_be_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], target: str, keys: list[str]
) -> None:
    _, *blocks, _ = rendered(capsys, documents(tmp_path, telemetry_body({"target": {"type": target}})))
    assert [key for block in blocks for key in block] == keys


def test_a_pod_that_stays_as_it_is_says_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pod = {"kind": "Pod", "metadata": {"name": "app"}, "spec": {"containers": [{"name": "app", "image": "nginx"}]}}
    assert main(["render", documents(tmp_path, telemetry_body(), {"kind": "Service"}, pod, None)]) == 0
    last = capsys.readouterr().out.rpartition("---\n")[2]
    assert last.startswith("# A pod of Pod app stays as it is: ")
    assert last.endswith("\n{}\n")


def test_times_that_yaml_makes_objects_of_are_no_matter(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(
        "kind: HAProxyTelemetry\nmetadata: {name: edge, creationTimestamp: 2026-01-01T00:00:00Z, "
        "deletionTimestamp: 2026-01-01T00:00:00Z}\nspec: {exporter: {endpoint: http://collector:4318}}\n"
    )
    payload, *_ = rendered(capsys, str(path))
    assert payload["metadata"]["namespace"] == "default"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "expected exactly one HAProxyTelemetry (haproxy-telemetry.io/v1alpha1), found 0"),
        ("a: [", "while parsing a flow node"),
        ("\x00", "special characters are not allowed"),
        ("kind: HAProxyTelemetry", "the HAProxyTelemetry has no metadata.name"),
        ("kind: HAProxyTelemetry\nmetadata: text", "the HAProxyTelemetry has no metadata.name"),
        ("kind: HAProxyTelemetry\nmetadata: {name: a}", "spec.exporter"),
        ("kind: HAProxyTelemetry\nmetadata: {name: a}\nspec: text", "spec"),
        ("kind: HAProxyTelemetry\nmetadata: {name: a}\nspec: [1]", "spec"),
        ("kind: HAProxyTelemetry\nmetadata: {name: a}\nspec: {exporter: {endpoint: 1}}", "spec.exporter.endpoint"),
        ("kind: [HAProxyTelemetry]", "found 0"),
    ],
)
def test_what_can_not_be_used_is_said_in_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, words: str
) -> None:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    assert main(["render", str(path)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith(f"haproxy-telemetry-operator: {path}: ")
    assert words in output.err
    assert output.err.count("\n") == 1


@pytest.mark.parametrize(
    ("workload", "words"),
    [
        ({"kind": "Deployment"}, "Deployment: spec.template.spec.containers is missing"),
        ({"kind": "Deployment", "metadata": {"name": "web"}, "spec": {"template": 1}}, "Deployment web: spec.template.spec"),
        ({"kind": "Pod", "metadata": {"name": "web"}, "spec": {"containers": []}}, "Pod web: spec.containers is missing"),
        ({"kind": "Pod", "spec": {"containers": [{"image": "a"}]}}, "Pod: spec.containers[0].name is missing"),
        ({"kind": "Pod", "spec": {"containers": [1]}}, "Pod: spec.containers[0].name is missing"),
    ],
)
def test_a_workload_without_a_pod(tmp_path: Path, capsys: pytest.CaptureFixture[str], workload: Any, words: str) -> None:
    assert main(["render", documents(tmp_path, telemetry_body(), workload)]) == 2
    output = capsys.readouterr()
    assert output.out == ""
    assert words in output.err
    assert output.err.count("\n") == 1


def test_two_resources_and_files_that_can_not_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["render", documents(tmp_path, telemetry_body(), telemetry_body())]) == 2
    assert "found 2" in capsys.readouterr().err
    assert main(["render", str(tmp_path / "none")]) == 2
    assert "No such file" in capsys.readouterr().err
    path = tmp_path / "bytes"
    path.write_bytes(b"\xff\xfe\xfa")
    assert main(["render", str(path)]) == 2
    assert capsys.readouterr().err.count("\n") == 1
