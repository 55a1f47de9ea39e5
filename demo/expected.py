"""What is expected of the chain: the trace of each request, and of each way through the doors, in each profile."""

from demo.expectation import ExpectedSpan
from demo.hops import Hops, Profile

__all__ = ["EDGE", "INNER", "SERVER", "expected_of_doors", "expected_of_requests"]

EDGE, INNER, SERVER = "edge", "inner", "traced-server"
"""The services of the chain, in the order of a request's way."""

_SLOW_SECONDS = 0.29  # the server's 300 ms, less what a clock may be set back meanwhile


def expected_of_requests(profile: Profile) -> dict[str, ExpectedSpan]:
    """The trace of each request, by its name; all of them come through traced doors."""
    hops = Hops(profile)
    slow = _server("GET /slow", 200, least_seconds=_SLOW_SECONDS)
    slow_inner = hops.answered(INNER, 200, slow, least_seconds=_SLOW_SECONDS)
    return {
        "good": expected_of_doors(profile, edge=True, inner=True),
        "denied": hops.denied(EDGE, 403),
        "upstream error": hops.answered(EDGE, 500, hops.answered(INNER, 500, _server("GET /error", 500))),
        "no server": hops.answered(EDGE, 503, hops.without_server(INNER)),
        "slow": hops.answered(EDGE, 200, slow_inner, least_seconds=_SLOW_SECONDS),
        "client abort": hops.aborted(EDGE, hops.aborted(INNER, slow)),
    }


def expected_of_doors(profile: Profile, *, edge: bool, inner: bool) -> ExpectedSpan:
    """The trace of a request that is answered well, behind HAProxies that do or do not trace it."""
    hops = Hops(profile)
    expected = _server("GET /good", 200)
    for service, traced in ((INNER, inner), (EDGE, edge)):
        if traced:
            expected = hops.answered(service, 200, expected)
    return expected


def _server(name: str, status: int, *, least_seconds: float = 0.0) -> ExpectedSpan:
    """What the traced server says of its own answer."""
    bad = status >= 500
    work = ExpectedSpan(service=SERVER, kind="INTERNAL", name="work", is_error=bad, least_seconds=least_seconds)
    return ExpectedSpan(
        service=SERVER, kind="SERVER", name=name, http_status=status, is_error=bad, least_seconds=least_seconds, below=(work,)
    )
