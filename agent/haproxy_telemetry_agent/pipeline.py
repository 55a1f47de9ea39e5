"""The data's way through the agent, both halves: SPOE messages to actions, records to spans on their way out.

Everything here is a call into a pure part, and a count. No state is kept between the two halves: what a record needs to know of its
start, it brings along. Messages that are not ours are handed on (``foreign_messages``).
"""

import logging
from collections.abc import Callable

from .access_log import AccessLog
from .debug import Recent
from .export import encode_span
from .foreign_messages import ForeignMessages
from .records import RecordCutError, RecordError, SkipReason, dropped_count, parse_record
from .request_metrics import RequestMetrics
from .spop import Action, Message, SetVar, VarScope
from .telemetry import Telemetry
from .tracing import (
    Answerer,
    Connection,
    ConnectionTracer,
    Exchange,
    ExchangeTracer,
    Span,
)
from .wiring import CONNECTION_SD_ID, LONG_FIELDS, REQUEST_MESSAGE, SD_ID, SPOE_EVENTS

__all__ = ["Pipeline"]

_logger = logging.getLogger(__name__)
_CONNECTION_SD_ID = CONNECTION_SD_ID.encode()
_SD_IDS = frozenset({SD_ID.encode(), _CONNECTION_SD_ID})
_CUT_OFF = dict.fromkeys(LONG_FIELDS, "-")
_TRANSACTION = VarScope.TRANSACTION
_EVENTS = {event.message: number for number, event in enumerate(SPOE_EVENTS)}


class Pipeline:
    """What the two servers call.

    Args:
        answerer: answers the start of an exchange.
        tracer: makes the spans at its end.
        connection_tracer: makes those of a connection of a ``mode tcp`` frontend.
        foreign: answers messages that are not ours.
        telemetry: counts.
        offer: takes one encoded span; must not wait.
        asks: whether HAProxy asks us at all; in profile Stream it does not.
        requests: counts requests; None: nobody wants to know.
        access_log: logs exchanges and connections; None: nobody wants it.
        recent: remembers exchanges; None: nobody wants to look. May be replaced at any time.
    """

    __slots__ = (
        "_access_log",
        "_answerer",
        "_connection_tracer",
        "_foreign",
        "_offer",
        "_requests",
        "_telemetry",
        "_tracer",
        "_without_answer",
        "recent",
    )

    def __init__(
        self,
        *,
        answerer: Answerer,
        tracer: ExchangeTracer,
        connection_tracer: ConnectionTracer,
        foreign: ForeignMessages,
        telemetry: Telemetry,
        offer: Callable[[bytes], None],
        asks: bool = True,
        requests: RequestMetrics | None = None,
        access_log: AccessLog | None = None,
        recent: Recent | None = None,
    ) -> None:
        self._answerer = answerer
        self._tracer = tracer
        self._connection_tracer = connection_tracer
        self._foreign = foreign
        self._telemetry = telemetry
        self._offer = offer
        self._without_answer = "unanswered" if asks else "unasked"
        self._requests = requests
        self._access_log = access_log
        self.recent = recent

    def replace(
        self, *, answerer: Answerer, tracer: ExchangeTracer, connection_tracer: ConnectionTracer, asks: bool = True
    ) -> None:
        """Go on with these; an exchange that has begun with others ends with these, its token says all that was decided."""
        self._answerer = answerer
        self._tracer = tracer
        self._connection_tracer = connection_tracer
        self._without_answer = "unanswered" if asks else "unasked"

    def notify(self, messages: list[Message]) -> list[Action]:
        """The actions that answer one NOTIFY; a message that nobody understands gets none."""
        actions: list[Action] = []
        # The messages of one frame were all written before the first was answered (a ``listen`` section's events come two by two).
        carried: dict[str, str] = {}
        event_unix_nano = 0
        for message in messages:
            event = _EVENTS.get(message.name)
            if event is None:
                if self._foreign.understand(message):
                    # All messages of one NOTIFY are of one event.
                    event_unix_nano = event_unix_nano or self._foreign.now_unix_nano()
                    actions += self._foreign.receive(message, event_unix_nano)
                    continue
                self._telemetry.message("other")
                _logger.warning("message %r is none of this profile's: is spoe.cfg the one that `config` prints?", message.name)
                continue
            self._telemetry.message(message.name)
            arguments = dict(message.arguments)
            if carried:
                arguments.update(carried)
            if message.name == REQUEST_MESSAGE:
                answer = self._answerer.answer(arguments)
                self._telemetry.answered(sampled=answer.sampled, has_parent=answer.has_parent)
                variables = answer.variables
            else:
                stamp = self._answerer.stamp(event, arguments)
                variables = [] if stamp is None else [stamp]
            carried.update(variables)
            actions.extend([SetVar(_TRANSACTION, name, value) for name, value in variables])
        return actions

    def record(self, data: bytes) -> None:
        """Make and send the spans of one record; one that is of no use is counted."""
        is_cut = False
        try:
            record = parse_record(data, _SD_IDS)
        except RecordCutError as error:
            record, is_cut = error.rest, True
        except RecordError as error:
            self._telemetry.record_skipped(error.reason)
            if lost := dropped_count(data):
                self._telemetry.records_lost(lost)
                _logger.warning("HAProxy's ring was full: %d records are lost", lost)
            else:
                _logger.warning("record skipped (%s): %.200r", error.reason, data)
            return
        try:
            made: Exchange | Connection
            if record.sd_id == _CONNECTION_SD_ID:
                made = self._connection_tracer.trace(record.end_unix_nano, record.fields)
            else:
                fields = {**_CUT_OFF, **record.fields} if is_cut else record.fields
                made = self._tracer.trace(record.end_unix_nano, fields)
        except (KeyError, ValueError, OverflowError) as error:
            if is_cut:
                self._telemetry.record_skipped(SkipReason.TRUNCATED)
                _logger.warning("record skipped (%s): %.200r", SkipReason.TRUNCATED, data)
                return
            self._telemetry.record_skipped(SkipReason.MISMATCHED)
            _logger.warning("record skipped: parameter %s: does log-format-sd fit this agent? %.200r", error, data)
            return
        if is_cut:
            self._telemetry.record_cut()
        if isinstance(made, Connection):
            self._telemetry.recorded("probe" if made.is_probe else "connection")
            if self.recent is not None:
                self.recent.add_connection(made, len(data))
        else:
            self._count(made)
            if self._requests is not None:
                self._requests.count(made)
            if self.recent is not None:
                self.recent.add(made, data, self._tracer)
        if made.reason:
            self._telemetry.decided(made.reason)
        if self._access_log is not None:
            self._access_log.write(made)
        self._send(made.spans)

    def _count(self, exchange: Exchange) -> None:
        if not exchange.had_request:
            self._telemetry.recorded("no_request")
            return
        ending = exchange.ending
        self._telemetry.recorded("answered" if ending.answered else self._without_answer)
        if ending.spoe_error is not None:
            self._telemetry.spoe_failed(ending.spoe_error)

    def _send(self, spans: list[Span]) -> None:
        self._telemetry.spans_made(spans)
        for span in spans:
            self._offer(encode_span(span))
