"""Conditions on a request: what a rule, or an exclusion, may ask of it. Compiled once; each answers in a microsecond or less.

What HAProxy did not tell fulfils no condition. A glob has one wildcard, ``*``: any characters, also none, and ``/`` among them. It
is matched without going back, so that no text makes it slow.
"""

import ipaddress
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Literal

from .authority import split_authority
from .regex import compile_search
from .request import Request

__all__ = [
    "Condition",
    "Networks",
    "PathKind",
    "frontend_condition",
    "glob",
    "header_condition",
    "host_condition",
    "method_condition",
    "network_condition",
    "path_condition",
    "path_matcher",
]

Condition = Callable[[Request], bool]
PathKind = Literal["prefix", "glob", "regex"]

_MAX_REMEMBERED_ADDRESSES = 4096
_IPV6_BITS = 128
_MAPPED_IPV4 = 0xFFFF << 32


class Networks:
    """Some networks, IPv4 and IPv6.

    Args:
        cidrs: ``10.0.0.0/8``, ``2001:db8::/32``, or single addresses.

    Raises:
        ValueError: one of them is none, or has bits behind its prefix.
    """

    __slots__ = ("_look_up", "_masks")

    def __init__(self, cidrs: Iterable[str]) -> None:
        self._masks = [_mask(ipaddress.ip_network(cidr)) for cidr in cidrs]
        # Clients come again.
        self._look_up = lru_cache(_MAX_REMEMBERED_ADDRESSES)(self._compare)

    def contain(self, address: str | None) -> bool:
        """Whether one of them has this address; what is no address (a client on a unix socket has none) is nowhere."""
        return address is not None and self._look_up(address)

    def _compare(self, address: str) -> bool:
        try:
            number = _number(ipaddress.ip_address(address))
        except ValueError:
            return False
        return any(number & mask == network for network, mask in self._masks)


def _number(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    # An IPv4 client of a socket that takes both comes as ::ffff:192.0.2.1.
    return int(address) | _MAPPED_IPV4 if address.version == 4 else int(address)


def _mask(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[int, int]:
    host_bits = network.max_prefixlen - network.prefixlen
    return _number(network.network_address), (1 << _IPV6_BITS) - (1 << host_bits)


def glob(pattern: str) -> Callable[[str], bool]:
    """Whether a text is what ``pattern`` says, all of it."""
    if "*" not in pattern:
        return pattern.__eq__
    first, *middle, last = pattern.split("*")
    shortest = len(first) + len(last)

    def matches(text: str) -> bool:
        if len(text) < shortest or not text.startswith(first) or not text.endswith(last):
            return False
        position, end = len(first), len(text) - len(last)
        for part in middle:
            found = text.find(part, position, end)
            if found < 0:
                return False
            position = found + len(part)
        return True

    return matches


def path_matcher(kind: PathKind, pattern: str) -> Callable[[str], bool]:
    """Whether a path begins with, is, or has in it (``regex``) what ``pattern`` says."""
    if kind == "prefix":
        return lambda path: path.startswith(pattern)
    return glob(pattern) if kind == "glob" else compile_search(pattern)


def path_condition(kind: PathKind, pattern: str) -> Condition:
    """The request's path, see ``path_matcher``."""
    matches = path_matcher(kind, pattern)

    def condition(request: Request) -> bool:
        return request.path is not None and matches(request.path)

    return condition


def host_condition(host: str) -> Condition:
    """The request's host without its port, in any case: ``example.com``, or ``*.example.com`` for all names below it."""
    matches = glob(host.lower())

    def condition(request: Request) -> bool:
        return request.host is not None and matches(split_authority(request.host)[0].lower())

    return condition


def method_condition(method: str) -> Condition:
    """The request's method, as it is written."""
    return lambda request: request.method == method


def frontend_condition(pattern: str) -> Condition:
    """The frontend's name, a glob."""
    matches = glob(pattern)

    def condition(request: Request) -> bool:
        return request.frontend is not None and matches(request.frontend)

    return condition


def header_condition(name: str, value: str | None) -> Condition:
    """A header with exactly this value; None: with any."""
    name = name.lower()
    if value is None:
        return lambda request: name in request.headers
    return lambda request: request.headers.get(name) == value


def network_condition(cidrs: Iterable[str]) -> Condition:
    """The client's address is in one of these networks."""
    networks = Networks(cidrs)
    return lambda request: networks.contain(request.client_address)
