"""Octet counting (RFC 6587, section 3.4.1): records come out whole, however the stream was cut, and memory stays bounded."""

from collections.abc import Iterable
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.records.errors import RecordStreamError
from haproxy_telemetry_agent.records.framing import RecordReader

MAX_RECORD_BYTES = 20
LONGEST_LENGTH = len("999999 ")

RECORDS = st.lists(st.binary(max_size=2 * MAX_RECORD_BYTES), max_size=6)


def counted(*records: bytes) -> bytes:
    """Records as HAProxy's ring sends them."""
    return b"".join(b"%d %s" % (len(record), record) for record in records)


def read(segments: Iterable[bytes]) -> tuple[list[bytes], int, bool]:
    """Records, how many were too long, and whether the stream stands within one at the end."""
    reader = RecordReader(max_record_bytes=MAX_RECORD_BYTES)
    records = []
    for segment in segments:
        records += reader.receive(segment)
        assert len(reader._buffer) <= MAX_RECORD_BYTES + LONGEST_LENGTH
    return records, reader.too_long_count, reader.unfinished


def test_records_of_one_segment() -> None:
    assert read([b"5 first13 second record0 1 \n"]) == ([b"first", b"second record", b"", b"\n"], 0, False)


@given(records=RECORDS, data=st.data())
def test_whole_is_byte_by_byte_is_cut_anywhere(records: list[bytes], data: st.DataObject) -> None:
    stream = counted(*records)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=6)))
    expected = (
        [record for record in records if len(record) <= MAX_RECORD_BYTES],
        sum(len(record) > MAX_RECORD_BYTES for record in records),
        False,
    )
    assert read([stream]) == expected
    assert read(stream[index : index + 1] for index in range(len(stream))) == expected
    assert read(stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])) == expected


def test_the_longest_record_comes_out_and_one_byte_more_does_not() -> None:
    longest = b"x" * MAX_RECORD_BYTES
    assert read([counted(longest, longest + b"x", b"behind")]) == ([longest, b"behind"], 1, False)


def test_the_longest_length_can_be_read() -> None:
    assert read([b"9999999 ", bytes(9_999_999), b"6 behind"]) == ([b"behind"], 1, False)


@pytest.mark.parametrize("segment_bytes", [1, 7, 100_000])
def test_a_record_too_long_is_passed_over_without_being_kept(segment_bytes: int) -> None:
    stream = counted(b"before", b"x" * 50_000, b"behind")
    segments = [stream[start : start + segment_bytes] for start in range(0, len(stream), segment_bytes)]
    assert read(segments) == ([b"before", b"behind"], 1, False)


@pytest.mark.parametrize(
    ("stream", "unfinished"),
    [
        (b"", False),
        (b"5 hello", False),
        (b"5 hello1", True),
        (b"5 ", True),
        (b"5 hell", True),
        (b"100 ", True),
        (b"100 " + bytes(99), True),
        (b"100 " + bytes(100), False),
    ],
)
def test_whether_the_stream_stands_within_a_record(stream: bytes, unfinished: bool) -> None:
    _records, _too_long, actual = read([stream])
    assert actual is unfinished


def test_leading_zeros_of_a_length_mean_nothing() -> None:
    assert read([b"005 hello"]) == ([b"hello"], 0, False)


@pytest.mark.parametrize(
    "garbage",
    [
        b" 5 hello",
        b"-5 hello",
        b"+5 hello",
        b"5, hello",
        b"5a hello",
        b"<134>1 2026-11-22T13:50:34.119025+00:00 - haproxy 37 - -",
        b"\n",
        b"\xd9\xa5 hello",
        b"12345678 hello",
        b"12345678",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
@pytest.mark.parametrize("before", [b"", b"5 hello"])
def test_what_is_no_length_ends_the_stream(before: bytes, garbage: bytes) -> None:
    stream = before + garbage
    with pytest.raises(RecordStreamError):
        read([stream])
    with pytest.raises(RecordStreamError):
        read(stream[index : index + 1] for index in range(len(stream)))


@given(
    segments=st.lists(
        st.one_of(st.binary(max_size=30), st.builds(b"%d %s".__mod__, st.tuples(st.integers(0, 10_000), st.binary(max_size=30))))
    )
)
def test_any_bytes_are_records_or_end_the_stream(segments: list[bytes]) -> None:
    try:
        records, too_long_count, _unfinished = read(segments)
    except RecordStreamError:
        return
    assert all(len(record) <= MAX_RECORD_BYTES for record in records)
    assert too_long_count >= 0
