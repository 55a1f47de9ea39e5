"""The parameters of a record as HAProxy writes them, read one by one: ``-`` is what it does not have."""

from .networks import UNIX

__all__ = ["ABSENT", "number", "peer_port", "port", "server_name", "word"]

ABSENT = "-"


def word(text: str) -> str | None:
    """A text, if there is one."""
    return None if text in ("", ABSENT) else text


def number(text: str) -> int | None:
    """A whole number, if there is one.

    Raises:
        ValueError: it is none.
    """
    return None if text == ABSENT else int(text)


def port(text: str) -> int | None:
    """A port; a unix socket has none: ``-`` or 0."""
    return int(text) if text.isdigit() and text != "0" else None


def peer_port(address: str, text: str) -> int | None:
    """The port of a client, or of what it connected to: on a unix socket it is a number of HAProxy's own."""
    return None if address == UNIX else port(text)


def server_name(text: str) -> str | None:
    """The server's name; those in angle brackets stand for no server: <NOSRV>, <STATS>, <CACHE>, <PROMEX>, <lua.NAME>."""
    return None if text.startswith("<") else text
