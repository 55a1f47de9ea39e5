"""Octet-counted syslog over a byte stream: ``MSG-LEN SP MSG``, one after the other, no separator.

This is what HAProxy's ``ring`` sends with ``log-proto octet-count``. Source: RFC 6587, section 3.4.1.
"""

from .errors import RecordStreamError

__all__ = ["MAX_RECORD_BYTES", "RecordReader"]

MAX_RECORD_BYTES = 65_535
"""HAProxy's own bound of a log line is ``len``/``maxlen``, at most 65 535."""

_MAX_LENGTH_DIGITS = 7


class RecordReader:
    """Cuts a stream into records, however its segments were cut or joined.

    What is kept between calls is one unfinished record at most. A record longer than the limit is passed over without being
    kept; ``too_long_count`` counts those.
    """

    __slots__ = ("_buffer", "_max_record_bytes", "_passing_over_bytes", "_wanted_bytes", "too_long_count")

    def __init__(self, *, max_record_bytes: int = MAX_RECORD_BYTES) -> None:
        self._max_record_bytes = max_record_bytes
        self._buffer = bytearray()
        self._wanted_bytes = 0
        self._passing_over_bytes = 0
        self.too_long_count = 0

    @property
    def unfinished(self) -> bool:
        """Whether the stream stands within a record: if it ends now, that record was cut."""
        return bool(self._buffer) or self._passing_over_bytes > 0

    def receive(self, data: bytes) -> list[bytes]:
        """Take what came and return the records that are complete.

        Raises:
            RecordStreamError: where a length must stand, something else does; nothing after it can be read.
        """
        if self._passing_over_bytes:
            passed_over = min(self._passing_over_bytes, len(data))
            self._passing_over_bytes -= passed_over
            data = data[passed_over:]
        if self._buffer:
            self._buffer += data
            if len(self._buffer) < self._wanted_bytes:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        records: list[bytes] = []
        offset = 0
        size = len(data)
        self._wanted_bytes = 0
        while offset < size:
            space = data.find(b" ", offset, offset + _MAX_LENGTH_DIGITS + 1)
            if space < 0:
                digits = data[offset : offset + _MAX_LENGTH_DIGITS + 1]
                if len(digits) > _MAX_LENGTH_DIGITS or not digits.isdigit():
                    raise RecordStreamError(f"no record length in front of {digits!r}")
                break
            digits = data[offset:space]
            if not digits.isdigit():
                raise RecordStreamError(f"{digits!r} is no record length")
            length = int(digits)
            end = space + 1 + length
            if length > self._max_record_bytes:
                self.too_long_count += 1
                if end > size:
                    self._passing_over_bytes = end - size
                    return records
            elif end > size:
                self._wanted_bytes = end - offset
                break
            else:
                records.append(data[space + 1 : end])
            offset = end
        if offset < size:
            self._buffer += data[offset:]
        return records
