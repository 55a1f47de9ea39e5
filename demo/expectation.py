"""An expectation says what the trace of a request must look like, span by span; its differences say what does not.

It is a tree: below each span stand those whose parent it is. Which of them begins first is not told, for the clocks of two programs
may disagree by as much as they are apart; where one follows from another, a link says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from demo.trace import Trace
from support.otlp_sink import SinkSpan

__all__ = ["ExpectedSpan", "differences"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpectedSpan:
    """What must be true of a span, its place included."""

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
    follows: str | None = None
    """The name of the sibling that it must have a link to and not begin before; None when it must have no link."""
    below: tuple["ExpectedSpan", ...] = ()
    """Its children, in any order."""

    @property
    def count(self) -> int:
        """How many spans it is, with all below it."""
        return 1 + sum(span.count for span in self.below)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What tells it from its siblings."""
        return self.service, self.kind, self.name

    def __str__(self) -> str:
        return " ".join(self.identity)

    def differences(self, trace: Trace, span: SinkSpan) -> list[str]:
        """In words, what is not as it should be with a span of its identity, and below it."""
        compared: list[tuple[str, object, object]] = []
        if self.is_aborted:
            compared.append(("ended by the client", str(span.attributes.get("haproxy.termination_state"))[:1], "C"))
        else:
            compared.append(("status of the answer", span.attributes.get("http.response.status_code"), self.http_status))
            compared.append(("is an error", span.status_code == "ERROR", self.is_error))
        followed = trace.followed(span)
        compared.append(("number of links", len(span.links), int(self.follows is not None)))
        compared.append(("follows from", followed and followed.name, self.follows))
        found = [f"{what}: {there!r} instead of {wanted!r}" for what, there, wanted in compared if there != wanted]
        if followed is not None and span.start_unix_nano < followed.start_unix_nano:
            found.append(f"begins before {followed.name}, which it follows from")
        if span.seconds < self.least_seconds:
            found.append(f"took {span.seconds:.3f} s, less than {self.least_seconds:g} s")
        return [f"{self}: {text}" for text in found] + self._differences_below(trace, trace.children(span))

    def _differences_below(self, trace: Trace, children: Sequence[SinkSpan]) -> list[str]:
        left = list(children)
        found: list[str] = []
        for expected in self.below:
            child = next((child for child in left if _identity(child) == expected.identity), None)
            if child is None:
                found.append(f"no {expected} below {self}")
            else:
                left.remove(child)
                found += expected.differences(trace, child)
        return found + [f"{' '.join(_identity(child))} below {self}, where none should be" for child in left]


def differences(expected: ExpectedSpan, traces: Sequence[Trace]) -> list[str]:
    """What is wrong with the traces of one request, in words; nothing when they are one trace, linked, and as expected."""
    if len(traces) != 1:
        return [f"{len(traces)} traces instead of one"]
    trace = traces[0]
    if len(trace.roots) != 1:
        return [f"its spans are not linked: {len(trace.roots)} of them have a parent that is not there"]
    if len(trace.spans) != expected.count:
        return [f"{len(trace.spans)} spans instead of {expected.count}"]
    root = trace.roots[0]
    if _identity(root) != expected.identity:
        return [f"begins with {' '.join(_identity(root))}, not with {expected}"]
    return expected.differences(trace, root)


def _identity(span: SinkSpan) -> tuple[str, str, str]:
    return span.service, span.kind, span.name
