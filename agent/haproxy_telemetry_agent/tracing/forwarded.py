"""Who the client really was, where other proxies stand in front of HAProxy: ``Forwarded`` and ``X-Forwarded-*``.

Everybody can send these headers. Each proxy adds at the right what it saw itself, so the list is read from there, as long as those
who wrote it are trusted: the TCP peer wrote the last entry, the address in it wrote the one before, and so on. What stands to the
left of the first address that is not trusted may be anything. A proxy that writes only one of the two kinds passes the other one on
as the client sent it: if both are there and disagree about who came last, the ``X-`` ones, which more proxies write, are believed.

Source: RFC 7239; semantic conventions 1.44.0, http-spans "Setting server.address and server.port" and general attributes.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from enum import Enum
from functools import lru_cache

import msgspec

from .authority import split_authority
from .networks import Networks, parse_address

__all__ = ["NOT_FORWARDED", "Forwarded", "ForwardedReader", "Headers", "Trust"]

MAX_HEADER_CHARACTERS = 4096
MAX_HOPS = 32
_MAX_COMMAS_IN_AN_ELEMENT = 4
_REMEMBERED = 4096
_MAX_NODE_CHARACTERS = 64
"""The longest is ``[IPv6]:port`` with 53; what is longer is none, and must not fill the memory."""

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"  # noqa: S105
_PAIR = rf'{_TOKEN}=(?:{_TOKEN}|"(?:[^"\\]|\\.)*")'
_ELEMENT = re.compile(rf"{_PAIR}(?:[ \t]*;[ \t]*{_PAIR})*;?")
_PARAMETER = re.compile(rf'({_TOKEN})=(?:({_TOKEN})|"((?:[^"\\]|\\.)*)")')
_NODE = re.compile(r"\[([0-9A-Fa-f:.]+)\](?::([0-9]{1,5}))?|([0-9.]+)(?::([0-9]{1,5}))?|([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)")
_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,255}|\[[0-9A-Fa-f:.]{2,45}\])(?::[0-9]{1,5})?")
_PORT = re.compile(r"[0-9]{1,5}")
_SCHEME = re.compile(r"https?")

_Hop = tuple[tuple[str, int | None] | None, str | None, str | None, int | None]
"""Address and port, scheme, authority, and the port of an authority that has none."""


class Trust(Enum):
    """Whose headers are believed."""

    IGNORE = "Ignore"
    TRUSTED_NETWORKS = "TrustedNetworks"
    ALL = "All"


class Headers(Enum):
    """Which headers are read."""

    ANY = "Any"
    FORWARDED = "Forwarded"
    X_FORWARDED = "XForwarded"


class Forwarded(msgspec.Struct, frozen=True, gc=False):
    """What the believed part says; None is what it does not say."""

    address: str | None = None
    port: int | None = None
    scheme: str | None = None
    host: str | None = None
    host_port: int | None = None


NOT_FORWARDED = Forwarded()


class ForwardedReader:
    """Reads the headers of one configuration.

    Args:
        trust: whom to believe.
        networks: the addresses of proxies, as CIDRs; ``unix`` for peers on a unix socket.
        headers: which ones.

    Raises:
        ValueError: a network is none.
    """

    __slots__ = ("_headers", "_networks", "_trust")

    def __init__(self, trust: Trust = Trust.IGNORE, networks: Sequence[str] = (), headers: Headers = Headers.ANY) -> None:
        self._trust = trust
        self._networks = Networks(networks, unix=True)
        self._headers = headers

    def read(self, peer: str | None, extras: Mapping[str, str]) -> Forwarded:
        """What the headers say (keys ``forwarded``, ``x-forwarded-for``, ...); ``peer`` is the address of the TCP peer."""
        if self._trust is Trust.IGNORE or not extras:
            return NOT_FORWARDED
        if self._trust is Trust.TRUSTED_NETWORKS and not self._networks.contain(peer):
            return NOT_FORWARDED
        found = NOT_FORWARDED
        for node, scheme, authority, port_apart in self._hops(extras):
            if node is None and found is not NOT_FORWARDED:
                break
            address, port = node or (None, None)
            host, host_port = split_authority(authority) if authority is not None else (None, None)
            found = Forwarded(address, port, scheme, host, host_port or port_apart)
            if address is None or (self._trust is Trust.TRUSTED_NETWORKS and not self._networks.contain(address)):
                break
        return found

    def _hops(self, extras: Mapping[str, str]) -> list[_Hop]:
        """From the last one to the first one."""
        standard = _standard(extras.get("forwarded", "")) if self._headers is not Headers.X_FORWARDED else []
        if self._headers is Headers.FORWARDED:
            return standard
        customary = _customary(extras)
        if not customary:
            return standard
        return standard if standard and _address(standard[0]) == _address(customary[0]) else customary


def _address(hop: _Hop) -> str | None:
    return None if hop[0] is None else hop[0][0]


def _standard(header: str) -> list[_Hop]:
    hops: list[_Hop] = []
    for element in _elements(header):
        pairs: dict[str, str] = {}
        for name, token, quoted in _PARAMETER.findall(element):
            pairs.setdefault(name.lower(), token or re.sub(r"\\(.)", r"\1", quoted))
        hops.append((_node(pairs.get("for", "")), _scheme(pairs.get("proto")), _host(pairs.get("host")), None))
    return hops


def _elements(header: str) -> Iterator[str]:
    """The elements of ``Forwarded``, the last one first, up to one that is none.

    From the right, because a quotation mark that a client left open must not hide what proxies have added.
    """
    if len(header) > MAX_HEADER_CHARACTERS:
        return
    end = len(header)
    for _ in range(MAX_HOPS):
        comma = end
        for _ in range(_MAX_COMMAS_IN_AN_ELEMENT):
            comma = header.rfind(",", 0, comma)
            element = header[comma + 1 : end].strip(" \t")
            if _ELEMENT.fullmatch(element):
                yield element
                break
            if comma < 0:
                return
        else:
            return
        if comma < 0:
            return
        end = comma


def _customary(extras: Mapping[str, str]) -> list[_Hop]:
    header = extras.get("x-forwarded-for", "")
    schemes = _list(extras.get("x-forwarded-proto", ""))
    hosts = _list(extras.get("x-forwarded-host", ""))
    ports = _list(extras.get("x-forwarded-port", ""))
    if len(header) > MAX_HEADER_CHARACTERS:
        return []
    nodes = _list(header)
    count = len(nodes)
    if not (nodes or schemes or hosts or ports):
        return []
    hops: list[_Hop] = []
    for index in range(max(count, 1)):
        node = _node(nodes[index]) if nodes else None
        scheme, host = _scheme(_of_hop(schemes, index, count)), _host(_of_hop(hosts, index, count))
        hops.append((node, scheme, host, _port(_of_hop(ports, index, count))))
    return hops


def _list(header: str) -> list[str]:
    """The entries of a header, the last one first."""
    if not header or len(header) > MAX_HEADER_CHARACTERS:
        return []
    return [entry.strip(" \t") for entry in reversed(header.split(",")[-MAX_HOPS:])]


def _of_hop(entries: list[str], index: int, count: int) -> str | None:
    """The entry of a hop: proxies either add one each, or the last one replaces what was there."""
    if not entries:
        return None
    return entries[index] if len(entries) == count else entries[0]


def _scheme(text: str | None) -> str | None:
    return text.lower() if text is not None and _SCHEME.fullmatch(text.lower()) else None


def _host(text: str | None) -> str | None:
    return text if text is not None and len(text) <= 300 and _HOST.fullmatch(text) else None


def _port(text: str | None) -> int | None:
    return int(text) if text is not None and _PORT.fullmatch(text) and 0 < int(text) < 65_536 else None


def _node(text: str) -> tuple[str, int | None] | None:
    """Address and port of an entry; None for ``unknown``, for names in disguise (``_x``) and for garbage."""
    return _read_node(text) if len(text) <= _MAX_NODE_CHARACTERS else None


@lru_cache(maxsize=_REMEMBERED)
def _read_node(text: str) -> tuple[str, int | None] | None:
    match = _NODE.fullmatch(text)
    if match is None:
        return None
    bracketed, bracketed_port, plain, plain_port, bare = match.groups()
    ip = parse_address(bracketed or plain or bare)
    if ip is None:
        return None
    return str(ip), _port(bracketed_port or plain_port)
