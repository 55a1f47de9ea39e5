from collections.abc import Mapping
from typing import Any

import pytest

from haproxy_telemetry_operator.pod_decision import Refusal, Route, Sidecar, decide
from haproxy_telemetry_operator.resource import TelemetryResource
from haproxy_telemetry_operator.resource_cache import ResourceCache

POD: dict[str, Any] = {"metadata": {}}


def body(name: str, created: str, *, namespace: str = "edge", deleting: bool = False) -> dict[str, Any]:
    metadata = {"namespace": namespace, "name": name, "creationTimestamp": created}
    return {"metadata": metadata | ({"deletionTimestamp": created} if deleting else {}), "spec": {}}


def cache(*bodies: dict[str, Any]) -> ResourceCache:
    filled = ResourceCache()
    filled.scopes[0].replace(bodies)
    return filled


def change(_pod: Mapping[str, Any], resource: TelemetryResource, sidecar: Sidecar) -> Refusal:
    return Refusal("injected", f"{resource.name} {sidecar}")


OLD, NEW = body("old", "2026-01-01T00:00:00Z"), body("new", "2026-02-01T00:00:00Z")
GONE = body("gone", "2025-01-01T00:00:00Z", deleting=True)


@pytest.mark.parametrize(
    ("route", "result"),
    [
        (Route("native", "edge", "old"), "injected"),
        (Route("native", "edge", "new"), "conflicted"),
        (Route("native", "edge", "gone"), "deleting"),
        (Route("native", "edge", "other"), "unknown_resource"),
        (Route("native", "other", "old"), "other_namespace"),
    ],
)
def test_the_oldest_that_stays_is_in_charge(route: Route, result: str) -> None:
    decided = decide(POD, "edge", route, resources=cache(NEW, GONE, OLD), change=change)
    assert decided.result == result
    assert decided.message


def test_the_path_says_which_kind_of_sidecar() -> None:
    for sidecar in ("native", "container"):
        route = Route(sidecar, "edge", "old")  # type: ignore[arg-type]
        assert decide(POD, "edge", route, resources=cache(OLD), change=change).message == f"old {sidecar}"
