"""A door is a port of an HAProxy: each of the two HAProxies has one behind which it traces, and one behind which it does not."""

from collections.abc import Callable
from dataclasses import dataclass

from demo.expected import EDGE, INNER
from support.ports import ADDRESS, free_port, is_free

__all__ = ["DOOR_HEADER", "Doors", "url"]

DOOR_HEADER = "inner-door"
"""With `inner-door: untraced` in a request, the edge goes on to the inner HAProxy's untraced door."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Doors:
    """The port of each door; the defaults are what a user will find unless somebody else is there."""

    edge_traced: int = 7001
    edge_untraced: int = 8001
    inner_traced: int = 7002
    inner_untraced: int = 8002

    @classmethod
    def claim(cls, say: Callable[[str], None]) -> "Doors":
        """The usual ports; another one, and a word about it, for each that is in use."""
        usual = cls()

        def claimed(name: str, port: int) -> int:
            if is_free(port) and is_free(port, ""):
                return port
            other = free_port()
            say(f"Port {port} is in use, so the {name} door is port {other}.")
            return other

        return cls(
            edge_traced=claimed(f"{EDGE}'s traced", usual.edge_traced),
            edge_untraced=claimed(f"{EDGE}'s untraced", usual.edge_untraced),
            inner_traced=claimed(f"{INNER}'s traced", usual.inner_traced),
            inner_untraced=claimed(f"{INNER}'s untraced", usual.inner_untraced),
        )


def url(port: int, path: str = "/") -> str:
    """The URL of something on a port of this machine."""
    return f"http://{ADDRESS}:{port}{path}"
