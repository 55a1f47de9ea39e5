"""The proxy that the environment names for a URL.

Read here and not by aiohttp's ``trust_env``, which would take credentials from ``~/.netrc`` as well, and refuse to send an
``Authorization`` header beside them.
"""

from typing import NamedTuple
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

__all__ = ["Proxy", "find_proxy"]


class Proxy(NamedTuple):
    """Where a proxy is, and what it wants to know."""

    url: str
    """Without credentials."""
    user: str | None
    password: str


def find_proxy(url: str) -> Proxy | None:
    """What ``http_proxy``, ``https_proxy`` and ``no_proxy`` (in either case) say of ``url``; None: no proxy."""
    target = urlsplit(url)
    named = getproxies().get(target.scheme)
    if not named or proxy_bypass(target.netloc):
        return None
    parts = urlsplit(named if "://" in named else f"http://{named}")
    place = parts.netloc.rpartition("@")[2]
    user = None if parts.username is None else unquote(parts.username)
    return Proxy(f"{parts.scheme}://{place}", user, unquote(parts.password or ""))
