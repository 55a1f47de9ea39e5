"""The table of open exchanges: what leaves it, and when."""

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from haproxy_telemetry_agent.tracing.context import SpanId, TraceId
from haproxy_telemetry_agent.tracing.opened import ExchangePhase, OpenExchange, OpenSpan
from haproxy_telemetry_agent.tracing.pending import PendingTable, bytes_of_text

SILENCE_NANO = {ExchangePhase.REQUEST: 10, ExchangePhase.SERVER: 100, ExchangePhase.UPGRADED: 1_000}


def exchange_of(exchange_id: str, now: int = 0) -> OpenExchange:
    return OpenExchange(exchange_id, TraceId(b"t" * 16), None, 1, "", True, SpanId(b"s" * 8), now)


def span_of(name: str) -> OpenSpan:
    return OpenSpan(name, SpanId(b"s" * 8), None, None, 0, {})


def table_of(*, max_exchanges: int = 100, max_bytes: int = 1_000_000) -> PendingTable:
    return PendingTable(max_exchanges=max_exchanges, max_bytes=max_bytes, silence_nano=SILENCE_NANO)


def filled(table: PendingTable, **times: int) -> PendingTable:
    for exchange_id, now in times.items():
        table.add(exchange_of(exchange_id, now))
    return table


def ids(exchanges: list[OpenExchange]) -> list[str]:
    return [exchange.id for exchange in exchanges]


def test_an_exchange_is_found_by_its_id_until_it_is_removed() -> None:
    table = filled(table_of(), a=0, b=0)
    exchange = table.get("a")
    assert exchange is not None
    assert len(table) == 2
    table.remove(exchange)
    assert (table.get("a"), len(table)) == (None, 1)


@pytest.mark.parametrize("phase", ExchangePhase)
def test_silence_is_allowed_as_long_as_the_phase_says(phase: ExchangePhase) -> None:
    table = filled(table_of(), a=5)
    exchange = table.get("a")
    assert exchange is not None
    table.advance(exchange, phase)
    assert table.take_overdue(5 + SILENCE_NANO[phase] - 1, at_most=10) == []
    assert table.take_overdue(5 + SILENCE_NANO[phase], at_most=10) == [exchange]
    assert (len(table), table.size_bytes) == (0, 0)


def test_a_phase_never_goes_back() -> None:
    table = filled(table_of(), a=0)
    exchange = table.get("a")
    assert exchange is not None
    table.advance(exchange, ExchangePhase.UPGRADED)
    table.advance(exchange, ExchangePhase.SERVER)
    assert exchange.phase is ExchangePhase.UPGRADED


def test_activity_renews() -> None:
    table = filled(table_of(), a=0, b=1)
    first = table.get("a")
    assert first is not None
    table.renew(first, 9)
    assert ids(table.take_overdue(11, at_most=10)) == ["b"]
    assert ids(table.take_overdue(19, at_most=10)) == ["a"]


def test_a_clock_that_is_set_back_makes_nothing_older() -> None:
    exchange = exchange_of("a", 50)
    table = table_of()
    table.add(exchange)
    table.renew(exchange, 10)
    assert exchange.last_unix_nano == 50


def test_no_more_leave_at_once_than_is_asked_for() -> None:
    table = filled(table_of(), a=0, b=0, c=0)
    assert ids(table.take_overdue(100, at_most=2)) == ["a", "b"]
    assert ids(table.take_overdue(100, at_most=2)) == ["c"]


def test_what_was_silent_for_longest_makes_room() -> None:
    table = filled(table_of(max_exchanges=2), a=0, b=1, c=2)
    first = table.get("a")
    assert first is not None
    table.advance(first, ExchangePhase.SERVER)
    assert ids(table.take_excess()) == ["a"]
    table.add(exchange_of("d", 3))
    second = table.get("b")
    assert second is not None
    table.renew(second, 4)
    assert ids(table.take_excess()) == ["c"]


def test_bytes_are_bounded_too() -> None:
    table = filled(table_of(max_bytes=10_000), a=0, b=1)
    assert table.take_excess() == []
    last = table.get("b")
    assert last is not None
    table.charge(last, 9_000)
    assert ids(table.take_excess()) == ["a"]
    table.charge(last, 9_000)
    assert ids(table.take_excess()) == ["b"]
    assert table.size_bytes == 0


def test_everything_can_be_taken() -> None:
    table = filled(table_of(), a=0, b=0)
    assert ids(table.take_all()) == ["a", "b"]
    assert (len(table), table.size_bytes) == (0, 0)


def test_text_beyond_ascii_takes_more() -> None:
    assert bytes_of_text("") < bytes_of_text("abc") < bytes_of_text("abé")


class TableMachine(RuleBasedStateMachine):
    """Whatever is done: the sum is the sum, and it stays within its bounds."""

    @initialize()
    def make(self) -> None:
        self.table = table_of(max_exchanges=5, max_bytes=20_000)
        self.now = 0
        self.known: dict[str, OpenExchange] = {}

    def forget(self, exchanges: list[OpenExchange]) -> None:
        for exchange in exchanges:
            del self.known[exchange.id]

    @rule(name=st.sampled_from("abcdefgh"))
    def add(self, name: str) -> None:
        if self.table.get(name) is None:
            self.known[name] = exchange_of(name, self.now)
            self.table.add(self.known[name])
            self.forget(self.table.take_excess())

    @rule(time=st.integers(0, 30))
    def pass_time(self, time: int) -> None:
        self.now += time
        self.forget(self.table.take_overdue(self.now, at_most=2))

    @precondition(lambda self: self.known)
    @rule(data=st.data(), name=st.sampled_from("xyz"), size=st.integers(0, 5_000), phase=st.sampled_from(ExchangePhase))
    def act(self, data: st.DataObject, name: str, size: int, phase: ExchangePhase) -> None:
        exchange = self.known[data.draw(st.sampled_from(sorted(self.known)))]
        self.table.renew(exchange, self.now)
        self.table.advance(exchange, phase)
        span = exchange.spans.get(name)
        if span is None:
            span = span_of(name)
            self.table.open_span(exchange, span)
            self.table.charge(exchange, size, span)
        else:
            self.table.close_span(exchange, span)
        self.forget(self.table.take_excess())

    @invariant()
    def it_holds_what_it_says(self) -> None:
        if not hasattr(self, "table"):
            return
        assert len(self.table) == len(self.known) <= 5
        assert self.table.size_bytes == sum(exchange.size_bytes for exchange in self.known.values()) <= 20_000
        for exchange in self.known.values():
            assert self.table.get(exchange.id) is exchange
            assert 0 < exchange.size_bytes - sum(span.size_bytes for span in exchange.spans.values()) < 2_000


TestTable = TableMachine.TestCase
