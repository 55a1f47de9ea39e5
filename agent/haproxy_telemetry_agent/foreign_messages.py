"""Messages that are not ours: what SPOE files written for spoa-opentracing send, in their mini-language.

They know no record: a message both begins and ends spans, which stay open here in between. What is warned of is what such a file
says wrongly, or what HAProxy never came to say.
"""

import logging
import time
from collections.abc import Callable, Iterable

from .debug import Recent
from .export import encode_span
from .settings import duration_seconds
from .settings.minilanguage import MiniLanguageSettings
from .spop import Action, Message, SetVar, UnsetVar, VarScope
from .telemetry import Telemetry
from .tracing import IdGenerator, MiniLanguage, MiniLimits, Sampler, Span, WarningReason

__all__ = ["ForeignMessages", "make_minilanguage"]

_logger = logging.getLogger(__name__)
_NAME = "minilang"
_IN_TRANSACTION = (VarScope.TRANSACTION,)
_IN_REQUEST = (VarScope.TRANSACTION, VarScope.REQUEST)
_MAX_EXPIRED_AT_ONCE = 200
"""HAProxies wait for answers meanwhile."""

# One text a reason: the log holds back what comes too often by its text.
_WARNINGS = {
    WarningReason.NO_ID: "message %r, argument %r: there is none, or it is empty: does the frontend have a unique-id-format?",
    WarningReason.UNKNOWN_ARGUMENT: "message %r, argument %r: is unknown, and ignored",
    WarningReason.REPEATED_ARGUMENT: "message %r, argument %r: stands here twice, the first one counts",
    WarningReason.NO_SPAN: "message %r, argument %r: ignored, there is no span= before it",
    WarningReason.NO_VALUE: "message %r, argument %r: ignored, it has no value",
    WarningReason.EXCESS_DATA: "message %r, argument %r: takes one value, what follows is ignored",
    WarningReason.BINARY_DATA: "message %r, argument %r: ignored, its value is binary",
    WarningReason.CUT: "message %r, argument %r: longer than minilanguage.maxTextCharacters, and cut",
    WarningReason.REFERENCE_NOT_OPEN: "message %r, argument %r: no span is made, the one it names is not open",
    WarningReason.FINISH_NOT_OPEN: "message %r, argument %r: no such span is open",
    WarningReason.SECOND_ROOT: "message %r, argument %r: the exchange has a root already, this span becomes its child",
    WarningReason.SPAN_LIMIT: "message %r, argument %r: no span is made, minilanguage.maxSpans are open",
    WarningReason.TAG_LIMIT: "message %r, argument %r: ignored, the span has minilanguage.maxTags of its kind",
}


class ForeignMessages:
    """Answers such messages, and sends the spans that they end.

    Args:
        minilanguage: understands them.
        telemetry: counts.
        offer: takes one encoded span; must not wait.
        now_unix_nano: the clock.
        recent: remembers spans; None: nobody wants to look. May be replaced at any time.
    """

    __slots__ = ("_minilanguage", "_offer", "_telemetry", "now_unix_nano", "recent")

    def __init__(
        self,
        *,
        minilanguage: MiniLanguage,
        telemetry: Telemetry,
        offer: Callable[[bytes], None],
        now_unix_nano: Callable[[], int] = time.time_ns,
        recent: Recent | None = None,
    ) -> None:
        self._minilanguage = minilanguage
        self._telemetry = telemetry
        self._offer = offer
        self.now_unix_nano = now_unix_nano
        self.recent = recent

    def replace_sampler(self, sampler: Sampler) -> None:
        """Decide by another one from now on; what is open stays open."""
        self._minilanguage.sampler = sampler

    def understand(self, message: Message) -> bool:
        """Whether a message is in the mini-language."""
        return self._minilanguage.understands(message.arguments)

    def receive(self, message: Message, event_unix_nano: int) -> list[Action]:
        """The actions that answer one message that is understood; ``event_unix_nano`` is when its event was."""
        self._telemetry.message(_NAME)
        result = self._minilanguage.receive(message.name, message.arguments, event_unix_nano)
        told: set[WarningReason] = set()
        for warning in result.warnings:
            self._telemetry.minilang_warned(warning.reason.value)
            if warning.reason not in told:
                told.add(warning.reason)
                _logger.warning(_WARNINGS[warning.reason], warning.message, warning.argument)
        self._send(result.spans)
        return [
            UnsetVar(scope, name) if value is None else SetVar(scope, name, value)
            for scope in (_IN_REQUEST if result.in_request else _IN_TRANSACTION)
            for name, value in result.variables
        ]

    def expire(self) -> bool:
        """Close what has been left open for too long; whether there may be more of it, to be closed soon."""
        before = len(self._minilanguage)
        self._send(self._minilanguage.expire(self.now_unix_nano(), at_most=_MAX_EXPIRED_AT_ONCE))
        return before - len(self._minilanguage) == _MAX_EXPIRED_AT_ONCE

    def close(self) -> None:
        """Close all that has been left open."""
        self._send(self._minilanguage.close())

    def _send(self, spans: Iterable[Span]) -> None:
        sent = []
        size_bytes = 0
        for span in spans:
            self._telemetry.minilang_span_made(span.kind)
            encoded = encode_span(span)
            self._offer(encoded)
            sent.append(span)
            size_bytes += len(encoded)
        if self.recent is not None and sent:
            self.recent.add_piece(sent, size_bytes)


def make_minilanguage(settings: MiniLanguageSettings, *, sampler: Sampler, ids: IdGenerator) -> MiniLanguage:
    """What understands the mini-language, within the limits that the settings name."""
    limits = MiniLimits(
        max_exchanges=settings.max_exchanges,
        max_bytes=settings.max_bytes,
        max_spans=settings.max_spans,
        max_tags=settings.max_tags,
        max_text_characters=settings.max_text_characters,
        request_silence_seconds=duration_seconds(settings.request_timeout),
        server_silence_seconds=duration_seconds(settings.server_timeout),
        upgraded_silence_seconds=duration_seconds(settings.upgraded_timeout),
    )
    return MiniLanguage(sampler=sampler, ids=ids, limits=limits, server_spans=settings.server_spans)
