"""What a message of the argument mini-language says: its arguments, in order, read into clauses.

A clause is a span and what is said of it: ``span=str("name") child-of=str("parent") tag=str("key") data ...``. An argument without
a name belongs to the named one before it. Nothing here knows which spans are open. What can't be read is left out and told; the
rest counts. Source of the language: the documentation of spoa-opentracing, "SPOE configuration".
"""

from collections.abc import Sequence
from enum import Enum
from ipaddress import IPv4Address, IPv6Address

import msgspec

from .span import Attribute

__all__ = [
    "ALL",
    "Baggage",
    "Clause",
    "Log",
    "MessageWarning",
    "Reading",
    "Tag",
    "WarningReason",
    "is_minilanguage",
    "read_message",
]

ALL = "*"
"""``finish=str("*")``: every open span."""

_MAX_ID_CHARACTERS = 1024
_MAX_INTEGER = (1 << 63) - 1
_OWN_NAMES = frozenset(("span", "finish"))
_OTHER_NAMES = frozenset(("child-of", "follows-from", "tag", "baggage", "log"))

Arguments = Sequence[tuple[str, object]]


class WarningReason(Enum):
    """Why something in a message was left out; the values are labels of a metric."""

    NO_ID = "no_id"
    UNKNOWN_ARGUMENT = "unknown_argument"
    REPEATED_ARGUMENT = "repeated_argument"
    NO_SPAN = "no_span"
    NO_VALUE = "no_value"
    EXCESS_DATA = "excess_data"
    BINARY_DATA = "binary_data"
    CUT = "cut"
    REFERENCE_NOT_OPEN = "reference_not_open"
    FINISH_NOT_OPEN = "finish_not_open"
    SECOND_ROOT = "second_root"
    SPAN_LIMIT = "span_limit"
    TAG_LIMIT = "tag_limit"


class MessageWarning(msgspec.Struct, frozen=True, gc=False):
    """One thing that was left out or done otherwise than written."""

    reason: WarningReason
    message: str
    """The message's name."""
    argument: str
    """The argument, with its first value where that says more: ``child-of=Client session``."""


class Tag(msgspec.Struct, frozen=True, gc=False):
    """``tag=``: an attribute of the span."""

    key: str
    value: Attribute | None
    """None is HAProxy's NULL."""


class Baggage(msgspec.Struct, frozen=True, gc=False):
    """``baggage=``: text that the span and those below it carry."""

    key: str
    value: str


class Log(msgspec.Struct, frozen=True, gc=False):
    """``log=``: text with a time."""

    key: str
    value: str


class Clause(msgspec.Struct, gc=False):
    """``span=`` and all that stands behind it up to the next one."""

    name: str
    reference: str | None = None
    """The span that ``child-of=`` or ``follows-from=`` names."""
    follows: bool = False
    """Whether it was ``follows-from=``."""
    items: list[Tag | Baggage | Log] = msgspec.field(default_factory=list)


class Reading(msgspec.Struct, gc=False):
    """A message, read."""

    id: str | None
    """Which exchange it is about; None if it does not say so."""
    traceparent: str | None
    tracestate: str | None
    clauses: list[Clause]
    finishes: list[str]
    """Names of spans, or ``ALL``."""
    warnings: list[MessageWarning]


def is_minilanguage(arguments: Arguments) -> bool:
    """Whether a message is written in the mini-language, well or badly.

    ``span`` or ``finish`` say so alone; the other names may be anybody's and need an ``id`` beside them.
    """
    names = {name for name, _ in arguments}
    return not _OWN_NAMES.isdisjoint(names) or ("id" in names and not _OTHER_NAMES.isdisjoint(names))


def read_message(message_name: str, arguments: Arguments, *, max_text_characters: int) -> Reading:
    """Read one message; texts of more than ``max_text_characters`` are cut. Never raises."""
    return _Reader(message_name, max_text_characters).read(arguments)


def text_of(value: object) -> str | None:
    """A datum as text, as the language wants it: booleans are 1 and 0, NULL is empty; None for binary data."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "1" if value else "0"
    return str(value) if isinstance(value, int | IPv4Address | IPv6Address) else None


class _Reader:
    """Reads one message."""

    __slots__ = ("_max_text_characters", "_message_name", "_reading")

    def __init__(self, message_name: str, max_text_characters: int) -> None:
        self._message_name = message_name
        self._max_text_characters = max_text_characters
        self._reading = Reading(None, None, None, [], [], [])

    def read(self, arguments: Arguments) -> Reading:
        count = len(arguments)
        position = 0
        while position < count:
            name, value = arguments[position]
            position += 1
            start = position
            while position < count and not arguments[position][0]:
                position += 1
            self._argument(name, value, [datum for _, datum in arguments[start:position]])
        if self._reading.id is None:
            self._warn(WarningReason.NO_ID, "id")
        return self._reading

    def _argument(self, name: str, value: object, data: list[object]) -> None:
        if name in ("tag", "baggage", "log"):
            self._item(name, value, data)
            return
        if name == "span":
            span = self._name(name, value)
            if span is not None:
                self._reading.clauses.append(Clause(span))
        elif name in ("child-of", "follows-from"):
            self._reference(name, value)
        elif name == "finish":
            # The one argument that may go on: each value is a span to finish.
            for one in (value, *data):
                self._finish(one)
            return
        elif name == "id":
            self._id(value)
        elif name in ("traceparent", "tracestate"):
            # No warning without a value: most requests have no such header.
            if isinstance(value, str) and value and getattr(self._reading, name) is None:
                setattr(self._reading, name, value)
        else:
            self._warn(WarningReason.UNKNOWN_ARGUMENT, name)
            return
        if data:
            self._warn(WarningReason.EXCESS_DATA, name)

    def _id(self, value: object) -> None:
        text = text_of(value)
        if not text or len(text) > _MAX_ID_CHARACTERS:
            return
        if self._reading.id is None:
            self._reading.id = text
        else:
            self._warn(WarningReason.REPEATED_ARGUMENT, "id")

    def _reference(self, name: str, value: object) -> None:
        reference = self._name(name, value)
        if reference is None:
            return
        if not self._reading.clauses:
            self._warn(WarningReason.NO_SPAN, f"{name}={reference}")
            return
        clause = self._reading.clauses[-1]
        if clause.reference is None:
            clause.reference = reference
            clause.follows = name == "follows-from"
        else:
            self._warn(WarningReason.REPEATED_ARGUMENT, f"{name}={reference}")

    def _finish(self, value: object) -> None:
        clauses = self._reading.clauses
        if value is None or value == "":
            if clauses:
                self._reading.finishes.append(clauses[-1].name)
            else:
                self._warn(WarningReason.NO_SPAN, "finish")
            return
        name = self._name("finish", value)
        if name is not None:
            self._reading.finishes.append(name)

    def _item(self, name: str, value: object, data: list[object]) -> None:
        key = self._name(name, value)
        if key is None:
            return
        argument = f"{name}={key}"
        if not self._reading.clauses:
            self._warn(WarningReason.NO_SPAN, argument)
            return
        if not data:
            self._warn(WarningReason.NO_VALUE, argument)
            return
        items = self._reading.clauses[-1].items
        if name == "tag" and len(data) == 1 and (data[0] is None or isinstance(data[0], bool | int)):
            datum = data[0]
            # OTLP's integers are signed.
            items.append(Tag(key, str(datum) if isinstance(datum, int) and datum > _MAX_INTEGER else datum))
            return
        texts = [text_of(datum) for datum in data]
        if None in texts:
            self._warn(WarningReason.BINARY_DATA, argument)
            return
        text = self._cut(argument, "".join(text for text in texts if text))
        items.append(Tag(key, text) if name == "tag" else Baggage(key, text) if name == "baggage" else Log(key, text))

    def _name(self, argument: str, value: object) -> str | None:
        """The name of a span or a key; None, told, if there is none."""
        name = text_of(value)
        if name:
            return self._cut(argument, name)
        self._warn(WarningReason.BINARY_DATA if name is None else WarningReason.NO_VALUE, argument)
        return None

    def _cut(self, argument: str, text: str) -> str:
        if len(text) <= self._max_text_characters:
            return text
        self._warn(WarningReason.CUT, argument)
        return text[: self._max_text_characters]

    def _warn(self, reason: WarningReason, argument: str) -> None:
        self._reading.warnings.append(MessageWarning(reason, self._message_name, argument))
