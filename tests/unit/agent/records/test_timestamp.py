"""RFC 3339 time stamps: the moment they mean, to the microsecond, whatever the offset."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.records.timestamp import timestamp_unix_nano

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SECOND = 1_000_000_000

OFFSETS = st.integers(-23 * 60 - 59, 23 * 60 + 59).map(lambda minutes: timezone(timedelta(minutes=minutes)))
MOMENTS = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1), timezones=OFFSETS)  # noqa: DTZ001 - hypothesis wants them so


@pytest.mark.parametrize(
    ("text", "unix_nano"),
    [
        ("1970-01-01T00:00:00.000000+00:00", 0),
        ("1970-01-01T00:00:00.000001+00:00", 1000),
        ("2026-11-22T13:50:34.119025+00:00", 1_795_355_434_119_025_000),
        ("2026-11-22T14:50:34.119025+01:00", 1_795_355_434_119_025_000),
        ("2026-11-22T08:50:34.119025-05:00", 1_795_355_434_119_025_000),
        ("2026-11-22T19:20:34.119025+05:30", 1_795_355_434_119_025_000),
        ("2026-11-22T13:50:34.999999+00:00", 1_795_355_434_999_999_000),
        ("2262-04-11T23:47:15.999999+00:00", 9_223_372_035_999_999_000),
        # Without a fraction, with a shorter one, and with Z: other senders than HAProxy.
        ("2026-11-22T13:50:34+00:00", 1_795_355_434 * SECOND),
        ("2026-11-22T13:50:34Z", 1_795_355_434 * SECOND),
        ("2026-11-22T13:50:34.5+00:00", 1_795_355_434_500_000_000),
        ("2026-11-22T13:50:34.119025Z", 1_795_355_434_119_025_000),
    ],
)
def test_moment(text: str, unix_nano: int) -> None:
    assert timestamp_unix_nano(text.encode()) == unix_nano


def test_the_hour_that_comes_twice_is_two_hours() -> None:
    """At the end of daylight saving time local time goes back; its offset tells which of the two it is."""
    summer = timestamp_unix_nano(b"2026-10-25T02:30:00.000000+02:00")
    winter = timestamp_unix_nano(b"2026-10-25T02:30:00.000000+01:00")
    assert winter - summer == 3600 * SECOND


@given(moment=MOMENTS)
def test_every_moment_is_exact(moment: datetime) -> None:
    expected = (moment - EPOCH) // timedelta(microseconds=1) * 1000
    assert timestamp_unix_nano(moment.isoformat(timespec="microseconds").encode()) == expected
    assert timestamp_unix_nano(moment.isoformat().encode()) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"-",
        b"2026-11-22",
        b"2026-11-22T13:50:34",
        b"2026-11-22T13:50:34.119025",
        b"2026-13-22T13:50:34.119025+00:00",
        b"2026-11-22T25:50:34.119025+00:00",
        b"2026-11-22T13:50:34.11902x+00:00",
        b"2026-11-22T13:50:34.119025+99:00",
        b"2026-11-22T13:50:34.119025 00:00",
        b"2026-11-22T13:50:34.119025.12345",
        # Beyond what all readers of OTLP have numbers for.
        b"1969-12-31T23:59:59.999999+00:00",
        b"1970-01-01T00:00:00.000000+00:01",
        b"2262-04-11T23:47:16.000000+00:00",
        b"0001-01-01T00:00:00.000000+14:00",
        b"9999-12-31T23:59:59.999999-14:00",
        b"Nov 22 13:50:34",
        b"1795355434",
        "\uff12\uff10\uff12\uff16-11-22T13:50:34Z".encode(),
        *(
            pytest.param(text)
            for text in (
                b"2026-11-22T13:50:34.-19025+00:00",
                b"2026-11-22T13:50:34.+19025+00:00",
                b"2026-11-22T13:50:34.1_9025+00:00",
                b"2026-11-22T13:50:34. 19025+00:00",
            )
        ),
    ],
)
def test_anything_else_is_no_time_stamp(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        timestamp_unix_nano(text)


@given(text=st.one_of(st.binary(max_size=40), st.text("0123456789-T:.+Z", max_size=40).map(str.encode)))
def test_any_bytes_are_a_time_stamp_or_none(text: bytes) -> None:
    try:
        timestamp_unix_nano(text)
    except ValueError:
        return
    assert text[:4].isdigit()
