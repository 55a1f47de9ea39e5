"""What has just passed: which exchanges are remembered where, in which order, and for how long."""

from collections.abc import Iterable

import pytest

from haproxy_telemetry_agent.debug import Recent
from haproxy_telemetry_agent.debug.recent import Made, Piece, end_unix_nano_of, has_failed, trace_id_of
from haproxy_telemetry_agent.records import parse_record
from haproxy_telemetry_agent.tracing import Exchange, SpanKind, TraceId
from haproxy_telemetry_agent.tracing.sampling.keep import Keeper
from haproxy_telemetry_agent.tracing.sampling.rate_limit import TokenBucket
from haproxy_telemetry_agent.wiring import Profile
from support.made import END_UNIX_NANO, Passed, connection, exchange, mini_span, passed
from support.record_factory import TRACE_ID

KILOBYTE = 1_024
UNSAMPLED = f"00-{TRACE_ID}-00f067aa0ba902b7-00"


def paths(made: Iterable[Made]) -> list[str]:
    return [one.ending.path for one in made if isinstance(one, Exchange)]


def seen(*exchanges: Passed) -> Recent:
    recent = Recent()
    for one in exchanges:
        recent.add(*one)
    return recent


def numbered(count: int, **values: str) -> list[Passed]:
    """One every 20 ms."""
    return [passed(end_unix_nano=END_UNIX_NANO + number * 20_000_000, HPO=f"/{number}", **values) for number in range(count)]


def lengths(recent: Recent) -> list[int]:
    return [len(list(made)) for made in (recent.latest(), recent.failed(), recent.slowest())]


def test_the_newest_is_first_and_the_oldest_makes_way() -> None:
    assert paths(seen(*numbered(150)).latest()) == [f"/{number}" for number in range(149, 49, -1)]


def test_of_each_moment_only_so_many_are_among_the_latest() -> None:
    at_once = [passed(HPO=f"/{number}") for number in range(150)]
    later = passed(HPO="/later", end_unix_nano=END_UNIX_NANO + 1_000_000_000)
    recent = seen(*at_once, passed(HPO="/failed", ST="500"), passed(HPO="/slow", Ta="900"))
    assert {*paths(recent.latest())} == {f"/{number}" for number in range(100)}
    assert (paths(recent.failed()), paths(recent.slowest())[0]) == (["/failed"], "/slow")
    recent.add(*later)
    assert paths(recent.latest())[0] == "/later"


def test_failures_outlive_what_comes_after_them() -> None:
    recent = seen(passed(ST="503", HPO="/failed"), *numbered(150))
    assert paths(recent.failed()) == ["/failed"]
    assert "/failed" not in paths(recent.latest())
    assert lengths(seen(*numbered(90, ST="500"))) == [90, 50, 20]


def test_the_slowest_are_first_and_the_fastest_of_them_make_way() -> None:
    exchanges = [passed(Ta=str(milliseconds), HPO=f"/{milliseconds}") for milliseconds in (5, 900, 30, 7)]
    recent = seen(*exchanges, *numbered(30))
    assert paths(recent.slowest())[:4] == ["/900", "/30", "/7", "/5"]


def test_what_was_slow_is_forgotten_after_two_turns() -> None:
    recent = seen(passed(Ta="900", HPO="/slow"))
    recent.turn()
    recent.add(*passed(Ta="5", HPO="/fast"))
    assert paths(recent.slowest()) == ["/slow", "/fast"]
    recent.turn()
    assert paths(recent.slowest()) == ["/fast"]
    recent.turn()
    assert paths(recent.slowest()) == []


def test_upgraded_and_tcp_connections_are_not_slow() -> None:
    recent = seen(passed(ST="101", Ta="900000"))
    recent.add_connection(connection(Tt="900000"), KILOBYTE)
    assert lengths(recent) == [2, 0, 0]


def test_connections_fail_too() -> None:
    recent = Recent()
    failed = connection(ts="SC")
    recent.add_connection(failed, KILOBYTE)
    recent.add_connection(connection(), KILOBYTE)
    assert list(recent.failed()) == [failed]
    assert lengths(recent) == [2, 1, 0]


def test_probes_are_nothing() -> None:
    recent = seen(passed(HM="<BADREQ>", ts="CR", ST="-1"))
    recent.add_connection(connection(s="<NOSRV>", U="0", B="0"), KILOBYTE)
    assert lengths(recent) == [0, 0, 0]


def test_it_is_bounded_in_bytes() -> None:
    recent = seen(*numbered(100, ST="500", HQ="?" + "x" * 60 * KILOBYTE))
    assert lengths(recent) == [8, 8, 8]
    recent.turn()
    recent.add(*passed(HPO="/new", Ta="1"))
    assert "/new" in paths(recent.slowest())


def test_what_is_too_large_is_passed_over_and_counted() -> None:
    recent = seen(passed(HQ="?" + "x" * 65 * KILOBYTE))
    recent.add_piece([mini_span("large")], 65 * KILOBYTE)
    recent.add_connection(connection(), 65 * KILOBYTE)
    assert (lengths(recent), recent.passed_over) == ([0, 0, 0], 3)


@pytest.mark.parametrize("profile", ["Standard", "Full"])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"ST": "503", "ts": "SC", "s": "app1", "b": "app"},
        {"traceparent": UNSAMPLED},
        {"traceparent": UNSAMPLED, "ST": "500"},
        {"traceparent": "-"},
        {"traceparent": "nonsense"},
        {"HPO": "/a\\]b", "HQ": '?q=\\"x'},
    ],
)
def test_what_is_seen_later_is_what_was_made(profile: Profile, values: dict[str, str]) -> None:
    one = passed(profile=profile, keeper=Keeper(errors=True), **values)
    assert list(seen(one).latest()) == [one.exchange]


def test_nothing_is_decided_anew() -> None:
    """Not even by a keeper that would say no by now."""
    one = passed(traceparent=UNSAMPLED, ST="500", keeper=Keeper(errors=True, bucket=TokenBucket(0.001, clock=lambda: 0.0)))
    assert [span.kind for span in one.exchange.spans] == [SpanKind.SERVER]
    assert one.tracer.trace(END_UNIX_NANO, parse_record(one.record, frozenset({b"ht@1"})).fields).spans == []
    assert list(seen(one).latest()) == [one.exchange]


def test_a_record_that_was_cut_is_made_again_as_it_was() -> None:
    one = passed(host="shop.example", HPO="/cut")
    cut = one.record[: one.record.index(b" ID=")]
    assert list(seen(one._replace(record=cut)).latest()) == [one.exchange]


def test_pieces_of_one_trace_are_put_together() -> None:
    recent = Recent()
    recent.add_piece([mini_span("child", number=2, parent=1)], KILOBYTE)
    recent.add_piece([mini_span("other", trace=2, number=3), mini_span("root", end_unix_nano=9_000)], KILOBYTE)
    names = [[span.name for span in made.spans] for made in recent.latest()]
    assert names == [["child", "root"], ["other"]]
    assert list(recent.failed()) == []
    recent.add_piece([mini_span("failed", trace=2, number=4, parent=3, failed=True)], KILOBYTE)
    assert [[span.name for span in made.spans] for made in recent.failed()] == [["other", "failed"]]


def test_a_trace_of_many_pieces_is_cut() -> None:
    recent = Recent()
    for number in range(1, 101):
        recent.add_piece([mini_span("a", number=2 * number), mini_span("b", number=2 * number + 1), mini_span("c")], KILOBYTE)
    (made,) = recent.latest()
    assert len(made.spans) == 200


def test_a_trace_is_found_wherever_it_is_remembered() -> None:
    trace_id = TraceId(bytes.fromhex(TRACE_ID))
    failed = passed(ST="500", Ta="900")
    unsampled = passed(traceparent=UNSAMPLED, end_unix_nano=END_UNIX_NANO + 1)
    by_chance = passed(traceparent="-")
    elsewhere = passed(traceparent="-", HPO=f"/{TRACE_ID}")
    mentioned = passed(traceparent=f"00-{TRACE_ID[::-1]}-00f067aa0ba902b7-01", HPO=f"/{TRACE_ID}")
    recent = seen(failed, unsampled, by_chance, elsewhere, mentioned)
    assert list(recent.of_trace(trace_id)) == [unsampled.exchange, failed.exchange]
    assert list(recent.of_trace(by_chance.exchange.spans[0].trace_id)) == [by_chance.exchange]
    recent.add_piece([mini_span("root")], KILOBYTE)
    assert len(list(recent.of_trace(TraceId((1).to_bytes(16, "big"))))) == 1
    assert list(recent.of_trace(TraceId(bytes(16)))) == []
    assert list(recent.of_trace(TraceId(b""))) == []


def test_everything_can_be_forgotten() -> None:
    recent = seen(passed(ST="500"))
    recent.add_piece([mini_span("root")], KILOBYTE)
    recent.clear()
    assert lengths(recent) == [0, 0, 0]


def test_followers_see_everything_even_what_is_too_large() -> None:
    recent = Recent()
    followed: list[Made] = []
    recent.followers = (followed.append,)
    large, small = passed(HQ="?" + "x" * 65 * KILOBYTE), connection()
    recent.add(*large)
    recent.add(*passed(HM="<BADREQ>", ts="CR", ST="-1"))
    recent.add_connection(small, KILOBYTE)
    recent.add_piece([mini_span("root")], KILOBYTE)
    assert followed == [large.exchange, small, Piece([mini_span("root")])]


@pytest.mark.parametrize(
    ("made", "failed"),
    [
        (exchange(), False),
        (exchange(ST="404"), False),
        (exchange(ST="500"), True),
        (exchange(ST="-1", ts="CC"), True),
        (exchange(ST="500", traceparent=UNSAMPLED), True),
        (exchange(ST="404", traceparent=UNSAMPLED), False),
        (connection(), False),
        (connection(ts="SC"), True),
        (connection(ts="SC", sampled=False), True),
        (connection(sampled=False), False),
        (Piece([mini_span("a"), mini_span("b", failed=True)]), True),
    ],
)
def test_what_has_failed(made: Made, failed: bool) -> None:
    assert has_failed(made) is failed


def test_ends_and_traces() -> None:
    made: list[Made] = [
        exchange(),
        exchange(traceparent=UNSAMPLED),
        exchange(traceparent="nonsense", HM="<BADREQ>", ts="PR", ST="400"),
        connection(sampled=False),
        Piece([mini_span("a", end_unix_nano=5), mini_span("b", end_unix_nano=7)]),
    ]
    traces = [trace_id_of(one) for one in made]
    assert [None if trace_id is None else trace_id.hex() for trace_id in traces[:2]] == [TRACE_ID, TRACE_ID]
    assert traces[2] not in (None, traces[0])
    assert traces[3] == TraceId(bytes.fromhex(TRACE_ID))
    assert [end_unix_nano_of(one) for one in made] == [END_UNIX_NANO] * 4 + [7]
    assert trace_id_of(exchange(traceparent="-", state="-", HM="GET")) is not None
