"""Exclusion: requests that leave no trace of ours, such as health checks.

Our hop makes no span for them, and hands on the caller's trace context as it came: a trace that goes through us has no hole then,
only one hop less.
"""

from collections.abc import Callable, Iterable

from ..request import Request
from .conditions import PathKind, path_matcher

__all__ = ["Excluder"]


class Excluder:
    """Says which requests are left out.

    Args:
        paths: kinds and patterns, one of which the path must match.
        user_agents: beginnings, one of which the ``User-Agent`` must have (``kube-probe/``).
    """

    __slots__ = ("_others", "_prefixes", "_user_agents")

    def __init__(self, *, paths: Iterable[tuple[PathKind, str]] = (), user_agents: Iterable[str] = ()) -> None:
        paths = list(paths)
        self._prefixes = tuple(pattern for kind, pattern in paths if kind == "prefix")
        self._others: list[Callable[[str], bool]] = [path_matcher(kind, pattern) for kind, pattern in paths if kind != "prefix"]
        self._user_agents = tuple(user_agents)

    def excludes(self, request: Request) -> bool:
        """Whether its path or its user agent is one of those."""
        path = request.path
        if path is not None and (path.startswith(self._prefixes) or any(matches(path) for matches in self._others)):
            return True
        return request.user_agent is not None and request.user_agent.startswith(self._user_agents)
