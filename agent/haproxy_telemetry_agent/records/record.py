r"""One record: an RFC 5424 header, our structured data, and a message that nobody reads.

::

    <134>1 2026-11-22T13:50:34.119025+00:00 - haproxy 37 - [ht@1 tp="00-4b..-01" ST="200" ...] 127.0.0.1:51262 [22/Nov...

Only the time stamp and the structured data matter: they come from ``log-format-sd`` and are the same whatever the user's own log
format is. HOSTNAME and APP-NAME depend on the user's configuration and are not looked at. ``%{+E}o`` escapes ``"``, ``\`` and
``]`` in values with a backslash, so a bare ``"]`` can only be the end.

Source: RFC 5424 section 6; escaping as seen on HAProxy 2.6 to 3.4.
"""

import re
from collections.abc import Set as AbstractSet

import msgspec

from .errors import RecordError, SkipReason
from .timestamp import timestamp_unix_nano

__all__ = ["Record", "RecordCutError", "dropped_count", "parse_record"]


class Record(msgspec.Struct, frozen=True, gc=False):
    """The end of one exchange, or of one connection, as HAProxy tells it."""

    end_unix_nano: int
    """When HAProxy wrote the record: the true end of the exchange."""
    fields: dict[str, str]
    """The parameters of the structured data. A value HAProxy did not have is ``-``."""
    sd_id: bytes
    """Which of the wanted SD-IDs it has."""


class RecordCutError(RecordError):
    """HAProxy cut a record that was too long.

    Args:
        rest: what is left of it, without the parameter that has lost its end.
    """

    def __init__(self, rest: Record) -> None:
        super().__init__(SkipReason.TRUNCATED)
        self.rest = rest


# Clients can send what has to be escaped, as much as a request line holds: neither of these two looks at one character at a time.
_PARAMETER = re.compile(r'([^ ="\]]{1,32})="([^"\\]*(?:\\.[^"\\]*)*)"', re.DOTALL)

_DROPPED = re.compile(rb"- (\d{1,9}) events? dropped\s*")
"""HAProxy's own words (2.6 and 2.8 say it, 3.0 and 3.2 do not), and the whole of the record behind its header."""

_MAX_SD_ID_BYTES = 32
"""RFC 5424, 6.3.2."""

_NAMES: dict[tuple[str, ...], list[str]] = {}
_MAX_TEMPLATES = 64


def parse_record(data: bytes, sd_ids: AbstractSet[bytes]) -> Record:
    """A record whose structured data begin with an element of one of these SD-IDs (such as ``b"ht@1"``).

    Raises:
        RecordCutError: HAProxy cut it.
        RecordError: with the reason to count it under.
    """
    # PRI VERSION, TIMESTAMP, HOSTNAME, APP-NAME, PROCID, MSGID, STRUCTURED-DATA: strictly by position, because what follows
    # the structured data holds text that clients choose.
    parts = data.split(b" ", 6)
    if len(parts) != 7 or not parts[0].startswith(b"<") or not parts[0].endswith(b">1"):
        raise RecordError(SkipReason.FOREIGN)
    try:
        end_unix_nano = timestamp_unix_nano(parts[1])
    except ValueError:
        raise RecordError(SkipReason.FOREIGN) from None
    rest = parts[6]
    space = rest.find(b" ", 0, _MAX_SD_ID_BYTES + 2)
    sd_id = rest[1:space]
    if space < 0 or sd_id not in sd_ids or not rest.startswith(b"["):
        raise RecordError(SkipReason.NO_STRUCTURED_DATA)
    end = rest.find(b'"]', space)
    if end < 0:
        raise RecordCutError(Record(end_unix_nano, _unescape(rest[space:].decode("utf-8", "replace")), sd_id))
    body = rest[space + 1 : end + 1].decode("utf-8", "replace")
    if "\\" in body:
        return Record(end_unix_nano, _unescape(body), sd_id)
    # k1="v1" k2="v2" ...: split at the quotes, what is at odd places are values. The names are the same for every record of a
    # configuration, so their clean form is remembered.
    pieces = body.split('"')
    if len(pieces) % 2 == 0:
        raise RecordError(SkipReason.FOREIGN)
    template = tuple(pieces[:-1:2])
    names = _NAMES.get(template)
    if names is None:
        names = [piece.strip(" =") for piece in template]
        if not all(piece.endswith("=") for piece in template):
            raise RecordError(SkipReason.FOREIGN)
        if len(_NAMES) < _MAX_TEMPLATES:
            _NAMES[template] = names
    return Record(end_unix_nano, dict(zip(names, pieces[1::2], strict=True)), sd_id)


def dropped_count(data: bytes) -> int:
    """How many records HAProxy says that it had no room for in its ring; 0 if this record says anything else."""
    said = _DROPPED.fullmatch(data.split(b" ", 6)[-1])
    return int(said[1]) if said else 0


def _unescape(body: str) -> dict[str, str]:
    return {name: _without_escapes(value) if "\\" in value else value for name, value in _PARAMETER.findall(body)}


def _without_escapes(value: str) -> str:
    return "\\".join([part.replace('\\"', '"').replace("\\]", "]") for part in value.split("\\\\")])
