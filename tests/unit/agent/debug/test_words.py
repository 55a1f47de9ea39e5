"""Numbers, moments and foreign texts in words."""

import pytest

from haproxy_telemetry_agent.debug.words import bytes_text, duration_text, moment_text, number_text, visible, way_text


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0.00 ms"),
        (0.00042, "0.42 ms"),
        (0.0099949, "9.99 ms"),
        (0.0216, "21.6 ms"),
        (0.0999, "99.9 ms"),
        (0.1234, "123 ms"),
        (0.99949, "999 ms"),
        (0.9996, "1.00 s"),
        (9.99, "9.99 s"),
        (59.9, "59.9 s"),
        (59.96, "1 min 00 s"),
        (185, "3 min 05 s"),
        (3_569, "59 min 29 s"),
        (3_599.7, "1 h 00 min"),
        (86_399, "1 d 00 h"),
        (7_500, "2 h 05 min"),
        (273_600, "3 d 04 h"),
    ],
)
def test_durations(seconds: float, words: str) -> None:
    assert duration_text(seconds) == words


def test_moments() -> None:
    assert moment_text(1_795_355_434_119_999_999) == "13:50:34.119"
    assert moment_text(0) == "00:00:00.000"
    assert moment_text(10**30) == "?"


def test_counts() -> None:
    assert [bytes_text(count) for count in (0, 1_023, 1_024, 50_436_506, 3 * 1024**3)] == [
        "0 B",
        "1023 B",
        "1.0 KiB",
        "48.1 MiB",
        "3.0 GiB",
    ]
    assert number_text(1_234_567.0) == "1,234,567"


def test_what_cannot_be_seen_is_shown() -> None:
    assert visible("GET /straße │ 日本") == "GET /straße │ 日本"
    assert visible("\x1b[2Ja\nb\u202ec\x00\u2028") == r"\x1b[2Ja\nb\u202ec\x00\u2028"


@pytest.mark.parametrize(
    ("way", "words"),
    [
        ((None, None, None), ""),
        (("edge", "edge", None), "edge"),
        (("edge", "app", None), "edge > app"),
        (("edge", "app", "app1"), "edge > app/app1"),
        (("both", "both", "app1"), "both > both/app1"),
    ],
)
def test_ways(way: tuple[str | None, str | None, str | None], words: str) -> None:
    assert way_text(*way) == words
