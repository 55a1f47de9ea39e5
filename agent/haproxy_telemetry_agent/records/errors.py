"""Why a record, or the whole stream, could not be used."""

from enum import StrEnum

__all__ = ["RecordError", "RecordStreamError", "SkipReason"]


class SkipReason(StrEnum):
    """Why a record was counted and skipped; the words are the label values of our metric."""

    TOO_LONG = "too_long"
    """Longer than the limit; its bytes were passed over without being kept."""
    TRUNCATED = "truncated"
    """The structured data have no end: HAProxy cut the record (``len``, ``maxlen``) too early, or the connection ended within
    it."""
    NO_STRUCTURED_DATA = "no_structured_data"
    """A record of HAProxy's without our SD-ID: the frontend has no log format, so HAProxy leaves ``log-format-sd`` out."""
    FOREIGN = "foreign"
    """No RFC 5424 record."""
    MISMATCHED = "mismatched"
    """Our SD-ID, but not the parameters this agent wants: ``log-format-sd`` was written for another version."""


class RecordError(Exception):
    """One record is of no use; the stream goes on."""

    def __init__(self, reason: SkipReason) -> None:
        super().__init__(reason.value)
        self.reason = reason


class RecordStreamError(Exception):
    """The bytes are no octet-counted stream: where the next record begins can't be known, so the connection ends."""
