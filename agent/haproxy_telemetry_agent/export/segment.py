"""The format of spilled spans on disk: segments, which hold batches, which hold spans as ``encode_span`` made them.

A segment is a file ``spans-<12 digits>.segment``; a larger number is a later one. All numbers in it are little endian::

    segment  =  "HAPTSPL1"  origin_bytes:u32  origin_crc32:u32  origin  batch*
    origin   =  resource_bytes:u32 resource  scope_bytes:u32 scope  schema_url_bytes:u32 schema_url
    batch    =  "BTCH"  spans:u32  body_bytes:u32  body_crc32:u32  header_crc32:u32  settled:u8  body
    body     =  (span_bytes:u32 span)*

``header_crc32`` is over the 16 bytes before it. ``settled`` is 0, and is overwritten in place by 1 when the batch has been
delivered or given up: so an agent that starts anew sends what is left, and nothing twice. The origin (an OTLP ``Resource``, an
``InstrumentationScope`` and the schema's URL) is that of the agent that made the spans. The one that sends them may be called
otherwise, and must not put its own name to them.

A segment may end anywhere, because whoever wrote it was killed, or the machine lost power: what is whole before that counts.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

__all__ = [
    "BATCH_HEADER_BYTES",
    "SETTLED",
    "SETTLED_OFFSET",
    "BatchEntry",
    "Origin",
    "Read",
    "SegmentError",
    "SpilledSpans",
    "TornSegmentError",
    "decode_batch",
    "encode_batch",
    "encode_segment_header",
    "list_batches",
    "parse_segment_name",
    "read_segment_header",
    "segment_name",
]

_MAGIC = b"HAPTSPL1"
_SEGMENT_HEADER = struct.Struct("<8sII")
_MAX_ORIGIN_BYTES = 1 << 20

_BATCH_MARK = b"BTCH"
_BATCH_FIELDS = struct.Struct("<4sIII")
_CHECKSUM = struct.Struct("<I")
_SIZE = struct.Struct("<I")
SETTLED_OFFSET = _BATCH_FIELDS.size + _CHECKSUM.size
"""Where in a batch its ``settled`` is."""
SETTLED = b"\x01"
BATCH_HEADER_BYTES = SETTLED_OFFSET + 1

_NAME = re.compile(r"spans-([0-9]{12})\.segment")

Read = Callable[[int, int], bytes]
"""Gives ``(offset, size)`` of a file; less only at its end."""


class SegmentError(Exception):
    """The bytes are no segment of ours, or damaged: why."""


class TornSegmentError(SegmentError):
    """It ends too early, as what is left of a writer that was killed does."""


class Origin(NamedTuple):
    """Who made the spans, in OTLP's encoding."""

    resource: bytes
    scope: bytes
    schema_url: str


class SpilledSpans(list[bytes]):
    """A batch like any other for a transport; its encoder finds here who made the spans."""

    origin: Origin

    def __init__(self, spans: Iterable[bytes], origin: Origin) -> None:
        super().__init__(spans)
        self.origin = origin


class BatchEntry(NamedTuple):
    """What the header of a batch says, and where it is."""

    offset: int
    """Of the header."""
    spans: int
    body_bytes: int
    body_crc32: int
    settled: bool

    @property
    def size_bytes(self) -> int:
        """With its header."""
        return BATCH_HEADER_BYTES + self.body_bytes


def segment_name(number: int) -> str:
    """The file's name."""
    return f"spans-{number:012d}.segment"


def parse_segment_name(name: str) -> int | None:
    """The number of a file of ours; None: somebody else's."""
    match = _NAME.fullmatch(name)
    return None if match is None else int(match[1])


def encode_segment_header(origin: Origin) -> bytes:
    """What a segment begins with."""
    body = b"".join(_sized((origin.resource, origin.scope, origin.schema_url.encode())))
    return _SEGMENT_HEADER.pack(_MAGIC, len(body), zlib.crc32(body)) + body


def encode_batch(spans: Sequence[bytes]) -> bytes:
    """One batch, not settled."""
    body = b"".join(_sized(spans))
    fields = _BATCH_FIELDS.pack(_BATCH_MARK, len(spans), len(body), zlib.crc32(body))
    return b"".join((fields, _CHECKSUM.pack(zlib.crc32(fields)), b"\x00", body))


def read_segment_header(read: Read) -> tuple[Origin, int]:
    """Who made a segment's spans, and where its first batch is.

    Raises:
        TornSegmentError: it ends before that.
        SegmentError: it is none of ours, or damaged.
    """
    head = read(0, _SEGMENT_HEADER.size)
    if head[: len(_MAGIC)] != _MAGIC[: len(head)]:
        raise SegmentError("is no segment of this agent")
    if len(head) < _SEGMENT_HEADER.size:
        raise TornSegmentError("ends in its header")
    _magic, origin_bytes, checksum = _SEGMENT_HEADER.unpack(head)
    if origin_bytes > _MAX_ORIGIN_BYTES:
        raise SegmentError("has a damaged header")
    body = read(len(head), origin_bytes)
    if len(body) < origin_bytes:
        raise TornSegmentError("ends in its header")
    parts = _unsized(body)
    if zlib.crc32(body) != checksum or len(parts) != 3:
        raise SegmentError("has a damaged header")
    try:
        return Origin(parts[0], parts[1], parts[2].decode()), len(head) + len(body)
    except UnicodeDecodeError:
        raise SegmentError("has a damaged header") from None


def list_batches(read: Read, offset: int, end: int) -> Iterator[BatchEntry]:
    """The batches between ``offset`` and ``end``, which is the file's; their bodies are not looked at.

    Raises:
        TornSegmentError: the last one is not whole.
        SegmentError: a header is damaged: nobody knows where the next one would be.
    """
    while offset < end:
        header = read(offset, BATCH_HEADER_BYTES)
        if len(header) < BATCH_HEADER_BYTES:
            raise TornSegmentError("ends in the middle of a batch")
        mark, spans, body_bytes, body_crc32 = _BATCH_FIELDS.unpack_from(header)
        (checksum,) = _CHECKSUM.unpack_from(header, _BATCH_FIELDS.size)
        if mark != _BATCH_MARK or zlib.crc32(header[: _BATCH_FIELDS.size]) != checksum:
            raise SegmentError("has a damaged batch")
        entry = BatchEntry(offset, spans, body_bytes, body_crc32, header[SETTLED_OFFSET:] == SETTLED)
        if offset + entry.size_bytes > end:
            raise TornSegmentError("ends in the middle of a batch")
        yield entry
        offset += entry.size_bytes


def decode_batch(entry: BatchEntry, body: bytes) -> list[bytes]:
    """The spans of a batch.

    Raises:
        SegmentError: the body is not what was written.
    """
    spans = _unsized(body)
    if len(body) != entry.body_bytes or zlib.crc32(body) != entry.body_crc32 or len(spans) != entry.spans:
        raise SegmentError("has a damaged batch")
    return spans


def _sized(parts: Iterable[bytes]) -> Iterator[bytes]:
    for part in parts:
        yield _SIZE.pack(len(part))
        yield part


def _unsized(body: bytes) -> list[bytes]:
    """Nothing of what does not add up."""
    parts: list[bytes] = []
    offset = 0
    while offset + _SIZE.size <= len(body):
        (size,) = _SIZE.unpack_from(body, offset)
        offset += _SIZE.size + size
        parts.append(body[offset - size : offset])
    return parts if offset == len(body) else []
