"""Networks: whether an address is in one of those that somebody listed.

An IPv4 client of a socket that takes both comes as ``::ffff:192.0.2.1``; that is the same address, for IPv4 networks and for IPv6
ones (``::/0`` is everybody), as it is for HAProxy's ``src``.
"""

import ipaddress
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["UNIX", "Address", "Networks", "network_fault", "parse_address"]

Address = str | ipaddress.IPv4Address | ipaddress.IPv6Address

UNIX = "unix"
"""What HAProxy calls a peer on a unix socket, and what stands for it in a list of networks."""
_MAX_REMEMBERED_ADDRESSES = 4096
_MAX_ADDRESS_CHARACTERS = 64
"""The longest has 45, and a scope; what is longer is no address, and not worth remembering."""
_IPV6_BITS = 128
_MAPPED_IPV4 = 0xFFFF << 32


class Networks:
    """Some networks, IPv4 and IPv6.

    Args:
        cidrs: ``10.0.0.0/8``, ``2001:db8::/32``, or single addresses.
        unix: whether ``unix`` may stand among them, for peers on a unix socket. Without it they are in no network.

    Raises:
        ValueError: one of them is none, which, and why.
    """

    __slots__ = ("_has_unix", "_look_up", "_masks")

    def __init__(self, cidrs: Iterable[str], *, unix: bool = False) -> None:
        self._has_unix = False
        self._masks: list[tuple[int, int]] = []
        for cidr in cidrs:
            fault = network_fault(cidr, unix=unix)
            if fault is not None:
                raise ValueError(f"{cidr!r}: {fault}")
            if cidr == UNIX:
                self._has_unix = True
            else:
                self._masks.append(_mask(ipaddress.ip_network(cidr)))
        # Clients come again.
        self._look_up = lru_cache(_MAX_REMEMBERED_ADDRESSES)(self._compare)

    def contain(self, address: Address | None) -> bool:
        """Whether one of them has this address; what is no address is nowhere."""
        if address is None or (isinstance(address, str) and len(address) > _MAX_ADDRESS_CHARACTERS):
            return False
        return self._look_up(address)

    def _compare(self, address: Address) -> bool:
        if address == UNIX:
            return self._has_unix
        parsed = parse_address(address) if isinstance(address, str) else address
        if parsed is None:
            return False
        number = _number(parsed)
        return any(number & mask == network for network, mask in self._masks)


def network_fault(cidr: str, *, unix: bool = False, single: bool = True) -> str | None:
    """Why ``cidr`` is no network, and what to write instead; None if it is one.

    Args:
        cidr: HAProxy has to understand it, too, and knows no scopes.
        unix: whether ``unix`` may stand in its place.
        single: whether an address without a length may.
    """
    if unix and cidr == UNIX:
        return None
    address, slash, length = cidr.partition("/")
    try:
        interface = ipaddress.ip_interface(cidr)
    except ValueError:
        interface = None
    if interface is None or "%" in address or (slash and not length.isdigit()):
        return f"expected a network in CIDR notation, such as 10.0.0.0/8 or fd00::/8{', or unix' if unix else ''}"
    if not slash and not single:
        return f"this is an address: write {interface}"
    if interface.ip != interface.network.network_address:
        return f"this is an address within a network: write {interface.network}"
    return None


def parse_address(text: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """An address, a mapped IPv4 one as what it is; None if it is none."""
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return None
    return address if address.version == 4 else address.ipv4_mapped or address


def _number(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> int:
    return int(address) | _MAPPED_IPV4 if address.version == 4 else int(address)


def _mask(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> tuple[int, int]:
    host_bits = network.max_prefixlen - network.prefixlen
    return _number(network.network_address), (1 << _IPV6_BITS) - (1 << host_bits)
