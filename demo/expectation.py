"""An expectation says what the trace of a request must look like, span by span; its differences say what does not.

In this chain every span has at most one child, so a trace is written down as a list from the first span to the last.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from demo.trace import Row, Trace

__all__ = ["EDGE", "EXPECTED", "INNER", "SERVER", "ExpectedSpan", "differences", "through"]

EDGE, INNER, SERVER = "edge", "inner", "traced-server"
"""The services of the chain, in the order of a request's way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedSpan:
    """What must be true of a span, besides its place."""

    service: str
    kind: str
    name: str = "GET"
    http_status: int | None = None
    """The status of the answer; None when there must be none."""
    is_error: bool = False
    is_aborted: bool = False
    """HAProxy says that the client ended it. Status and error are then HAProxy's affair: some versions note a 400 that went
    to nobody, some no answer at all."""
    least_seconds: float = 0.0

    def differences(self, row: Row) -> list[str]:
        """In words, what is not as it should be."""
        span = row.span
        compared: list[tuple[str, object, object]] = [
            ("service", span.service, self.service),
            ("kind", span.kind, self.kind),
            ("name", span.name, self.name),
        ]
        if self.is_aborted:
            compared.append(("ended by the client", str(span.attributes.get("haproxy.termination_state"))[:1], "C"))
        else:
            compared.append(("status of the answer", span.attributes.get("http.response.status_code"), self.http_status))
            compared.append(("is an error", span.status_code == "ERROR", self.is_error))
        found = [f"{what}: {there!r} instead of {wanted!r}" for what, there, wanted in compared if there != wanted]
        if span.seconds < self.least_seconds:
            found.append(f"took {span.seconds:.3f} s, less than {self.least_seconds:g} s")
        return [f"{self.service} {self.kind}: {text}" for text in found]


def differences(expected: Sequence[ExpectedSpan], traces: Sequence[Trace]) -> list[str]:
    """What is wrong with the traces of one request, in words; nothing when they are one trace, linked, and as expected."""
    if len(traces) != 1:
        return [f"{len(traces)} traces instead of one"]
    rows = list(traces[0].rows())
    if len(traces[0].roots) != 1 or [row.depth for row in rows] != list(range(len(rows))):
        return ["its spans are not linked one below the other"]
    if len(rows) != len(expected):
        return [f"{len(rows)} spans instead of {len(expected)}"]
    return [text for span, row in zip(expected, rows, strict=True) for text in span.differences(row)]


def through(*, edge: bool = True, inner: bool = True) -> tuple[ExpectedSpan, ...]:
    """The spans of a request that is answered well, behind HAProxies that do or do not trace it."""
    proxies = [service for service, traced in ((EDGE, edge), (INNER, inner)) if traced]
    return (*(span for service in proxies for span in _hop(service, 200)), *_server("GET /good", 200))


def _hop(service: str, status: int, *, least_seconds: float = 0.0) -> tuple[ExpectedSpan, ExpectedSpan]:
    """What one HAProxy says of an answer that it passes on."""
    bad = status >= 500
    server, client = (
        ExpectedSpan(service=service, kind=kind, http_status=status, is_error=bad, least_seconds=least_seconds)
        for kind in ("SERVER", "CLIENT")
    )
    return server, client


def _server(name: str, status: int, *, least_seconds: float = 0.0) -> tuple[ExpectedSpan, ExpectedSpan]:
    """What the traced server says of its own answer."""
    bad = status >= 500
    return (
        ExpectedSpan(service=SERVER, kind="SERVER", name=name, http_status=status, is_error=bad, least_seconds=least_seconds),
        ExpectedSpan(service=SERVER, kind="INTERNAL", name="work", is_error=bad, least_seconds=least_seconds),
    )


def _aborted(service: str) -> tuple[ExpectedSpan, ExpectedSpan]:
    """What one HAProxy says when the client left before there was an answer: the server did no wrong."""
    return (
        ExpectedSpan(service=service, kind="SERVER", is_aborted=True),
        ExpectedSpan(service=service, kind="CLIENT"),
    )


SLOW_SECONDS = 0.29  # the server's 300 ms, less what a clock may be set back meanwhile

EXPECTED: dict[str, tuple[ExpectedSpan, ...]] = {
    "good": through(),
    "denied": (ExpectedSpan(service=EDGE, kind="SERVER", http_status=403),),
    "upstream error": (*_hop(EDGE, 500), *_hop(INNER, 500), *_server("GET /error", 500)),
    "no server": (*_hop(EDGE, 503), ExpectedSpan(service=INNER, kind="SERVER", http_status=503, is_error=True)),
    "slow": (
        *_hop(EDGE, 200, least_seconds=SLOW_SECONDS),
        *_hop(INNER, 200, least_seconds=SLOW_SECONDS),
        *_server("GET /slow", 200, least_seconds=SLOW_SECONDS),
    ),
    "client abort": (*_aborted(EDGE), *_aborted(INNER), *_server("GET /slow", 200, least_seconds=SLOW_SECONDS)),
}
"""The trace of each request, by its name."""
