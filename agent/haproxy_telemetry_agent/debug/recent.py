"""What has just passed: the latest, the slowest and the failed exchanges, kept as the records that HAProxy sent.

Of an exchange's record its spans can be made once more, exactly, when somebody looks. The spans themselves are not kept: some
hundred small objects that die late, out of the processor's caches, would make every exchange a tenth more expensive (measured). For
the same reason only so many of each moment are among the latest; failed and slow ones are all looked at. Everything is bounded, in
entries and in bytes: of what is remembered, the oldest goes first (of the slowest ones the fastest).
"""

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from itertools import count

import msgspec

from ..records import RecordCutError, parse_record
from ..tracing import Connection, Exchange, ExchangeTracer, Span, SpanStatus, TraceId
from ..tracing.outcome import connection_outcome, server_outcome
from ..tracing.propagation.tracecontext import parse_traceparent
from ..wiring import LONG_FIELDS, SD_ID

__all__ = ["Made", "Piece", "Recent", "end_unix_nano_of", "has_failed", "trace_id_of"]

_MAX_LATEST = 100
_MAX_SLOWEST = 20
_MAX_FAILED = 50
_MAX_PIECES = 200
_MAX_SPANS_OF_TRACE = 200
"""In the mini-language; a client can have any number of requests in one trace."""
_MOMENT_NANOSECONDS = 1_000_000_000
"""With more than ``_MAX_LATEST`` of them in it, nobody could read along anyway."""
_MAX_BYTES = 512 * 1024
"""Of each list."""
_MAX_ENTRY_BYTES = _MAX_BYTES // 8
_SWITCHING_PROTOCOLS = 101
_ERROR = SpanStatus.ERROR
_TRACEPARENT_CHARACTERS = 55
_SD_IDS = frozenset({SD_ID.encode()})
_CUT_OFF = dict.fromkeys(LONG_FIELDS, "-")


class Piece(msgspec.Struct, frozen=True, gc=False):
    """Spans of the mini-language that ended together; a trace may come in several pieces."""

    spans: list[Span]


Made = Exchange | Connection | Piece
"""What the pipeline makes of a record, or of a message of the mini-language."""
_Entry = tuple[int, int, bytes | Made, ExchangeTracer | None, str | None]
"""End in Unix nanoseconds, size in bytes, the record, who made spans of it, and why they were kept if it was not sampled. In place
of the record what was made of it, where that can't be made again.
"""


class Recent:
    """Remembers exchanges.

    Attributes:
        followers: are called with each exchange, at once; they must not wait. Replaced, never changed.
        passed_over: exchanges that were too large to be remembered.
    """

    __slots__ = ("_failed", "_latest", "_left", "_moment_unix_nano", "_pieces", "_slowest", "followers", "passed_over")

    def __init__(self) -> None:
        self.followers: tuple[Callable[[Made], None], ...] = ()
        self.passed_over = 0
        self._latest = _Ring(_MAX_LATEST)
        self._failed = _Ring(_MAX_FAILED)
        self._pieces = _Ring(_MAX_PIECES)
        self._slowest = _Ranking(_MAX_SLOWEST)
        self._moment_unix_nano = 0
        self._left = 0
        """How many more of this moment may be among the latest."""

    def add(self, exchange: Exchange, record: bytes, tracer: ExchangeTracer) -> None:
        """Remember an exchange that ``tracer`` has made of its record; one that closed before a request came is nothing."""
        spans = exchange.spans
        if spans:
            failed = spans[0].status is _ERROR
        elif exchange.had_request:
            failed = has_failed(exchange)
        else:
            return
        for follow in self.followers:
            follow(exchange)
        ending = exchange.ending
        late = self._left == 0 and self._is_same_moment(ending.end_unix_nano)
        # A connection that was upgraded is not slow when it is long: it is how it is used.
        slow = ending.total_milliseconds > self._slowest.floor and ending.status_code != _SWITCHING_PROTOCOLS
        # With many a second this is where most of them go.
        if late and not failed and not slow:
            return
        if len(record) > _MAX_ENTRY_BYTES:
            self.passed_over += 1
            return
        entry = _entry(exchange, record, tracer)
        if not late:
            self._left -= 1
            self._latest.add(entry)
        if failed:
            self._failed.add(entry)
        if slow:
            self._slowest.add(ending.total_milliseconds, entry)

    def _is_same_moment(self, unix_nano: int) -> bool:
        """Whether the last moment goes on; else another one begins. HAProxies' clocks may disagree, and go back."""
        if 0 <= unix_nano - self._moment_unix_nano < _MOMENT_NANOSECONDS:
            return True
        self._moment_unix_nano = unix_nano
        self._left = _MAX_LATEST
        return False

    def add_connection(self, connection: Connection, size_bytes: int) -> None:
        """Remember a connection of a TCP frontend, made of a record of so many bytes; probes are nothing."""
        if connection.is_probe:
            return
        for follow in self.followers:
            follow(connection)
        if size_bytes > _MAX_ENTRY_BYTES:
            self.passed_over += 1
            return
        # It is sampled where it is made, which can't be done again.
        entry: _Entry = (connection.ending.end_unix_nano, size_bytes, connection, None, None)
        self._latest.add(entry)
        if has_failed(connection):
            self._failed.add(entry)

    def add_piece(self, spans: list[Span], size_bytes: int) -> None:
        """Remember spans of the mini-language that ended together; ``size_bytes`` is that of their encoding."""
        by_trace: dict[TraceId, list[Span]] = {}
        for span in spans:
            by_trace.setdefault(span.trace_id, []).append(span)
        for of_trace in by_trace.values():
            piece = Piece(of_trace)
            for follow in self.followers:
                follow(piece)
            share_bytes = size_bytes * len(of_trace) // len(spans)
            if share_bytes > _MAX_ENTRY_BYTES:
                self.passed_over += 1
            else:
                self._pieces.add((end_unix_nano_of(piece), share_bytes, piece, None, None))

    def turn(self) -> None:
        """Let what has been slow until now be forgotten at the next turn."""
        self._slowest.turn()

    def clear(self) -> None:
        """Forget everything."""
        for ring in (self._latest, self._failed, self._pieces):
            ring.clear()
        self._slowest.clear()

    def latest(self) -> Iterator[Made]:
        """The newest first; pieces of one trace are put together. Each is made again when its turn comes."""
        return _newest([*self._latest.entries, *self._joined()], _MAX_LATEST)

    def failed(self) -> Iterator[Made]:
        """Those that are errors, the newest first."""
        failed = [entry for entry in self._joined() if isinstance(entry[2], Piece) and has_failed(entry[2])]
        return _newest([*self._failed.entries, *failed], _MAX_FAILED)

    def slowest(self) -> Iterator[Made]:
        """The slowest first, of those since the last turn but one."""
        return map(_made, self._slowest.ranked())

    def of_trace(self, trace_id: TraceId) -> Iterator[Made]:
        """All that is remembered of one trace, the newest first."""
        remembered = [*self._latest.entries, *self._failed.entries, *self._slowest.ranked(), *self._joined()]
        text = trace_id.hex().encode()
        found = {id(entry[2]): entry for entry in remembered if _may_be_of(entry[2], trace_id, text)}
        return (made for made in _newest(found.values(), len(found)) if trace_id_of(made) == trace_id)

    def _joined(self) -> list[_Entry]:
        by_trace: dict[TraceId, list[Span]] = {}
        for _end, _size, piece, _tracer, _kept in self._pieces.entries:
            assert isinstance(piece, Piece)  # noqa: S101 - nothing else is in there
            for span in piece.spans:
                spans = by_trace.setdefault(span.trace_id, [])
                if len(spans) < _MAX_SPANS_OF_TRACE:
                    spans.append(span)
        pieces = [Piece(spans) for spans in by_trace.values()]
        return [(end_unix_nano_of(piece), 0, piece, None, None) for piece in pieces]


def _entry(exchange: Exchange, record: bytes, tracer: ExchangeTracer) -> _Entry:
    ending = exchange.ending
    if ending.excluded or (ending.traceparent is not None and len(ending.traceparent) == _TRACEPARENT_CHARACTERS):
        return ending.end_unix_nano, len(record), record, tracer, exchange.reason if exchange.spans else None
    # Its ids, and perhaps whether it is sampled, were a matter of chance.
    return ending.end_unix_nano, len(record), exchange, None, None


def _newest(entries: Iterable[_Entry], at_most: int) -> Iterator[Made]:
    return map(_made, sorted(entries, key=lambda entry: entry[0], reverse=True)[:at_most])


def _made(entry: _Entry) -> Made:
    end_unix_nano, _size, record, tracer, kept = entry
    if not isinstance(record, bytes) or tracer is None:
        assert not isinstance(record, bytes)  # noqa: S101 - a record has its tracer
        return record
    try:
        fields = parse_record(record, _SD_IDS).fields
    except RecordCutError as error:
        fields = {**_CUT_OFF, **error.rest.fields}
    return tracer.retrace(end_unix_nano, fields, kept)


def _may_be_of(record: bytes | Made, trace_id: TraceId, text: bytes) -> bool:
    return text in record if isinstance(record, bytes) else trace_id_of(record) == trace_id


def has_failed(made: Made) -> bool:
    """Whether an exchange is an error, sampled or not.

    Of a call by gRPC that was not sampled only the status of HTTP tells.
    """
    if type(made) is Piece:
        return any(span.status is _ERROR for span in made.spans)
    if made.spans:
        return made.spans[0].status is _ERROR
    if isinstance(made, Connection):
        outcome = connection_outcome(made.ending.termination_state, has_server=made.ending.server is not None)
    else:
        assert isinstance(made, Exchange)  # noqa: S101 - a piece has spans
        outcome = server_outcome(made.ending.status_code, made.ending.termination_state)
    return outcome.status is _ERROR


def end_unix_nano_of(made: Made) -> int:
    """When it ended."""
    return max(span.end_unix_nano for span in made.spans) if isinstance(made, Piece) else made.ending.end_unix_nano


def trace_id_of(made: Made) -> TraceId | None:
    """Its trace; None for an exchange that never had one."""
    if made.spans:
        return made.spans[0].trace_id
    if isinstance(made, Exchange):
        context = None if made.ending.traceparent is None else parse_traceparent(made.ending.traceparent)
        return None if context is None else context.trace_id
    return made.ending.trace_id if isinstance(made, Connection) else None


class _Ring:
    """The last so many."""

    __slots__ = ("_bytes", "_max_entries", "entries")

    def __init__(self, max_entries: int) -> None:
        self.entries: deque[_Entry] = deque()
        self._max_entries = max_entries
        self._bytes = 0

    def add(self, entry: _Entry) -> None:
        entries = self.entries
        entries.append(entry)
        self._bytes += entry[1]
        while len(entries) > self._max_entries or self._bytes > _MAX_BYTES:
            self._bytes -= entries.popleft()[1]

    def clear(self) -> None:
        self.entries.clear()
        self._bytes = 0


class _Ranking:
    """The slowest so many of two generations: what was slow long ago is forgotten."""

    __slots__ = ("_bytes", "_current", "_max_entries", "_numbers", "_previous", "floor")

    def __init__(self, max_entries: int) -> None:
        self._max_entries = max_entries
        self._numbers = count()
        self.clear()

    def clear(self) -> None:
        self.floor = -1
        """What is not slower is of no interest."""
        self._previous: list[tuple[int, int, _Entry]] = []
        self._current: list[tuple[int, int, _Entry]] = []
        self._bytes = 0

    def add(self, milliseconds: int, entry: _Entry) -> None:
        current = self._current
        heapq.heappush(current, (milliseconds, next(self._numbers), entry))
        self._bytes += entry[1]
        while len(current) > self._max_entries or self._bytes > _MAX_BYTES:
            self._bytes -= heapq.heappop(current)[2][1]
        if len(current) == self._max_entries:
            self.floor = current[0][0]

    def turn(self) -> None:
        current = self._current
        self.clear()
        self._previous = current

    def ranked(self) -> list[_Entry]:
        slowest = heapq.nlargest(self._max_entries, [*self._previous, *self._current])
        return [entry for _milliseconds, _number, entry in slowest]
