"""Who follows the agent live: what they see, what they lose, and that nobody waits for them."""

import asyncio

import pytest

from haproxy_telemetry_agent.debug import Recent
from haproxy_telemetry_agent.debug.recent import Made, Piece
from haproxy_telemetry_agent.debug.tails import MAX_TAILS, Tail, TailFilter, Tails
from support.made import connection, exchange, mini_span, passed
from support.record_factory import TRACE_ID

ALL = TailFilter()
UNSAMPLED = f"00-{TRACE_ID}-00f067aa0ba902b7-00"
SILENCE_SECONDS = 60.0


def followed(recent: Recent, tails: Tails, wanted: TailFilter = ALL) -> Tail:
    tail = tails.follow(wanted)
    assert tail is not None
    assert len(recent.followers) == len(tails)
    return tail


async def rest(tail: Tail) -> list[Made | int | None]:
    """All that comes until its end."""
    tail.end()
    return [event async for event in tail.exchanges(SILENCE_SECONDS)]


async def test_what_comes_is_seen_in_order() -> None:
    recent = Recent()
    tails = Tails(recent)
    one, two = passed(HPO="/1"), passed(HPO="/2", ST="500")
    recent.add(*passed(HPO="/before"))
    tail = followed(recent, tails)
    recent.add(*one)
    recent.add(*two)
    assert await rest(tail) == [one.exchange, two.exchange]
    tails.leave(tail)
    assert (recent.followers, len(tails)) == ((), 0)


async def test_who_waits_is_woken() -> None:
    tail = Tail(ALL)
    events = tail.exchanges(SILENCE_SECONDS)
    waiting = asyncio.ensure_future(anext(events))
    await asyncio.sleep(0)
    made = exchange()
    tail.put(made)
    assert await waiting == made
    waiting = asyncio.ensure_future(anext(events, None))
    await asyncio.sleep(0)
    tail.end()
    assert await waiting is None


@pytest.mark.looptime
async def test_silence_is_told() -> None:
    events = Tail(ALL).exchanges(10.0)
    before = asyncio.get_running_loop().time()
    assert await anext(events) is None
    assert asyncio.get_running_loop().time() - before == pytest.approx(10.0)


async def test_a_slow_reader_loses_and_is_told_how_many() -> None:
    tail = Tail(ALL)
    made = exchange()
    for _ in range(1_007):
        tail.put(made)
    assert await rest(tail) == [made] * 1_000 + [7]


async def test_there_is_a_most() -> None:
    recent = Recent()
    tails = Tails(recent)
    several = [followed(recent, tails) for _ in range(MAX_TAILS)]
    assert tails.follow(ALL) is None
    tails.leave(several[0])
    assert tails.follow(ALL) is not None
    tails.end()
    assert [event for tail in several[1:] async for event in tail.exchanges(SILENCE_SECONDS)] == []


@pytest.mark.parametrize(
    ("wanted", "made", "wants"),
    [
        (TailFilter(), exchange(), True),
        (TailFilter(), exchange(traceparent=UNSAMPLED), False),
        (TailFilter(unsampled=True), exchange(traceparent=UNSAMPLED), True),
        (TailFilter(errors=True), exchange(), False),
        (TailFilter(errors=True), exchange(ST="503"), True),
        (TailFilter(errors=True, unsampled=True), exchange(ST="503", traceparent=UNSAMPLED), True),
        (TailFilter(frontend="edge"), exchange(), True),
        (TailFilter(frontend="other"), exchange(), False),
        (TailFilter(frontend="mail"), connection(), True),
        (TailFilter(frontend="mail"), Piece([mini_span("root")]), False),
        (TailFilter(slower_than_seconds=0.5), exchange(Ta="500"), True),
        (TailFilter(slower_than_seconds=0.5), exchange(Ta="499"), False),
        (TailFilter(slower_than_seconds=0.5), connection(Tt="600"), True),
        (TailFilter(slower_than_seconds=0.5), connection(Tt="400"), False),
        (TailFilter(slower_than_seconds=0.5, unsampled=True), connection(Tt="600", sampled=False), True),
        (TailFilter(slower_than_seconds=0.5), Piece([mini_span("root", end_unix_nano=600_000_000)]), True),
    ],
)
def test_what_is_wanted(wanted: TailFilter, made: Made, wants: bool) -> None:
    assert wanted.wants(made) is wants
