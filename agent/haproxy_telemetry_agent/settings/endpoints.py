"""URLs of collectors: what no pattern shows, and what would only be known at the first batch otherwise."""

import re
from urllib.parse import urlsplit

from .explanation import SettingsError

__all__ = ["check_url"]

_BRACKETS = re.compile(r"[^\[\]]*|([^\[\]]*@)?\[[^\[\]]*\](:[0-9]*)?")
"""All of an IPv6 address stands in them, or nothing does."""


def check_url(url: str | None, field: str) -> None:
    """Whether a URL names a host and a port that somebody could listen on; no URL, and ``unix:``, are fine.

    Raises:
        SettingsError: names the field and what is wrong.
    """
    if url is None or url.startswith("unix:"):
        return
    host: str | None = None
    try:
        parts = urlsplit(url)
        host = parts.hostname
        _ = parts.port  # raises what is none
        if not host:
            raise SettingsError(f"{field}: {url!r}: names no host")
        if not host.isprintable() or _BRACKETS.fullmatch(parts.netloc) is None:
            raise SettingsError(f"{field}: {url!r}: {host!r} is no host's name")
        host.encode("idna")
    except UnicodeError:
        raise SettingsError(f"{field}: {url!r}: {host!r} is no host's name") from None
    except ValueError as error:
        raise SettingsError(f"{field}: {url!r}: is no URL: {error}") from None
