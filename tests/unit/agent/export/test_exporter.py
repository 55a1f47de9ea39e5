"""The export worker, with a collector that does what it is told and a clock that runs as fast as nothing happens.

Whatever the collector does: what was offered is exported or counted as dropped.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.export.exporter import BatchPolicy, Exporter, Result
from haproxy_telemetry_agent.export.queue import SpanQueue
from haproxy_telemetry_agent.export.retry import Backoff, Verdict

pytestmark = pytest.mark.looptime

DELIVERED = Result(Verdict.DELIVERED, "200")
UNAVAILABLE = Result(Verdict.RETRY, "503", "try later")
REJECTED = Result(Verdict.REJECTED, "400", "no such thing")

MAX_BATCH, DELAY, RETRY = 3, 5.0, 61.0


class Collector:
    """A transport that answers from a script, then well; and tells when it was asked what."""

    def __init__(self, *script: Result, seconds: float = 0.0) -> None:
        self.script = [*script]
        self.seconds = seconds
        self.requests: list[tuple[float, list[bytes]]] = []
        self.closed = False

    async def send(self, spans: list[bytes]) -> Result:
        self.requests.append((asyncio.get_running_loop().time(), spans))
        await asyncio.sleep(self.seconds)
        return self.script.pop(0) if self.script else DELIVERED

    async def close(self) -> None:
        self.closed = True


class Counts:
    """An observer that remembers."""

    def __init__(self) -> None:
        self.exported_count = 0
        self.dropped_counts: Counter[str] = Counter()
        self.codes: list[str] = []
        self.durations: list[float] = []

    def exported(self, spans: int) -> None:
        self.exported_count += spans

    def dropped(self, spans: int, reason: str) -> None:
        self.dropped_counts[reason] += spans

    def requested(self, result: Result, duration_seconds: float) -> None:
        self.codes.append(result.code)
        self.durations.append(duration_seconds)


class Setup:
    """An exporter with all that is around it."""

    def __init__(self, collector: Collector, *, max_queue: int = 100, drop_oldest: bool = False) -> None:
        self.collector = collector
        self.counts = Counts()
        self.offered = 0
        self.exporter = Exporter(
            transport=collector,
            queue=SpanQueue(max_spans=max_queue, max_bytes=10_000, drop_oldest=drop_oldest),
            policy=BatchPolicy(MAX_BATCH, DELAY, RETRY),
            backoff=Backoff(random=lambda: 1.0, initial_seconds=1, max_seconds=30),
            observer=self.counts,
        )

    def offer(self, count: int) -> None:
        for _ in range(count):
            self.exporter.offer(b"%d" % self.offered)
            self.offered += 1

    async def close(self, timeout_seconds: float = 1000) -> None:
        await self.exporter.close(timeout_seconds)
        assert self.collector.closed
        assert self.offered == self.counts.exported_count + self.counts.dropped_counts.total()


@pytest.fixture
async def started() -> AsyncIterator[Callable[..., Setup]]:
    """Starts exporters, and ends those that the test has not closed."""
    setups: list[Setup] = []

    def start(*script: Result, seconds: float = 0.0, max_queue: int = 100) -> Setup:
        setup = Setup(Collector(*script, seconds=seconds), max_queue=max_queue)
        setup.exporter.start()
        setups.append(setup)
        return setup

    yield start
    for setup in setups:
        if not setup.collector.closed:
            await setup.close(timeout_seconds=0)


Start = Callable[..., Setup]


class TestBatches:
    async def test_a_full_one_leaves_at_once(self, started: Start) -> None:
        setup = started()
        setup.offer(MAX_BATCH)
        await asyncio.sleep(0.001)
        assert setup.collector.requests == [(0, [b"0", b"1", b"2"])]

    async def test_the_first_span_waits_no_longer_than_the_delay(self, started: Start) -> None:
        setup = started()
        await asyncio.sleep(100)
        setup.offer(1)
        await asyncio.sleep(DELAY - 1)
        setup.offer(1)
        assert setup.collector.requests == []
        await asyncio.sleep(1.001)
        assert setup.collector.requests == [(100 + DELAY, [b"0", b"1"])]

    async def test_nor_if_it_came_while_another_batch_was_sent(self, started: Start) -> None:
        setup = started(seconds=DELAY - 1)
        setup.offer(MAX_BATCH)
        await asyncio.sleep(1)
        setup.offer(1)
        await asyncio.sleep(20)
        assert [time for time, _spans in setup.collector.requests] == [0, 1 + DELAY]

    async def test_what_does_not_fit_in_one_goes_into_the_next(self, started: Start) -> None:
        setup = started()
        setup.offer(2 * MAX_BATCH + 1)
        await asyncio.sleep(DELAY + 0.001)
        assert [spans for _time, spans in setup.collector.requests] == [[b"0", b"1", b"2"], [b"3", b"4", b"5"], [b"6"]]
        assert [time for time, _spans in setup.collector.requests] == [0, 0, DELAY]

    async def test_one_at_a_time(self, started: Start) -> None:
        setup = started(seconds=7)
        setup.offer(3 * MAX_BATCH)
        await asyncio.sleep(30)
        assert [time for time, _spans in setup.collector.requests] == [0, 7, 14]
        assert setup.counts.durations == [7, 7, 7]

    async def test_nothing_to_send_is_not_sent(self, started: Start) -> None:
        setup = started()
        await asyncio.sleep(1000)
        await setup.close()
        assert setup.collector.requests == []


class TestAnswers:
    async def test_delivered(self, started: Start) -> None:
        setup = started()
        setup.offer(MAX_BATCH)
        await setup.close()
        assert (setup.counts.exported_count, setup.counts.dropped_counts) == (MAX_BATCH, {})
        assert setup.counts.codes == ["200"]

    async def test_tried_again_with_growing_waits_until_it_is(self, started: Start) -> None:
        setup = started(UNAVAILABLE, UNAVAILABLE, UNAVAILABLE)
        setup.offer(MAX_BATCH)
        await asyncio.sleep(50)
        assert [time for time, _spans in setup.collector.requests] == [0, 1, 3, 7]
        assert all(spans == [b"0", b"1", b"2"] for _time, spans in setup.collector.requests)
        assert setup.counts.codes == ["503", "503", "503", "200"]
        assert setup.counts.exported_count == MAX_BATCH

    async def test_waits_begin_anew_after_a_delivery(self, started: Start) -> None:
        setup = started(UNAVAILABLE, UNAVAILABLE, DELIVERED, UNAVAILABLE)
        setup.offer(2 * MAX_BATCH)
        await asyncio.sleep(50)
        assert [time for time, _spans in setup.collector.requests] == [0, 1, 3, 3, 4]

    async def test_the_collectors_own_wish(self, started: Start) -> None:
        setup = started(Result(Verdict.RETRY, "429", retry_after_seconds=20))
        setup.offer(MAX_BATCH)
        await asyncio.sleep(50)
        assert [time for time, _spans in setup.collector.requests] == [0, 20]

    async def test_tried_no_longer_than_was_set(self, started: Start, caplog: pytest.LogCaptureFixture) -> None:
        setup = started(*[UNAVAILABLE] * 100)
        setup.offer(MAX_BATCH)
        await asyncio.sleep(RETRY + 1)
        # Waits of 1, 2, 4, 8, 16 and 30 seconds; another 30 would be beyond the limit.
        assert [time for time, _spans in setup.collector.requests] == [0, 1, 3, 7, 15, 31, 61]
        assert setup.counts.dropped_counts == {"retry_exhausted": MAX_BATCH}
        assert "3 spans dropped (retry_exhausted): collector answered 503 try later" in caplog.messages

    async def test_rejected(self, started: Start, caplog: pytest.LogCaptureFixture) -> None:
        setup = started(REJECTED)
        setup.offer(2 * MAX_BATCH)
        await asyncio.sleep(1)
        assert setup.counts.dropped_counts == {"rejected": MAX_BATCH}
        assert setup.counts.exported_count == MAX_BATCH, "the next batch has its own chance"
        assert "3 spans dropped (rejected): collector answered 400 no such thing" in caplog.messages

    @pytest.mark.parametrize(("rejected", "counted"), [(0, 0), (1, 1), (3, 3), (50, 3)])
    async def test_partial_success(self, started: Start, rejected: int, counted: int) -> None:
        setup = started(Result(Verdict.DELIVERED, "200", "too old", rejected_spans=rejected))
        setup.offer(MAX_BATCH)
        await asyncio.sleep(1)
        assert len(setup.collector.requests) == 1, "what was refused is not sent again"
        assert setup.counts.exported_count == MAX_BATCH - counted
        assert setup.counts.dropped_counts["rejected"] == counted

    @pytest.mark.parametrize(("result", "warned"), [(DELIVERED, False), (Result(Verdict.DELIVERED, "200", "mind the gap"), True)])
    async def test_a_delivery_is_worth_a_word_only_if_the_collector_has_one(
        self, started: Start, caplog: pytest.LogCaptureFixture, result: Result, warned: bool
    ) -> None:
        setup = started(result)
        setup.offer(MAX_BATCH)
        await setup.close()
        assert any("mind the gap" in message for message in caplog.messages) is warned
        assert any(record.levelno >= logging.WARNING for record in caplog.records) is warned


class Broken(Collector):
    """A transport with a bug of its own: its first request raises."""

    async def send(self, spans: list[bytes]) -> Result:
        result = await super().send(spans)
        if len(self.requests) == 1:
            raise ValueError("headers that cannot be sent")
        return result


async def test_a_transport_that_raises_costs_its_batch_and_not_the_exporter() -> None:
    setup = Setup(Broken())
    setup.exporter.start()
    setup.offer(2 * MAX_BATCH)
    await asyncio.sleep(RETRY)
    await setup.close()
    worker = setup.exporter._task
    assert worker is not None
    assert worker.exception() is None
    assert setup.counts.exported_count >= MAX_BATCH


class TestFull:
    async def test_what_finds_no_room_is_counted(self, started: Start) -> None:
        setup = started(seconds=10, max_queue=4)
        setup.offer(7)
        assert setup.counts.dropped_counts == {"queue_full": 3}
        await asyncio.sleep(1)
        setup.offer(4)
        assert setup.counts.dropped_counts == {"queue_full": 4}

    async def test_a_batch_that_is_tried_again_holds_up_the_rest_and_loses_none_of_it(self, started: Start) -> None:
        setup = started(*[UNAVAILABLE] * 3, max_queue=MAX_BATCH)
        setup.offer(MAX_BATCH)
        await asyncio.sleep(0.5)
        setup.offer(MAX_BATCH + 1)
        await asyncio.sleep(50)
        assert setup.counts.exported_count == 2 * MAX_BATCH
        assert setup.counts.dropped_counts == {"queue_full": 1}


async def test_the_oldest_are_dropped_and_counted_where_that_was_chosen() -> None:
    setup = Setup(Collector(seconds=10), max_queue=MAX_BATCH, drop_oldest=True)
    setup.exporter.start()
    setup.offer(MAX_BATCH)
    await asyncio.sleep(1)
    setup.offer(MAX_BATCH + 2)
    assert setup.counts.dropped_counts == {"queue_full": 2}
    await setup.close()
    assert [spans for _time, spans in setup.collector.requests] == [[b"0", b"1", b"2"], [b"5", b"6", b"7"]]


async def test_a_span_that_drives_out_the_only_one_does_not_put_its_batch_off(looptime: float) -> None:
    setup = Setup(Collector(), drop_oldest=True)
    setup.exporter.start()
    for _ in range(4):
        setup.exporter.offer(b"x" * 9_999)
        await asyncio.sleep(DELAY / 4)
    setup.offered = 4
    assert [time for time, _spans in setup.collector.requests] == [DELAY]
    await setup.close()


async def test_each_of_several_destinations_has_a_log_of_its_own(caplog: pytest.LogCaptureFixture) -> None:
    setup = Setup(Collector(REJECTED))
    exporter = Exporter(
        transport=setup.collector,
        queue=SpanQueue(max_spans=9, max_bytes=99),
        policy=BatchPolicy(1, DELAY, RETRY),
        backoff=Backoff(random=lambda: 1.0),
        observer=setup.counts,
        name="exporters[0]",
    )
    exporter.start()
    exporter.offer(b"1")
    await exporter.close(1)
    assert [record.name.rpartition("exporter.")[2] for record in caplog.records] == ["exporters[0]"]


@pytest.mark.parametrize(
    "result", [REJECTED, Result(Verdict.DELIVERED, "200", "too old", rejected_spans=1), Result(Verdict.RETRY, "503")]
)
async def test_what_is_exported_has_its_name_in_the_log(caplog: pytest.LogCaptureFixture, result: Result) -> None:
    setup = Setup(Collector(result))
    exporter = Exporter(
        transport=setup.collector,
        queue=SpanQueue(max_spans=9, max_bytes=99),
        policy=BatchPolicy(1, DELAY, RETRY),
        backoff=Backoff(random=lambda: 1.0),
        observer=setup.counts,
        items="log records",
    )
    exporter.start()
    exporter.offer(b"1")
    await exporter.close(1)
    (line,) = caplog.messages
    assert "1 log records" in line
    assert "span" not in line


class TestClose:
    async def test_what_is_queued_is_sent_without_waiting_for_more(self, started: Start, looptime: float) -> None:
        setup = started()
        setup.offer(2 * MAX_BATCH + 1)
        await setup.close()
        assert setup.counts.exported_count == 2 * MAX_BATCH + 1
        assert looptime < DELAY

    async def test_a_delay_that_runs_is_cut_short(self, started: Start, looptime: float) -> None:
        setup = started()
        setup.offer(1)
        await asyncio.sleep(1)
        await setup.close()
        assert setup.counts.exported_count == 1
        assert looptime == 1

    @pytest.mark.parametrize("queued", [0, 1, MAX_BATCH, 4 * MAX_BATCH])
    async def test_what_does_not_leave_in_time_is_counted(self, started: Start, looptime: float, queued: int) -> None:
        setup = started(seconds=1000)
        setup.offer(MAX_BATCH)
        await asyncio.sleep(1)
        setup.offer(queued)
        await setup.close(timeout_seconds=10)
        assert setup.counts.dropped_counts == {"shutdown": MAX_BATCH + queued}
        assert looptime == 11

    async def test_a_back_off_ends_with_the_time_there_is(self, started: Start, looptime: float) -> None:
        setup = started(*[UNAVAILABLE] * 100)
        setup.offer(MAX_BATCH)
        await setup.close(timeout_seconds=10)
        assert [time for time, _spans in setup.collector.requests] == [0, 1, 3, 7]
        assert setup.counts.dropped_counts == {"shutdown": MAX_BATCH}
        assert looptime == 10

    async def test_before_the_start(self) -> None:
        setup = Setup(Collector())
        setup.offer(2)
        await setup.close()
        assert setup.counts.dropped_counts == {"shutdown": 2}

    async def test_what_comes_after_it_is_counted(self) -> None:
        setup = Setup(Collector())
        setup.exporter.start()
        await setup.exporter.close(1)
        setup.offer(1)
        assert setup.counts.dropped_counts == {"shutdown": 1}


RESULTS = st.one_of(
    st.just(DELIVERED),
    st.just(UNAVAILABLE),
    st.just(REJECTED),
    st.builds(Result, st.just(Verdict.DELIVERED), st.just("200"), rejected_spans=st.integers(0, 5)),
    st.builds(Result, st.just(Verdict.RETRY), st.just("429"), retry_after_seconds=st.floats(0, 100)),
)


@given(
    script=st.lists(RESULTS, max_size=8),
    seconds=st.floats(0, 10),
    offers=st.lists(st.tuples(st.integers(1, 5), st.floats(0, 20)), max_size=6),
    timeout_seconds=st.floats(0, 50),
)
async def test_whatever_happens_every_span_is_exported_or_counted(
    script: list[Result], seconds: float, offers: list[tuple[int, float]], timeout_seconds: float
) -> None:
    setup = Setup(Collector(*script, seconds=seconds), max_queue=4)
    setup.exporter.start()
    for count, pause_seconds in offers:
        setup.offer(count)
        await asyncio.sleep(pause_seconds)
    await setup.close(timeout_seconds)
    delivered = [span for _time, spans in setup.collector.requests for span in spans]
    assert len(set(delivered)) <= setup.offered
    assert setup.counts.dropped_counts.keys() <= {"queue_full", "rejected", "retry_exhausted", "shutdown"}


class TestReplacement:
    POLICY = BatchPolicy(1, DELAY, RETRY)

    async def test_the_next_batch_goes_to_the_new_transport_by_the_new_policy(self, started: Start) -> None:
        setup = started()
        old, new = setup.collector, Collector()
        setup.offer(2)
        setup.exporter.replace(new, self.POLICY)
        setup.collector = new
        await asyncio.sleep(DELAY + 1)
        assert (old.requests, old.closed) == ([], True)
        assert [spans for _time, spans in new.requests] == [[b"0"], [b"1"]]

    async def test_a_request_under_way_ends_before_its_transport_does(self, started: Start) -> None:
        setup = started(seconds=10)
        old, new = setup.collector, Collector()
        setup.offer(MAX_BATCH)
        await asyncio.sleep(1)
        setup.exporter.replace(new, self.POLICY)
        setup.collector = new
        await asyncio.sleep(8)
        assert not old.closed
        await asyncio.sleep(2)
        assert (old.closed, setup.counts.exported_count) == (True, MAX_BATCH)

    async def test_a_batch_that_waits_for_its_next_try_is_tried_at_once(self, started: Start) -> None:
        setup = started(*[UNAVAILABLE] * 100)
        new = Collector()
        setup.offer(MAX_BATCH)
        await asyncio.sleep(0.5)
        setup.exporter.replace(new, self.POLICY)
        setup.collector = new
        await asyncio.sleep(0.01)
        assert [spans for _time, spans in new.requests] == [[b"0", b"1", b"2"]]
        assert setup.counts.exported_count == MAX_BATCH

    async def test_closing_waits_for_all_of_them(self, started: Start) -> None:
        setup = started()
        collectors = [setup.collector, Collector(), Collector()]
        for collector in collectors[1:]:
            setup.exporter.replace(collector, self.POLICY)
            setup.collector = collector
        await setup.close()
        assert [collector.closed for collector in collectors] == [True] * 3


class TestShedding:
    async def test_the_older_half_goes_and_nothing_comes_until_it_ends(self, started: Start) -> None:
        setup = started(*[UNAVAILABLE] * 3)
        setup.offer(MAX_BATCH)
        await asyncio.sleep(0.5)  # a batch is under way, and stays
        setup.offer(5)
        setup.exporter.shed()
        setup.offer(2)
        assert setup.counts.dropped_counts == {"memory": 3 + 2}
        setup.exporter.resume()
        setup.offer(1)
        await setup.close()
        assert setup.collector.requests[-1][1] == [b"6", b"7", b"10"]
        assert setup.counts.exported_count == MAX_BATCH + 3

    async def test_again_and_again_leaves_nothing(self, started: Start) -> None:
        setup = started()
        setup.offer(MAX_BATCH - 1)
        for _ in range(4):
            setup.exporter.shed()
        assert setup.counts.dropped_counts == {"memory": MAX_BATCH - 1}
        await asyncio.sleep(2 * DELAY)
        assert setup.collector.requests == []
        setup.exporter.resume()
        setup.offer(MAX_BATCH)
        await asyncio.sleep(0.001)
        assert len(setup.collector.requests) == 1


class MemorySpill:
    """A spill that keeps its batches in memory, and has room for four that it has not kept yet if it ``hangs``."""

    def __init__(self) -> None:
        self.batches: list[list[bytes]] = []
        self.backlog: list[list[bytes]] = []
        self.hangs = False
        self.closed_with_seconds: float | None = None
        self.delivered_count = 0
        self.given_up_count = 0
        self._is_taken = False
        self._woken: Callable[[], None] = lambda: None

    def start(self, woken: Callable[[], None]) -> None:
        self._woken = woken
        if self.batches:
            woken()

    @property
    def has_room(self) -> bool:
        return len(self.backlog) < 4

    @property
    def has_batch(self) -> bool:
        return bool(self.batches) and not self._is_taken

    def put(self, spans: list[bytes]) -> None:
        (self.backlog if self.hangs else self.batches).append(spans)
        self._woken()

    def take(self) -> list[bytes] | None:
        self._is_taken = bool(self.batches)
        return self.batches[0] if self.batches else None

    def settle(self, *, delivered: bool) -> None:
        assert self._is_taken
        count = len(self.batches.pop(0))
        self.delivered_count += count if delivered else 0
        self.given_up_count += 0 if delivered else count
        self._is_taken = False

    def put_back(self) -> None:
        assert self._is_taken
        self._is_taken = False

    async def close(self, timeout_seconds: float) -> None:
        self.closed_with_seconds = timeout_seconds

    @property
    def spans(self) -> list[bytes]:
        return [span for batch in (*self.batches, *self.backlog) for span in batch]


class SpillingSetup(Setup):
    """An exporter with a spill, in which an earlier one has left some batches."""

    def __init__(self, collector: Collector, *batches: list[bytes], max_queue: int = 100) -> None:
        super().__init__(collector)
        self.spill = MemorySpill()
        self.spill.batches = [*batches]
        self.offered += sum(map(len, batches))
        self.exporter = Exporter(
            transport=collector,
            queue=SpanQueue(max_spans=max_queue, max_bytes=10_000),
            policy=BatchPolicy(MAX_BATCH, DELAY, RETRY),
            backoff=Backoff(random=lambda: 1.0, initial_seconds=1, max_seconds=30),
            observer=self.counts,
            spill=self.spill,  # type: ignore[arg-type]
        )
        self.exporter.start()

    async def close(self, timeout_seconds: float = 1000) -> None:
        await self.exporter.close(timeout_seconds)
        assert self.collector.closed
        assert self.offered == self.counts.exported_count + self.counts.dropped_counts.total() + len(self.spill.spans)

    def sent(self) -> list[bytes]:
        return [span for _time, spans in self.collector.requests for span in spans]


class TestSpill:
    async def test_what_finds_no_room_is_spilled_the_oldest_first_and_comes_back(self) -> None:
        setup = SpillingSetup(Collector(*[UNAVAILABLE] * 2), max_queue=4)
        setup.offer(20)
        assert setup.counts.dropped_counts == {}
        assert setup.spill.spans[:4] == [b"0", b"1", b"2", b"3"]
        await asyncio.sleep(50)
        assert sorted(set(setup.sent()), key=int) == [b"%d" % number for number in range(20)]
        assert setup.counts.exported_count == 20
        assert setup.spill.delivered_count == 18, "two of its six batches were queued when the others had gone"
        await setup.close()

    async def test_a_disk_that_can_not_keep_up_loses_as_without_a_spill(self) -> None:
        setup = SpillingSetup(Collector(), max_queue=4)
        setup.spill.hangs = True
        setup.offer(20)
        assert (len(setup.spill.backlog), setup.counts.dropped_counts) == (4, {"queue_full": 4})
        await setup.close()

    async def test_a_span_that_never_fits_is_lost(self) -> None:
        setup = SpillingSetup(Collector())
        setup.exporter.offer(bytes(10_001))
        assert (setup.spill.spans, setup.counts.dropped_counts) == ([], {"queue_full": 1})

    async def test_a_batch_that_was_tried_long_enough_is_spilled(self, caplog: pytest.LogCaptureFixture) -> None:
        setup = SpillingSetup(Collector(*[UNAVAILABLE] * 8))
        setup.offer(MAX_BATCH)
        await asyncio.sleep(RETRY + 0.001)
        assert setup.spill.spans == [b"0", b"1", b"2"]
        assert "3 spans go to the spill (retry_exhausted)" in caplog.messages
        await asyncio.sleep(100)
        assert (setup.counts.exported_count, setup.counts.dropped_counts) == (3, {})
        await setup.close()

    async def test_what_an_earlier_agent_left_is_sent_at_once(self) -> None:
        setup = SpillingSetup(Collector(), [b"a"], [b"b"])
        await asyncio.sleep(0.001)
        assert setup.collector.requests == [(0, [b"a"]), (0, [b"b"])]
        await setup.close()

    async def test_it_takes_turns_with_what_is_queued(self) -> None:
        setup = SpillingSetup(Collector(seconds=1), [b"a"], [b"b"], [b"c"])
        await asyncio.sleep(0.5)
        setup.offer(2 * MAX_BATCH)
        await asyncio.sleep(10)
        first = [spans[0] for _time, spans in setup.collector.requests]
        assert first == [b"a", b"3", b"b", b"6", b"c"]
        await setup.close()

    async def test_spans_that_come_meanwhile_wait_no_longer_than_the_delay(self) -> None:
        setup = SpillingSetup(Collector(seconds=1), *[[b"%d" % number] for number in range(100, 120)])
        await asyncio.sleep(0.5)
        setup.offer(1)
        await asyncio.sleep(DELAY + 2)
        (time,) = [time for time, spans in setup.collector.requests if spans == [b"20"]]
        assert time <= 0.5 + DELAY + 1
        await setup.close()

    async def test_what_is_not_taken_stays(self) -> None:
        setup = SpillingSetup(Collector(*[UNAVAILABLE] * 3), [b"a"], [b"b"])
        await asyncio.sleep(20)
        assert [time for time, _spans in setup.collector.requests] == [0, 1, 3, 7, 7]
        assert setup.sent() == [b"a"] * 4 + [b"b"]
        assert (setup.spill.delivered_count, setup.counts.dropped_counts) == (2, {})
        await setup.close()

    async def test_what_is_rejected_is_lost_and_gone(self) -> None:
        setup = SpillingSetup(Collector(REJECTED), [b"a"], [b"b"])
        await asyncio.sleep(1)
        assert (setup.spill.given_up_count, setup.spill.delivered_count) == (1, 1)
        assert setup.counts.dropped_counts == {"rejected": 1}
        await setup.close()

    async def test_one_that_alone_is_never_taken_is_given_up(self) -> None:
        class Choosy(Collector):
            async def send(self, spans: list[bytes]) -> Result:
                await super().send(spans)
                return UNAVAILABLE if spans == [b"poison"] else DELIVERED

        setup = SpillingSetup(Choosy(), [b"poison"], [b"good"])
        for _ in range(100):
            setup.offer(1)
            await asyncio.sleep(DELAY + 1)
        assert setup.counts.dropped_counts == {"retry_exhausted": 1}
        assert (setup.spill.given_up_count, setup.spill.delivered_count) == (1, 1)
        await setup.close()

    async def test_but_not_while_nothing_else_is_taken_either(self) -> None:
        setup = SpillingSetup(Collector(*[UNAVAILABLE] * 1000), [b"a"])
        await asyncio.sleep(20 * RETRY)
        assert (setup.spill.spans, setup.counts.dropped_counts) == ([b"a"], {})
        await setup.close()

    @pytest.mark.parametrize("queued", [0, 1, MAX_BATCH, 4 * MAX_BATCH])
    async def test_at_the_end_one_try_is_enough(self, queued: int, looptime: float) -> None:
        setup = SpillingSetup(Collector(*[UNAVAILABLE] * 100))
        setup.offer(MAX_BATCH)
        await asyncio.sleep(0.5)
        setup.offer(queued)
        await setup.close(timeout_seconds=10)
        assert (looptime, len(setup.collector.requests)) == (0.5, 2)
        assert len(setup.spill.spans) == MAX_BATCH + queued
        assert setup.counts.dropped_counts == {}

    async def test_at_the_end_a_collector_that_hangs_leaves_time_to_write(self, looptime: float) -> None:
        setup = SpillingSetup(Collector(seconds=1000))
        setup.offer(MAX_BATCH + 1)
        await setup.close(timeout_seconds=10)
        assert looptime == 9
        assert setup.spill.closed_with_seconds == 1
        assert len(setup.spill.spans) == MAX_BATCH + 1

    async def test_at_the_end_what_is_on_disk_is_left_there(self) -> None:
        setup = SpillingSetup(Collector(seconds=1), *[[b"%d" % number] for number in range(100)])
        await asyncio.sleep(0.5)
        setup.offer(1)
        await setup.close(timeout_seconds=10)
        assert setup.sent() == [b"0", b"100"]

    async def test_at_the_end_a_batch_that_is_being_sent_stays_on_disk(self) -> None:
        setup = SpillingSetup(Collector(seconds=1000), [b"a"])
        await asyncio.sleep(1)
        await setup.close(timeout_seconds=10)
        assert setup.spill.spans == [b"a"]

    async def test_a_batch_that_is_gone_when_its_turn_comes(self) -> None:
        setup = SpillingSetup(Collector(), [b"a"])
        setup.spill.batches.clear()
        setup.offered = 0
        await asyncio.sleep(1)
        setup.offer(1)
        await asyncio.sleep(DELAY + 0.001)
        assert setup.sent() == [b"0"]
        await setup.close()


@given(
    script=st.lists(RESULTS, max_size=8),
    seconds=st.floats(0, 10),
    offers=st.lists(st.tuples(st.integers(1, 9), st.floats(0, 200)), max_size=6),
    left=st.integers(0, 3),
    hangs=st.booleans(),
)
async def test_with_a_spill_every_span_is_exported_or_counted_or_on_disk(
    script: list[Result], seconds: float, offers: list[tuple[int, float]], left: int, hangs: bool
) -> None:
    setup = SpillingSetup(Collector(*script, seconds=seconds), *[[b"left"]] * left, max_queue=4)
    setup.spill.hangs = hangs
    for count, pause_seconds in offers:
        setup.offer(count)
        await asyncio.sleep(pause_seconds)
    await setup.close(timeout_seconds=5)
    worker = setup.exporter._task
    assert worker is not None
    assert worker.cancelled() or worker.exception() is None
    assert setup.counts.dropped_counts.keys() <= {"queue_full", "rejected", "retry_exhausted"}
    if not hangs:
        assert setup.counts.dropped_counts.keys() <= {"rejected", "retry_exhausted"}
