"""The authority of a request: ``Host`` or ``:authority``, cut into address and port.

Source: RFC 9110, 7.2; RFC 3986, 3.2.2 (an IPv6 address stands in brackets).
"""

import re
from functools import lru_cache

__all__ = ["split_authority"]

_PORT = re.compile(r"[0-9]{1,5}")
_MAX_REMEMBERED_CHARACTERS = 300
"""A name has 253 at most; longer ones are some client's invention, and would fill the memory."""


def split_authority(authority: str) -> tuple[str, int | None]:
    """``host:port`` into ``(host, port)``; the port is None where there is none, or none that is one."""
    return _split(authority) if len(authority) > _MAX_REMEMBERED_CHARACTERS else _remembered(authority)


def _split(authority: str) -> tuple[str, int | None]:
    host = authority.rpartition("@")[2]
    if host.startswith("["):
        address, _, rest = host[1:].partition("]")
        port = rest.removeprefix(":")
    else:
        address, _, port = host.partition(":")
    return address, int(port) if _PORT.fullmatch(port) and 0 < int(port) < 65_536 else None


_remembered = lru_cache(maxsize=1024)(_split)
