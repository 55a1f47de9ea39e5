"""Destinations."""

from typing import Any

import pytest

from haproxy_telemetry_operator.resource import SpecProblem
from haproxy_telemetry_operator.resource.destination import CertificateRef, Destination, KeyRef, validation
from support.cluster_objects import telemetry


def destination(**fields: Any) -> Destination:
    return telemetry({"exporter": {"endpoint": "https://c.example", **fields}}).spec().exporter


def test_references() -> None:
    found = destination(
        headers=[{"name": "a", "secretKeyRef": {"name": "s", "key": "k"}}], tls={"caConfigMapRef": {"name": "authorities"}}
    )
    assert found.headers[0].secret_key_ref == KeyRef(name="s", key="k")
    assert found.tls is not None
    assert found.tls.ca_config_map_ref == CertificateRef(name="authorities", key="ca.crt")


@pytest.mark.parametrize("reference", [{"name": "S", "key": "k"}, {"name": "../s", "key": "k"}, {"name": "s", "key": "../k"}])
def test_names_that_no_secret_has(reference: dict[str, str]) -> None:
    with pytest.raises(SpecProblem, match=r"^spec\.exporter\.headers\[0\]\.secretKeyRef\."):
        destination(headers=[{"name": "a", "secretKeyRef": reference}])


@pytest.mark.parametrize("name", ["s\n", "k\n"])
def test_a_line_feed_is_no_part_of_a_name(name: str) -> None:
    with pytest.raises(SpecProblem):
        destination(headers=[{"name": "a", "secretKeyRef": {"name": name, "key": "k"}}])
    with pytest.raises(SpecProblem):
        destination(headers=[{"name": "a", "secretKeyRef": {"name": "s", "key": name}}])


def test_validation() -> None:
    assert validation(("a", "b"), ("c", "d")).extra_json_schema == {
        "x-kubernetes-validations": [{"rule": "a", "message": "b"}, {"rule": "c", "message": "d"}]
    }
