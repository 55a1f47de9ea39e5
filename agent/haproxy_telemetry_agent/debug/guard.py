"""Who may look: by default only who is on this machine, and no web page in disguise.

A page of somebody else's, open in a browser on this machine, can have its own name resolve to the loopback address (DNS rebinding);
the ``Host`` header gives it away. One that asks in the background can't read the answer, but could take the places of those who
follow; browsers say what it is. A proxy on this machine would let everybody in; what it adds gives it away.
"""

from collections.abc import Mapping
from ipaddress import IPv4Address, IPv6Address, ip_address

__all__ = ["refusal"]

_HOW = "`debug: {remote: true}` in the agent's settings lets everybody in who reaches this address"
_OTHER_SITES = ("cross-site", "same-site")
_PROXY_HEADERS = ("Forwarded", "X-Forwarded-For", "Via")


def refusal(peer: object, headers: Mapping[str, str], *, remote: bool) -> str | None:
    """Why a request is refused, in one sentence; None if it is not.

    Args:
        peer: the socket's: ``(address, port, ...)``; anything else is a unix socket, whose peers are on this machine.
        headers: those of the request, whatever the case of their names.
        remote: whether everybody may look.
    """
    if remote:
        return None
    address = peer[0] if isinstance(peer, tuple) and peer else None
    if address is not None and not _is_loopback(str(address)):
        return f"only this machine may look, and you are {address}: {_HOW}"
    for name in _PROXY_HEADERS:
        if headers.get(name) is not None:
            return f"only this machine may look, and header {name} says that you come through a proxy: {_HOW}"
    host = headers.get("Host")
    if host and not _is_address_or_localhost(host):
        return f"Host {host[:100]!a} is neither localhost nor an IP address: {_HOW}"
    # A link from elsewhere is fine: who follows it sees the page, and nobody else does.
    if headers.get("Sec-Fetch-Site") in _OTHER_SITES and headers.get("Sec-Fetch-Mode") != "navigate":
        return f"another web page may not ask for this one: {_HOW}"
    return None


def _is_loopback(text: str) -> bool:
    address = _address(text)
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped.is_loopback
    return address is not None and address.is_loopback


def _is_address_or_localhost(host: str) -> bool:
    if host.startswith("["):
        return _address(host[1:].partition("]")[0]) is not None
    name = host.partition(":")[0].lower().removesuffix(".")
    # No resolver asks anybody about names below localhost (RFC 6761, 6.3).
    return name == "localhost" or name.endswith(".localhost") or _address(name) is not None


def _address(text: str) -> IPv4Address | IPv6Address | None:
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None
