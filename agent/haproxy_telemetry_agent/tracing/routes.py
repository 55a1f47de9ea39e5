"""Routes: which rule of a proxy's configuration a request belongs to, by host and path.

HAProxy does not tell; who generates its configuration knows. A route gives the span ``http.route``, a name of few values, and
attributes of its own (an Ingress, a service).

Precedence: a host of the table that is the request's own, then ``*.suffix`` (one label, as in Kubernetes), then entries without a
host; at each of them ``Exact`` before the longest ``Prefix`` before the first ``Regex``. The first of two equal entries counts. A
``Prefix`` matches whole elements of the path: ``/a/b`` matches ``/a/b``, ``/a/b/`` and ``/a/b/c``, and not ``/a/bc``.

Ten thousand routes cost what ten do: all but ``Regex`` are looked up, not tried.
"""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Annotated, Literal

import msgspec

from .authority import split_authority
from .patterns import MAX_SUBJECT_CHARACTERS, compile_pattern
from .semconv import collision
from .span import Attribute

__all__ = ["MAX_ROUTES", "NO_ROUTES", "Route", "RouteEntry", "RouteTable", "RoutesError", "parse_routes"]

MAX_ROUTES = 100_000
_REMEMBERED = 4096
_MAX_REMEMBERED_CHARACTERS = 512
_MAX_PATH_CHARACTERS = 2048
_LOCATION = re.compile(r"(?P<reason>.*?) - at `\$\.?(?P<path>[^`]*)`", re.DOTALL)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_./-]{0,127}")
_HOST = re.compile(r"(?:\*\.)?[a-z0-9_](?:[a-z0-9._-]*[a-z0-9_])?|\[[0-9a-f:.]+\]|")

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
_Value = Annotated[str, msgspec.Meta(max_length=4096)] | bool | int | float


class RoutesError(ValueError):
    """A table that can't be used: which field of which route, and why."""


class Route(msgspec.Struct, frozen=True, gc=False):
    """What a request that matched gets."""

    route: str
    attributes: tuple[tuple[str, Attribute], ...] = ()


class RouteEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", kw_only=True):
    """One entry of the table, as it is written."""

    host: Annotated[str, msgspec.Meta(max_length=255)] = ""
    """``shop.example.com``, ``*.example.com``, or empty: any."""
    path: _Text = "/"
    path_type: Literal["Exact", "Prefix", "Regex"] = "Prefix"
    route: Annotated[str, msgspec.Meta(min_length=1, max_length=256)] | None = None
    """``http.route``; None: the path."""
    attributes: Annotated[dict[str, _Value], msgspec.Meta(max_length=32)] = msgspec.field(default_factory=dict)


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    routes: Annotated[list[RouteEntry], msgspec.Meta(max_length=MAX_ROUTES)]


class _Paths:
    """The entries of one host."""

    __slots__ = ("_exact", "_most_elements", "_prefixes", "_regexes")

    def __init__(self) -> None:
        self._exact: dict[str, Route] = {}
        self._prefixes: dict[str, Route] = {}
        self._most_elements = 0
        self._regexes: list[tuple[re.Pattern[str], Route]] = []

    def add(self, entry: RouteEntry, route: Route) -> None:
        if entry.path_type == "Exact":
            self._exact.setdefault(entry.path, route)
        elif entry.path_type == "Prefix":
            prefix = entry.path.rstrip("/")
            self._prefixes.setdefault(prefix, route)
            self._most_elements = max(self._most_elements, prefix.count("/"))
        else:
            self._regexes.append((compile_pattern(entry.path, anchored=True), route))

    def match(self, path: str) -> Route | None:
        route = self._exact.get(path)
        if route is not None:
            return route
        if self._prefixes:
            # No longer than the longest prefix there is: a path of a thousand slashes must not cost a thousand look-ups.
            prefix = "/".join(path.split("/", self._most_elements + 1)[: self._most_elements + 1])
            while (route := self._prefixes.get(prefix)) is None and prefix:
                prefix = prefix.rpartition("/")[0]
            if route is not None:
                return route
        path = path[:MAX_SUBJECT_CHARACTERS]
        for pattern, route in self._regexes:
            if pattern.match(path):
                return route
        return None


class RouteTable:
    """All entries; immutable.

    Args:
        entries: in order of precedence among equals.

    Raises:
        RoutesError: names the field (``routes[3].path``) and says why.
    """

    __slots__ = ("_hosts", "_match", "size")

    def __init__(self, entries: Sequence[RouteEntry] = ()) -> None:
        self.size = len(entries)
        self._hosts: dict[str, _Paths] = {}
        checked: set[str] = set()
        for index, entry in enumerate(entries):
            host = entry.host.lower()
            if _HOST.fullmatch(host) is None:
                raise RoutesError(f"routes[{index}].host: {entry.host!r}: expected a host, *.suffix, or nothing, and no port")
            if entry.path_type != "Regex" and not entry.path.startswith("/"):
                raise RoutesError(f"routes[{index}].path: {entry.path!r}: expected a path that begins with /")
            for name in entry.attributes.keys() - checked:
                _check_name(name, f"routes[{index}].attributes")
                checked.add(name)
            try:
                self._hosts.setdefault(host, _Paths()).add(entry, Route(entry.route or entry.path, tuple(entry.attributes.items())))
            except ValueError as error:
                raise RoutesError(f"routes[{index}].path: {entry.path!r}: {error}") from None
        self._match = lru_cache(maxsize=_REMEMBERED)(self._find)

    def match(self, authority: str | None, path: str) -> Route | None:
        """The route of a request.

        Args:
            authority: ``Host`` or ``:authority``, with or without a port.
            path: without the query.
        """
        if not self._hosts:
            return None
        authority = authority or ""
        if len(authority) + len(path) > _MAX_REMEMBERED_CHARACTERS:
            return self._find(authority[:_MAX_REMEMBERED_CHARACTERS], path[:_MAX_PATH_CHARACTERS])
        return self._match(authority, path)

    def _find(self, authority: str, path: str) -> Route | None:
        address = split_authority(authority)[0].lower().removesuffix(".")
        host = f"[{address}]" if ":" in address else address
        for name in (host, f"*.{host.partition('.')[2]}", ""):
            paths = self._hosts.get(name)
            if paths is not None and (route := paths.match(path)) is not None:
                return route
        return None


def _check_name(name: str, field: str) -> None:
    if _NAME.fullmatch(name) is None:
        raise RoutesError(f"{field}: {name!r}: expected the name of an attribute")
    other = collision(name)
    if other is not None:
        raise RoutesError(f"{field}.{name}: can't stand beside the agent's own {other}: rename it")


NO_ROUTES = RouteTable()


def parse_routes(document: object) -> RouteTable:
    """The table of a document: ``{routes: [{host, path, pathType, route, attributes}, ...]}``.

    Raises:
        RoutesError: names the field and says why.
    """
    try:
        entries = msgspec.convert(document, _Document).routes
    except msgspec.ValidationError as error:
        match = _LOCATION.fullmatch(str(error))
        where, reason = (match["path"], match["reason"]) if match else ("", str(error))
        raise RoutesError(f"{where or 'routes'}: {reason[:1].lower()}{reason[1:]}") from None
    return RouteTable(entries)
