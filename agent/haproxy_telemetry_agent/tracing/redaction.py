"""Redaction of query strings: the value of a sensitive parameter becomes ``REDACTED``, its key stays.

Source: semantic conventions 1.44.0, http-spans, ``url.query`` and ``url.full``.
"""

from collections.abc import Set as AbstractSet

__all__ = ["REDACTED", "redact_query"]

REDACTED = "REDACTED"


def redact_query(query: str, sensitive: AbstractSet[str]) -> str:
    """``a=1&sig=x`` with the values of ``sensitive`` keys redacted; keys match exactly."""
    if not sensitive or "=" not in query:
        return query
    parts = query.split("&")
    changed = False
    for index, part in enumerate(parts):
        key, equals, _value = part.partition("=")
        if equals and key in sensitive:
            parts[index] = f"{key}={REDACTED}"
            changed = True
    return "&".join(parts) if changed else query
