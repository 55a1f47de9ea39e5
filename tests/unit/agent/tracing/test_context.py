"""Ids: random, never zero, and two of one."""

import random
from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.context import (
    MAX_DERIVED_SPAN_IDS,
    IdGenerator,
    SpanContext,
    SpanId,
    TraceId,
    derived_span_id,
    server_span_id,
)

SPAN_IDS = st.binary(min_size=8, max_size=8).map(SpanId)


def scripted(*numbers: int) -> Callable[[int], int]:
    """A source of "random" numbers that are known."""
    left: Iterator[int] = iter(numbers)
    return lambda _bits: next(left)


def test_ids_are_as_long_as_they_must_be_and_differ() -> None:
    ids = IdGenerator(random.Random(1).getrandbits)
    trace_ids = {ids.trace_id() for _ in range(100)}
    span_ids = {ids.span_id() for _ in range(100)}
    assert {len(trace_id) for trace_id in trace_ids} == {16}
    assert {len(span_id) for span_id in span_ids} == {8}
    assert len(trace_ids) == len(span_ids) == 100


def test_an_id_is_never_zero() -> None:
    assert IdGenerator(scripted(0, 0, 7)).trace_id() == (7).to_bytes(16, "big")
    assert IdGenerator(scripted(0, 0, 7)).span_id() == (7).to_bytes(8, "big")


def test_nor_is_the_id_made_of_it() -> None:
    mask = int.from_bytes(server_span_id(SpanId(bytes(8))), "big")
    assert IdGenerator(scripted(mask, mask | 0xFF, 7)).span_id() == (7).to_bytes(8, "big")


@given(client=SPAN_IDS)
def test_the_two_ids_of_an_exchange_differ_and_tell_of_each_other(client: SpanId) -> None:
    server = server_span_id(client)
    assert len(server) == 8
    assert server != client
    assert server_span_id(server) == client


@given(client=SPAN_IDS)
def test_all_ids_of_an_exchange_differ(client: SpanId) -> None:
    assert len({client, *(derived_span_id(client, number) for number in range(MAX_DERIVED_SPAN_IDS + 1))}) == 257


@pytest.mark.parametrize(("flags", "sampled"), [(0, False), (1, True), (2, False), (3, True)])
def test_sampled_is_one_flag_of_several(flags: int, sampled: bool) -> None:
    assert SpanContext(TraceId(bytes(16)), SpanId(bytes(8)), flags).sampled is sampled
