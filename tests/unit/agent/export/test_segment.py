"""Segments: what is written is read again, and what is torn or damaged is that and nothing else."""

import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.export.segment import (
    SETTLED,
    SETTLED_OFFSET,
    BatchEntry,
    Origin,
    Read,
    SegmentError,
    SpilledSpans,
    TornSegmentError,
    decode_batch,
    encode_batch,
    encode_segment_header,
    list_batches,
    parse_segment_name,
    read_segment_header,
    segment_name,
)

ORIGIN = Origin(b"resource", b"scope", "https://schema")
BATCHES = [[b"one", b"two"], [b""], [b"three" * 100]]


def reader(data: bytes) -> Read:
    return lambda offset, size: data[offset : offset + size]


def segment(*batches: list[bytes], origin: Origin = ORIGIN) -> bytes:
    return encode_segment_header(origin) + b"".join(map(encode_batch, batches))


def entries(data: bytes) -> list[BatchEntry]:
    read = reader(data)
    _origin, first = read_segment_header(read)
    return list(list_batches(read, first, len(data)))


def spans_of(data: bytes, entry: BatchEntry) -> list[bytes]:
    end = entry.offset + entry.size_bytes
    return decode_batch(entry, data[end - entry.body_bytes : end])


@given(
    batches=st.lists(st.lists(st.binary(max_size=300), max_size=5), max_size=5),
    origin=st.builds(Origin, st.binary(), st.binary(), st.text(st.characters(codec="utf-8"))),
)
def test_what_is_written_is_read_again(batches: list[list[bytes]], origin: Origin) -> None:
    data = segment(*batches, origin=origin)
    assert read_segment_header(reader(data))[0] == origin
    assert all_spans_of(data) == batches
    assert [entry.spans for entry in entries(data)] == [len(batch) for batch in batches]


def all_spans_of(data: bytes) -> list[list[bytes]]:
    return [spans_of(data, entry) for entry in entries(data)]


def test_a_batch_is_settled_by_one_byte_in_place() -> None:
    data = bytearray(segment(*BATCHES))
    data[entries(bytes(data))[1].offset + SETTLED_OFFSET] = SETTLED[0]
    assert [entry.settled for entry in entries(bytes(data))] == [False, True, False]
    assert all_spans_of(bytes(data)) == BATCHES


@given(size=st.integers(0, len(segment(*BATCHES)) - 1))
def test_wherever_it_ends_what_is_whole_before_that_counts(size: int) -> None:
    whole = segment(*BATCHES)
    ends = [entry.offset + entry.size_bytes for entry in entries(whole)]
    torn = whole[:size]
    header_bytes = len(encode_segment_header(ORIGIN))
    if size < header_bytes:
        with pytest.raises(TornSegmentError):
            read_segment_header(reader(torn))
        return
    found: list[BatchEntry] = []
    if size in (header_bytes, *ends):
        found = entries(torn)
    else:
        with pytest.raises(TornSegmentError):
            found.extend(list_batches(reader(torn), header_bytes, size))
        found = [entry for entry in entries(whole) if entry.offset + entry.size_bytes <= size]
    assert [spans_of(torn, entry) for entry in found] == BATCHES[: len(found)]


@given(index=st.integers(0, len(segment(*BATCHES)) - 1), change=st.integers(1, 255))
def test_no_changed_byte_goes_unseen(index: int, change: int) -> None:
    data = bytearray(segment(*BATCHES))
    data[index] ^= change
    before = entries(segment(*BATCHES))
    if any(index == entry.offset + SETTLED_OFFSET for entry in before):
        return
    with pytest.raises(SegmentError):
        all_spans_of(bytes(data))


@pytest.mark.parametrize("data", [b"something else entirely", b"HAPTSPL2" + bytes(100)])
def test_foreign_files_are_told_from_torn_ones(data: bytes) -> None:
    with pytest.raises(SegmentError) as caught:
        read_segment_header(reader(data))
    assert not isinstance(caught.value, TornSegmentError)


def test_a_header_of_nonsense_is_refused() -> None:
    data = bytearray(segment())
    data[8:12] = b"\xff\xff\xff\x7f"
    with pytest.raises(SegmentError, match="damaged header"):
        read_segment_header(reader(bytes(data)))
    body = bytes(8) + b"\x02\x00\x00\x00\xff\xfe"  # a URL that is no text, with its checksum
    latin = b"HAPTSPL1" + struct.pack("<II", len(body), zlib.crc32(body)) + body
    with pytest.raises(SegmentError, match="damaged header"):
        read_segment_header(reader(latin))


def test_names_sort_as_their_numbers() -> None:
    assert [parse_segment_name(segment_name(number)) for number in (1, 999, 10**11)] == [1, 999, 10**11]
    assert segment_name(2) < segment_name(10)
    assert [parse_segment_name(name) for name in ("lock", "spans-1.segment", segment_name(1) + ".damaged")] == [None] * 3


def test_spilled_spans_are_a_batch_that_knows_its_origin() -> None:
    batch = SpilledSpans([b"a"], ORIGIN)
    assert batch == [b"a"]
    assert batch.origin is ORIGIN
