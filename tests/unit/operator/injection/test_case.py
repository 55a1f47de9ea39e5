"""Owners."""

import pytest

from haproxy_telemetry_operator.injection.case import Owner


@pytest.mark.parametrize(
    ("owner", "workload", "of_deployment"),
    [
        (Owner("ReplicaSet", "web-6d4", "6d4"), "web", True),
        (Owner("ReplicaSet", "web", None), "web", False),
        (Owner("ReplicaSet", "web-6d4", "other"), "web-6d4", False),
        (Owner("DaemonSet", "edge", None), "edge", False),
        (Owner("StatefulSet", "edge-6d4", "6d4"), "edge", False),
    ],
)
def test_owners(owner: Owner, workload: str, of_deployment: bool) -> None:
    assert (owner.workload_name, owner.is_of_deployment) == (workload, of_deployment)
