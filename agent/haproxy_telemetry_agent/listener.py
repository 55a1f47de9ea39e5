"""Listening addresses: ``host:port`` or ``unix:/path``, turned into sockets that an asyncio server can take."""

import contextlib
import errno
import socket
from pathlib import Path

__all__ = ["ListenError", "listen", "unlink"]

_BACKLOG = 1024
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 60), (socket.TCP_KEEPINTVL, 10), (socket.TCP_KEEPCNT, 6))
"""A peer whose machine is gone says nothing any more: after two minutes the kernel gives its connection up."""
_SOCKET_MODE = 0o666
"""HAProxy runs as another user: who may connect is decided by the folder's rights."""

_REASONS = {
    errno.EADDRINUSE: "is in use: stop what listens there, or choose another address",
    errno.EACCES: "may not be used by this user: choose a port from 1024 on, or a folder it may write to",
    errno.EADDRNOTAVAIL: "is no address of this machine",
    errno.ENOENT: "is in a folder that does not exist",
}


class ListenError(Exception):
    """An address that can't be listened on: which setting, which address, why."""


def listen(setting: str, address: str, *, shared: bool = False) -> socket.socket:
    """A listening socket, not blocking.

    Args:
        setting: the setting's name, for the error.
        address: ``host:port``, ``[ipv6]:port``, ``:port`` (all addresses) or ``unix:/path``.
        shared: whether others who say so too may listen there as well (TCP only): the kernel deals connections out among them.

    Raises:
        ListenError: naming setting, address and fix.
    """
    try:
        if address.startswith("unix:"):
            return _listen_unix(address.removeprefix("unix:"))
        return _listen_tcp(address, shared=shared)
    except socket.gaierror as error:
        raise ListenError(f"{setting}: {address} can't be resolved: {error.strerror}") from None
    except OSError as error:
        reason = _REASONS.get(error.errno or 0, f"can't be listened on: {error.strerror or error}")
        raise ListenError(f"{setting}: {address} {reason}") from None


def unlink(address: str) -> None:
    """Remove the file of a unix socket."""
    if address.startswith("unix:"):
        with contextlib.suppress(OSError):
            Path(address.removeprefix("unix:")).unlink()


def _listen_tcp(address: str, *, shared: bool) -> socket.socket:
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    wildcard = host in ("", "*")
    family, kind, protocol, _name, where = socket.getaddrinfo(
        None if wildcard else host, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Taken over by the connections it accepts.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            listening.setsockopt(socket.IPPROTO_TCP, option, value)
        if shared:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0 if wildcard or host == "::" else 1)
        listening.bind(where)
        listening.listen(_BACKLOG)
        listening.setblocking(False)  # noqa: FBT003 - the socket module's own signature
    except OSError:
        listening.close()
        raise
    return listening


def _listen_unix(path: str) -> socket.socket:
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if Path(path).is_socket():
            _refuse_if_alive(path)
            Path(path).unlink(missing_ok=True)
        listening.bind(path)
        Path(path).chmod(_SOCKET_MODE)
        listening.listen(_BACKLOG)
        listening.setblocking(False)  # noqa: FBT003
    except OSError:
        listening.close()
        raise
    return listening


def _refuse_if_alive(path: str) -> None:
    """A socket file that a dead process has left behind may go; one that is answered may not."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(path)
        except OSError:
            return
    raise OSError(errno.EADDRINUSE, "Address already in use")
