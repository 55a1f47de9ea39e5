"""Which requests are left out."""

import pytest

from haproxy_telemetry_agent.tracing.request import NO_REQUEST, Request
from haproxy_telemetry_agent.tracing.sampling.exclusion import Excluder

EXCLUDER = Excluder(
    paths=[("prefix", "/healthz"), ("prefix", "/-/"), ("glob", "/*/ready"), ("regex", "^/v[0-9]+/ping$")],
    user_agents=["kube-probe/", "ELB-HealthChecker"],
)


@pytest.mark.parametrize(
    ("request_", "excluded"),
    [
        (Request(path="/healthz"), True),
        (Request(path="/healthz/live"), True),
        (Request(path="/-/metrics"), True),
        (Request(path="/a/healthz"), False),
        (Request(path="/a/b/ready"), True),
        (Request(path="/ready"), False),
        (Request(path="/v12/ping"), True),
        (Request(path="/v12/pong"), False),
        (Request(path="/"), False),
        (Request(path="/", user_agent="kube-probe/1.33"), True),
        (Request(path="/", user_agent="ELB-HealthChecker/2.0"), True),
        (Request(path="/", user_agent="curl kube-probe/"), False),
        (Request(user_agent="kube-probe/1.33"), True),
        (NO_REQUEST, False),
    ],
)
def test_excludes(request_: Request, excluded: bool) -> None:
    assert EXCLUDER.excludes(request_) is excluded


def test_nothing_by_itself() -> None:
    assert not Excluder().excludes(Request(path="/healthz", user_agent=""))
