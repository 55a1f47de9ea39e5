"""W3C Baggage: what callers say about a request, ``baggage: key=value;property,key=value``.

HAProxy passes it on untouched. The agent only reads it for the keys that a user wants to see on spans: such an entry becomes the
attribute ``baggage.<key>``. Entries that are not valid are left out one by one; properties are not read.
Source: W3C Baggage, section 3.3.
"""

import re
from collections.abc import Collection, Iterable
from urllib.parse import unquote

__all__ = ["MAX_VALUE_CHARACTERS", "baggage_attributes", "parse_baggage"]

MAX_CHARACTERS = 8192
"""Of all headers together (3.3.2); what is behind is not read."""
MAX_MEMBERS = 180
MAX_VALUE_CHARACTERS = 256
"""Longest value of an attribute: it travels in the state token, through HAProxy twice."""

_MEMBER = re.compile(
    r"[ \t]*([!#$%&'*+\-.^_`|~0-9A-Za-z]+)[ \t]*=[ \t]*"
    r"([\x21\x23-\x2b\x2d-\x3a\x3c-\x5b\x5d-\x7e]*)[ \t]*(?:;.*)?"
)


def parse_baggage(headers: Iterable[str]) -> list[tuple[str, str]]:
    """Keys and decoded values of all ``baggage`` headers of a request, each key once: its last value."""
    members = ",".join(headers)[:MAX_CHARACTERS].split(",", MAX_MEMBERS)[:MAX_MEMBERS]
    pairs: dict[str, str] = {}
    for member in members:
        match = _MEMBER.fullmatch(member)
        if match is not None:
            pairs[match[1]] = unquote(match[2]) if "%" in match[2] else match[2]
    return list(pairs.items())


def baggage_attributes(headers: Iterable[str], keys: Collection[str]) -> list[tuple[str, str]]:
    """The attributes of the entries whose key is one of ``keys``, values cut to ``MAX_VALUE_CHARACTERS``."""
    return [(f"baggage.{key}", value[:MAX_VALUE_CHARACTERS]) for key, value in parse_baggage(headers) if key in keys]
