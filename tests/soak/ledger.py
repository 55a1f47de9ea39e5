"""The ledger says what became of each request: which spans its trace has got, and which it should have."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from soak.load import CALLER, Request
from support.otlp_sink import SinkSpan

__all__ = ["SPANS_OF_AN_EXCHANGE", "Account", "Ledger"]

SPANS_OF_AN_EXCHANGE = 2
"""A SERVER and a CLIENT span, in profile Standard."""


@dataclass(slots=True)
class Account:
    """What became of some requests."""

    expected: int
    """Spans that should be there."""
    seen: int = 0
    """Those of them that are, each counted once."""
    twice: int = 0
    """How many came once more than that, with the same ids."""
    half: list[str] = field(default_factory=list)
    """Traces with one span of the two."""
    wrong: list[str] = field(default_factory=list)
    """Spans that nobody should have made, and what is wrong with them."""

    @property
    def lost(self) -> int:
        """Spans that are not there."""
        return self.expected - self.seen


class Ledger:
    """Takes spans as they come, and accounts for requests."""

    def __init__(self) -> None:
        self._spans: dict[str, Counter[tuple[str, str, str]]] = {}

    def take(self, spans: Iterable[SinkSpan]) -> None:
        """Spans have arrived."""
        for span in spans:
            self._spans.setdefault(span.trace_id, Counter())[span.kind, span.span_id, span.parent_span_id] += 1

    def account(self, requests: Sequence[Request]) -> Account:
        """What became of these requests."""
        account = Account(expected=SPANS_OF_AN_EXCHANGE * len(requests))
        for request in requests:
            spans = self._spans.get(request.trace_id, Counter())
            account.twice += spans.total() - len(spans)
            servers = [(span_id, parent) for kind, span_id, parent in spans if kind == "SERVER"]
            clients = [(span_id, parent) for kind, span_id, parent in spans if kind == "CLIENT"]
            account.seen += bool(servers) + bool(clients)
            if len(servers) != len(clients):
                account.half.append(request.trace_id)
            if len(spans) > SPANS_OF_AN_EXCHANGE:
                account.wrong.append(f"trace {request.trace_id} has {len(servers)} SERVER and {len(clients)} CLIENT spans")
            if any(parent != CALLER for _, parent in servers):
                account.wrong.append(f"trace {request.trace_id}: its SERVER span is no child of the caller's")
            if any(span_id != request.told_span_id for span_id, _ in clients):
                account.wrong.append(
                    f"trace {request.trace_id}: the server was told of {request.told_span_id or 'no span'}, not of this CLIENT span"
                )
            if any(parent not in dict(servers) for _, parent in clients if servers):
                account.wrong.append(f"trace {request.trace_id}: its CLIENT span is no child of its SERVER span")
        return account

    def forget(self, requests: Iterable[Request]) -> None:
        """These are accounted for: hours of soaking take no more memory than minutes."""
        for request in requests:
            self._spans.pop(request.trace_id, None)
