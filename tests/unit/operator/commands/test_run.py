"""``run``: options become settings. That it runs, tests/cluster shows."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kopf
import pytest

from haproxy_telemetry_operator.cli import main
from haproxy_telemetry_operator.cluster import ApiError, Cluster
from haproxy_telemetry_operator.commands import run as module
from haproxy_telemetry_operator.operator_service import OperatorService
from haproxy_telemetry_operator.settings import OperatorSettings
from support.fake_cluster import FakeCluster


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Logging is the process's; it stays as it was."""
    monkeypatch.setattr(module, "configure_logging", lambda **_: None)
    monkeypatch.setattr(module, "_NAMESPACE_FILE", tmp_path / "namespace")
    monkeypatch.delenv("KUBECONFIG", raising=False)
    level = logging.getLogger("kopf").level
    yield
    logging.getLogger("kopf").setLevel(level)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[OperatorSettings]:
    served: list[OperatorSettings] = []

    async def serve(settings: OperatorSettings) -> None:
        served.append(settings)

    monkeypatch.setattr(module, "_serve", serve)
    return served


def test_defaults_are_those_of_the_settings(served: list[OperatorSettings]) -> None:
    assert main(["run"]) == 0
    assert served == [OperatorSettings(image="haproxy-telemetry/agent:latest")]


def test_all_options(served: list[OperatorSettings]) -> None:
    arguments = (
        "run --image agent:7 --image-pull-policy Never --no-user --watch-namespaces b,a --namespace ops --injector-service inject "
        "--injector-url https://injector:8443 --certificate-secret tls --no-certificate --http-port 9000 --revert-timeout 5"
    )
    assert main(arguments.split()) == 0
    assert served == [
        OperatorSettings(
            image="agent:7",
            image_pull_policy="Never",
            namespaces=("a", "b"),
            own_namespace="ops",
            injector_service="inject",
            injector_url="https://injector:8443",
            certificate_secret="tls",
            manage_certificates=False,
            set_user=False,
            revert_timeout_seconds=5.0,
            http_port=9000,
        )
    ]


def test_the_own_namespace_is_the_pods(served: list[OperatorSettings], tmp_path: Path) -> None:
    (tmp_path / "namespace").write_text("telemetry\n")
    assert main(["run"]) == 0
    assert served[0].own_namespace == "telemetry"


def test_without_a_cluster_it_says_so(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    async def connect(**options: Any) -> Cluster:
        assert options == {"kubeconfig": "/my/config"}
        raise ApiError(0, "no cluster is configured: no file")

    monkeypatch.setattr(Cluster, "connect", connect)
    monkeypatch.setenv("KUBECONFIG", "/my/config")
    assert main(["run"]) == 1
    assert [record.getMessage() for record in caplog.records] == ["no cluster is configured: no file"]


@pytest.mark.parametrize(
    ("arguments", "watched"),
    [
        ([], {"clusterwide": True, "namespaces": [], "identity": "haproxy-telemetry-operator"}),
        (
            ["--watch-namespaces", "shop,bank"],
            {
                "clusterwide": False,
                "namespaces": ["bank", "haproxy-telemetry", "shop"],
                "identity": "haproxy-telemetry-operator",
            },
        ),
    ],
)
def test_kopf_watches_what_it_is_told_to_and_the_own_namespace(
    monkeypatch: pytest.MonkeyPatch, arguments: list[str], watched: dict[str, Any]
) -> None:
    seen: dict[str, Any] = {}

    async def connect(**_: Any) -> Cluster:
        return FakeCluster()

    async def operator(*, registry: kopf.OperatorRegistry, **options: Any) -> None:
        assert isinstance(registry, kopf.OperatorRegistry)
        seen.update(options)

    def register(service: OperatorService) -> kopf.OperatorRegistry:
        assert service.alive
        return kopf.OperatorRegistry()

    monkeypatch.setattr(Cluster, "connect", connect)
    monkeypatch.setattr(kopf, "operator", operator)
    monkeypatch.setattr(module, "register", register)
    assert main(["run", *arguments]) == 0
    assert seen == watched
    assert logging.getLogger("kopf").level == logging.WARNING
