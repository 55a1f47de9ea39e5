"""The table of open exchanges: the only one of the agent's.

Messages in the mini-language bring nothing along but an id, and HAProxy does not tell when an exchange ends early (denied, no
server, client gone). So the table forgets by itself: what has been silent for longer than its phase allows, and, where it holds too
many exchanges or too many bytes, what has been silent for longest.
"""

from collections import OrderedDict

from .opened import ExchangePhase, OpenExchange, OpenSpan

__all__ = ["PendingTable", "bytes_of_text"]

# Estimates of what Python takes (tracemalloc says a quarter less).
_EXCHANGE_BYTES = 700
_SPAN_BYTES = 450


class PendingTable:
    """Open exchanges by id, bounded.

    Args:
        max_exchanges: how many it holds.
        max_bytes: how much they may take together, as far as can be estimated.
        silence_nano: how long an exchange may be silent in each phase.
    """

    __slots__ = ("_by_phase", "_entries", "_max_bytes", "_max_exchanges", "_silence_nano", "size_bytes")

    def __init__(self, *, max_exchanges: int, max_bytes: int, silence_nano: dict[ExchangePhase, int]) -> None:
        self._max_exchanges = max_exchanges
        self._max_bytes = max_bytes
        self._silence_nano = [silence_nano[phase] for phase in ExchangePhase]
        self._entries: dict[str, OpenExchange] = {}
        # One order a phase, the longest silent first: what is overdue is at the front, and nobody has to look at the rest.
        self._by_phase: list[OrderedDict[str, OpenExchange]] = [OrderedDict() for _ in ExchangePhase]
        self.size_bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, exchange_id: str) -> OpenExchange | None:
        """The open exchange of this id."""
        return self._entries.get(exchange_id)

    def add(self, exchange: OpenExchange) -> None:
        """Take a new exchange, whose id must not be open."""
        self._entries[exchange.id] = exchange
        self._by_phase[exchange.phase][exchange.id] = exchange
        self.charge(exchange, _EXCHANGE_BYTES + 2 * bytes_of_text(exchange.id) + bytes_of_text(exchange.tracestate))

    def remove(self, exchange: OpenExchange) -> None:
        """Forget an exchange."""
        del self._entries[exchange.id]
        del self._by_phase[exchange.phase][exchange.id]
        self.size_bytes -= exchange.size_bytes

    def renew(self, exchange: OpenExchange, now_unix_nano: int) -> None:
        """The exchange has told something now."""
        exchange.last_unix_nano = max(exchange.last_unix_nano, now_unix_nano)
        self._by_phase[exchange.phase].move_to_end(exchange.id)

    def advance(self, exchange: OpenExchange, phase: ExchangePhase) -> None:
        """The exchange has come as far as ``phase``."""
        if phase > exchange.phase:
            del self._by_phase[exchange.phase][exchange.id]
            exchange.phase = phase
            self._by_phase[phase][exchange.id] = exchange

    def open_span(self, exchange: OpenExchange, span: OpenSpan) -> None:
        """Add a span to an exchange that is in the table."""
        exchange.spans[span.name] = span
        self.charge(exchange, _SPAN_BYTES + bytes_of_text(span.name), span)

    def close_span(self, exchange: OpenExchange, span: OpenSpan) -> None:
        """Take a span away from its exchange."""
        del exchange.spans[span.name]
        exchange.has_finished_spans = True
        self.charge(exchange, -span.size_bytes)

    def charge(self, exchange: OpenExchange, count_bytes: int, span: OpenSpan | None = None) -> None:
        """An exchange in the table, or a span of it, has grown."""
        exchange.size_bytes += count_bytes
        self.size_bytes += count_bytes
        if span is not None:
            span.size_bytes += count_bytes

    def take_overdue(self, now_unix_nano: int, *, at_most: int) -> list[OpenExchange]:
        """Remove and return up to ``at_most`` that have been silent for too long."""
        overdue: list[OpenExchange] = []
        for phase, silence_nano in zip(self._by_phase, self._silence_nano, strict=True):
            while phase and len(overdue) < at_most:
                exchange = next(iter(phase.values()))
                if exchange.last_unix_nano + silence_nano > now_unix_nano:
                    break
                self.remove(exchange)
                overdue.append(exchange)
        return overdue

    def take_excess(self) -> list[OpenExchange]:
        """Remove and return what does not fit, the longest silent first."""
        excess: list[OpenExchange] = []
        while len(self._entries) > self._max_exchanges or (self.size_bytes > self._max_bytes and self._entries):
            oldest = min((next(iter(phase.values())) for phase in self._by_phase if phase), key=lambda it: it.last_unix_nano)
            self.remove(oldest)
            excess.append(oldest)
        return excess

    def take_all(self) -> list[OpenExchange]:
        """Remove and return everything."""
        exchanges = list(self._entries.values())
        for exchange in exchanges:
            self.remove(exchange)
        return exchanges


def bytes_of_text(text: str) -> int:
    """What a text takes in memory, about."""
    return 50 + (len(text) if text.isascii() else 4 * len(text))
