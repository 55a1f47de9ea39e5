"""What the spans of requests and those of connections say alike of a hop: its peer, its timers, and how often HAProxy tried."""

from collections.abc import Callable
from typing import Protocol

from . import semconv
from .span import Attribute

__all__ = ["Add", "Tries", "add_peer", "add_timer", "add_tries"]

Add = Callable[[tuple[str, Attribute]], None]
"""Takes one attribute, as ``list.append`` of ``Attributes``."""


class Tries(Protocol):
    """The ending of a hop."""

    @property
    def retries(self) -> int:
        """How often HAProxy tried again."""

    @property
    def redispatched(self) -> bool:
        """Whether it went to another server at last."""

    @property
    def backend_queue(self) -> int:
        """How many stood in front in the backend's queue."""

    @property
    def server_queue(self) -> int:
        """How many did in the server's."""


def add_peer(add: Add, address: str | None, port: int | None) -> None:
    """The other end, if it is known; a unix socket has no port."""
    if address is not None:
        add((semconv.NETWORK_PEER_ADDRESS, address))
        if port is not None:
            add((semconv.NETWORK_PEER_PORT, port))


def add_timer(add: Add, name: str, milliseconds: int) -> None:
    """A timer in seconds; -1: its phase was never reached."""
    if milliseconds >= 0:
        add((name, milliseconds / 1000))


def add_tries(add: Add, ending: Tries) -> None:
    """Retries and queues, where there were any."""
    if ending.retries:
        add((semconv.HAPROXY_RETRIES, ending.retries))
        add((semconv.HAPROXY_REDISPATCHED, ending.redispatched))
    if ending.backend_queue:
        add((semconv.HAPROXY_QUEUE_BACKEND, ending.backend_queue))
    if ending.server_queue:
        add((semconv.HAPROXY_QUEUE_SERVER, ending.server_queue))
