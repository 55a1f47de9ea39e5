"""Conditions on a request: what a rule, or an exclusion, may ask of it. Compiled once; each answers in a microsecond or less.

What HAProxy did not tell fulfils no condition. A glob has one wildcard, ``*``: any characters, also none, and ``/`` among them. It
is matched without going back, so that no text makes it slow.
"""

from collections.abc import Callable, Iterable
from typing import Literal

from ..authority import split_authority
from ..networks import Networks
from ..patterns import compile_pattern
from ..request import Request

__all__ = [
    "MAX_PATH_CHARACTERS",
    "Condition",
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

MAX_PATH_CHARACTERS = 2048
"""In no more of a path is a regular expression looked for."""


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
    return glob(pattern) if kind == "glob" else _search(pattern)


def _search(pattern: str) -> Callable[[str], bool]:
    # HAProxy may look for it as well.
    search = compile_pattern(pattern, portable=True).search
    return lambda text: search(text[:MAX_PATH_CHARACTERS]) is not None


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
