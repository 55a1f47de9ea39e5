"""The log: what goes out, in which form, and how often."""

import json
import logging
from collections.abc import Iterator
from io import StringIO

import pytest

from haproxy_telemetry_agent.logs import RateLimit, configure_logging

ALLOWED, INTERVAL_SECONDS = 5, 60.0


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def rate_limit(clock: Clock) -> RateLimit:
    return RateLimit(clock)


def record_of(message: str, *arguments: object, level: int = logging.WARNING, name: str = "agent") -> logging.LogRecord:
    return logging.LogRecord(name, level, __file__, 1, message, arguments, None)


def passed(rate_limit: RateLimit, count: int, message: str = "bad frame") -> list[str]:
    """The texts of those that went out, of so many."""
    records = [record_of(message) for _ in range(count)]
    return [record.getMessage() for record in records if rate_limit.filter(record)]


class TestRateLimit:
    def test_a_message_goes_out_a_few_times_and_then_no_more(self, rate_limit: RateLimit) -> None:
        assert passed(rate_limit, 100) == ["bad frame"] * ALLOWED

    def test_after_a_while_it_does_again_and_says_what_was_held_back(self, rate_limit: RateLimit, clock: Clock) -> None:
        passed(rate_limit, 100)
        clock.seconds += INTERVAL_SECONDS - 0.001
        assert passed(rate_limit, 1) == []
        clock.seconds += 0.001
        assert passed(rate_limit, 10) == ["bad frame (and 96 more like it)", *["bad frame"] * (ALLOWED - 1)]

    def test_nothing_held_back_is_nothing_said(self, rate_limit: RateLimit, clock: Clock) -> None:
        passed(rate_limit, ALLOWED)
        clock.seconds += INTERVAL_SECONDS
        assert passed(rate_limit, 1) == ["bad frame"]

    def test_the_arguments_do_not_make_another_message(self, rate_limit: RateLimit, clock: Clock) -> None:
        records = [record_of("bad frame %d of %s", number, "peer") for number in range(7)]
        assert [rate_limit.filter(record) for record in records] == [True] * ALLOWED + [False] * 2
        clock.seconds += INTERVAL_SECONDS
        record = record_of("bad frame %d of %s", 8, "peer")
        assert rate_limit.filter(record)
        assert record.getMessage() == "bad frame 8 of peer (and 2 more like it)"

    def test_another_message_and_another_logger_have_limits_of_their_own(self, rate_limit: RateLimit) -> None:
        passed(rate_limit, 100)
        assert passed(rate_limit, 1, "other") == ["other"]
        assert rate_limit.filter(record_of("bad frame", name="other"))

    @pytest.mark.parametrize(
        ("level", "limited"), [(logging.DEBUG, False), (logging.INFO, False), (logging.WARNING, True), (logging.ERROR, True)]
    )
    def test_what_is_no_warning_always_goes_out(self, rate_limit: RateLimit, level: int, limited: bool) -> None:
        went_out = [rate_limit.filter(record_of("x", level=level)) for _ in range(ALLOWED + 1)]
        assert went_out == [True] * ALLOWED + [not limited]

    def test_messages_of_ever_new_texts_cost_bounded_memory(self, rate_limit: RateLimit) -> None:
        for number in range(10_000):
            rate_limit.filter(record_of(f"text that should have been an argument: {number}"))
            assert len(rate_limit._seen) <= 256


@pytest.fixture
def stream() -> Iterator[StringIO]:
    """A stream for the log; the root logger is as before in the end."""
    root, asyncio_logger = logging.getLogger(), logging.getLogger("asyncio")
    before = root.handlers[:], root.level, asyncio_logger.level
    yield StringIO()
    root.handlers[:], root.level, asyncio_logger.level = before


class TestFormats:
    def test_json_is_an_object_a_line(self, stream: StringIO) -> None:
        configure_logging(level="info", format="json", stream=stream)
        logging.getLogger("agent.x").info("one %s", "é\nline")
        logging.getLogger("agent.x").error("two")
        entries = [json.loads(line) for line in stream.getvalue().splitlines()]
        assert [(entry["severity"], entry["logger"], entry["message"]) for entry in entries] == [
            ("INFO", "agent.x", "one é\nline"),
            ("ERROR", "agent.x", "two"),
        ]
        assert entries[0].keys() == {"timestamp", "severity", "logger", "message"}

    def test_json_has_utc_times_to_the_millisecond(self, stream: StringIO) -> None:
        configure_logging(level="info", format="json", stream=stream)
        record = record_of("x")
        record.created, record.msecs = 1_795_355_434.119, 119.0
        logging.getLogger().handle(record)
        assert json.loads(stream.getvalue())["timestamp"] == "2026-11-22T13:50:34.119Z"

    def test_json_has_the_exception(self, stream: StringIO) -> None:
        configure_logging(level="info", format="json", stream=stream)
        try:
            int("why")
        except ValueError:
            logging.getLogger("agent").exception("failed")
        (line,) = stream.getvalue().splitlines()
        assert json.loads(line)["exception"].endswith("ValueError: invalid literal for int() with base 10: 'why'")

    def test_console_is_a_line_for_people(self, stream: StringIO) -> None:
        configure_logging(level="info", format="console", stream=stream)
        record = record_of("one %d", 1)
        record.created, record.msecs = 1_795_355_434.119, 119.0
        logging.getLogger().handle(record)
        assert stream.getvalue() == "2026-11-22 13:50:34,119 WARNING agent: one 1\n"

    @pytest.mark.parametrize(("level", "expected"), [("debug", "diwe"), ("info", "iwe"), ("warn", "we"), ("error", "e")])
    def test_level(self, stream: StringIO, level: str, expected: str) -> None:
        configure_logging(level=level, format="console", stream=stream)
        logger = logging.getLogger("agent")
        for text, number in zip("diwe", (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR), strict=True):
            logger.log(number, text)
        assert "".join(line[-1] for line in stream.getvalue().splitlines()) == expected

    def test_warnings_are_limited(self, stream: StringIO) -> None:
        configure_logging(level="info", format="console", stream=stream)
        for _ in range(20):
            logging.getLogger("agent").warning("again")
        assert len(stream.getvalue().splitlines()) == ALLOWED

    def test_set_up_twice_writes_once(self, stream: StringIO) -> None:
        for _ in range(2):
            configure_logging(level="info", format="console", stream=stream)
        logging.getLogger("agent").info("x")
        assert len(stream.getvalue().splitlines()) == 1
