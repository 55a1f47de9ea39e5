"""What our containers have in common."""

import pytest

from haproxy_telemetry_operator.injection import Facts
from haproxy_telemetry_operator.injection.containers import NO_TOKEN_VOLUME, own_container
from support.cluster_objects import FACTS, telemetry


@pytest.mark.parametrize(
    ("sidecar", "facts", "image", "policy"),
    [
        ({}, FACTS, FACTS.image, "IfNotPresent"),
        ({"image": "mine:2", "imagePullPolicy": "Never"}, FACTS, "mine:2", "Never"),
        ({}, Facts("agent:1", None), "agent:1", None),
    ],
)
def test_the_resource_goes_before_the_installation(sidecar: dict[str, str], facts: Facts, image: str, policy: str | None) -> None:
    container = own_container("x", telemetry({"sidecar": sidecar}).spec(), facts)
    assert (container["name"], container["image"], container.get("imagePullPolicy")) == ("x", image, policy)


def test_resources() -> None:
    def resources(given: dict[str, dict[str, str]]) -> object:
        return own_container("x", telemetry({"sidecar": {"resources": given}}).spec(), FACTS)["resources"]

    assert resources({"requests": {"cpu": "1"}}) == {"requests": {"cpu": "1"}}
    assert resources({"limits": {"memory": "1Gi"}}) == {"limits": {"memory": "1Gi"}}
    assert resources({}) == {}


def test_the_volume_that_keeps_tokens_away_has_no_size() -> None:
    assert NO_TOKEN_VOLUME["emptyDir"] == {}
