"""Redaction: what must not leave with a span. Values of query parameters, parts of paths, headers that carry secrets.

A query keeps its keys and their order; a redacted value becomes ``REDACTED``. Either the values of listed keys are redacted, or all
but those of listed keys. Paths have no keys: their rules are patterns, applied one after the other.

Source: semantic conventions 1.44.0, http-spans, ``url.query`` and ``url.full``.
"""

import re
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import lru_cache
from urllib.parse import unquote_plus

from .patterns import MAX_SUBJECT_CHARACTERS, compile_pattern
from .semconv import SENSITIVE_QUERY_PARAMETERS

__all__ = ["REDACTED", "Redactor", "is_sensitive_header", "redact_query", "redact_query_except"]

REDACTED = "REDACTED"
_REMEMBERED_PATHS = 1024
_AUTHORITY = re.compile(r"((?:[A-Za-z][A-Za-z0-9+.-]*:)?//)([^/]*)")
_SENSITIVE_HEADER = re.compile(
    r"authorization|cookie|token|secret|passw|credential|api[-_]?key|session|signature|jwt|(?:^|[-_])auth(?:$|[-_])"
)


class Redactor:
    """The rules of one configuration.

    Args:
        sensitive: keys whose values are redacted; of no meaning with ``allowed``.
        allowed: the only keys whose values are not redacted; None: ``sensitive`` counts.
        scrubs: pattern and replacement (``\\1`` is a group), in their order, for paths.

    Raises:
        ValueError: a pattern or a replacement is none, or may take too long.
    """

    __slots__ = ("_allowed", "_path", "_scrubs", "_sensitive")

    def __init__(
        self,
        *,
        sensitive: AbstractSet[str] = SENSITIVE_QUERY_PARAMETERS,
        allowed: AbstractSet[str] | None = None,
        scrubs: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._sensitive = sensitive
        self._allowed = allowed
        self._scrubs = [_scrub(pattern, replacement) for pattern, replacement in scrubs]
        self._path = lru_cache(maxsize=_REMEMBERED_PATHS)(self._scrub_path)

    def query(self, text: str) -> str:
        """A query without its question mark, redacted."""
        if not text:
            return text
        return redact_query(text, self._sensitive) if self._allowed is None else redact_query_except(text, self._allowed)

    def path(self, text: str) -> str:
        """A path, scrubbed. With rules, one that is too long for them is cut: what they have not seen is not shown."""
        if not self._scrubs:
            return text
        return self._path(text[:MAX_SUBJECT_CHARACTERS])

    def url(self, text: str) -> str:
        """A URL or a part of one, as headers have it: without user information, path and query redacted, no fragment."""
        rest, _, query = text.partition("#")[0].partition("?")
        match = _AUTHORITY.match(rest)
        if match is not None:
            cleaned = f"{match[1]}{match[2].rpartition('@')[2]}{self.path(rest[match.end() :])}"
        else:
            cleaned = self.path(rest)
        return f"{cleaned}?{self.query(query)}" if query else cleaned

    def _scrub_path(self, path: str) -> str:
        for pattern, replacement in self._scrubs:
            path = pattern.sub(replacement, path)[: 2 * MAX_SUBJECT_CHARACTERS]
        return path


def _scrub(pattern: str, replacement: str) -> tuple[re.Pattern[str], str]:
    compiled = compile_pattern(pattern)
    try:
        compiled.sub(replacement, "")
    except (re.error, IndexError) as error:
        raise ValueError(f"the replacement does not fit the pattern: {error}") from None
    return compiled, replacement


def redact_query(query: str, sensitive: AbstractSet[str]) -> str:
    """``a=1&sig=x`` with the values of ``sensitive`` keys redacted; keys match exactly, however they are percent-encoded."""
    if not sensitive or "=" not in query:
        return query
    parts = query.split("&")
    changed = False
    for index, part in enumerate(parts):
        key, equals, _value = part.partition("=")
        if equals and (key in sensitive or ("%" in key and unquote_plus(key) in sensitive)):
            parts[index] = f"{key}={REDACTED}"
            changed = True
    return "&".join(parts) if changed else query


def redact_query_except(query: str, allowed: AbstractSet[str]) -> str:
    """``a=1&b=2`` with all values redacted but those of ``allowed`` keys; what has no key is a value."""
    parts = query.split("&")
    for index, part in enumerate(parts):
        key, equals, _value = part.partition("=")
        if part and key not in allowed:
            parts[index] = f"{key}={REDACTED}" if equals else REDACTED
    return "&".join(parts)


def is_sensitive_header(name: str) -> bool:
    """Whether a header usually carries a secret: Authorization, Cookie, Set-Cookie, X-Api-Key and their like."""
    return _SENSITIVE_HEADER.search(name.lower()) is not None
