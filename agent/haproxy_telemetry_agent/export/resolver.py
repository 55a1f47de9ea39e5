"""Names to addresses, in a thread that the end of the program does not wait for.

The event loop's own look-ups are in threads that are waited for: a name server that does not answer would keep the agent for half a
minute after its end.
"""

import socket
from functools import partial
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from .daemon_thread import run_in_daemon_thread

__all__ = ["Resolver"]


class Resolver(AbstractResolver):
    """The system's resolver."""

    async def resolve(self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET) -> list[ResolveResult]:
        """The addresses of a host, as aiohttp wants them.

        Raises:
            OSError: it has none, or nobody knows.
        """
        found = await run_in_daemon_thread(
            partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM, family=family, flags=socket.AI_ADDRCONFIG)
        )
        return [
            ResolveResult(
                hostname=host,
                host=_address(address),
                port=int(address[1]),
                family=family_found,
                proto=proto,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for family_found, _type, proto, _name, address in found
        ]

    async def close(self) -> None:
        """Nothing is kept open."""


def _address(address: tuple[Any, ...]) -> str:
    """An address of this link says by which interface."""
    scope = address[3] if len(address) > 3 else 0
    return f"{address[0]}%{scope}" if scope else str(address[0])
