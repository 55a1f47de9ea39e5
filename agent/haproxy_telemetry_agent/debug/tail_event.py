"""What an agent tells who follows it: a line of JSON for each event, ``{"exchange": {...}}`` and the like.

An empty line says that the agent is alive and nothing happened.
"""

import msgspec

from .exchange_view import ExchangeView

__all__ = ["Greeting", "TailEvent", "decode_event", "encode_event"]


class Greeting(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    """The first line: who is followed."""

    service_name: str
    version: str


class TailEvent(msgspec.Struct, frozen=True, rename="camel", kw_only=True, omit_defaults=True):
    """One of these."""

    agent: Greeting | None = None
    exchange: ExchangeView | None = None
    lost: int = 0
    """So many exchanges were lost here: the reader was too slow."""
    end: str | None = None
    """Why this is the last line."""


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(TailEvent)


def encode_event(event: TailEvent) -> bytes:
    """Its line."""
    return _encoder.encode(event) + b"\n"


def decode_event(line: bytes) -> TailEvent | None:
    """What a line says; None of one that is empty.

    Raises:
        ValueError: it says nothing that is known here.
    """
    if not line.strip():
        return None
    try:
        return _decoder.decode(line)
    except msgspec.DecodeError as error:
        raise ValueError(str(error)) from None
