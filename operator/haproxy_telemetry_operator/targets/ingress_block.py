"""What an ingress controller's ConfigMap gets: which key, and the lines of the block.

The lines land in the controller's HTTP frontends. Beside the agent's own there may be two more: a log format where the frontend has
none (without one HAProxy writes no record), and explicit filters for what the user's lines there bring along implicitly (HAProxy
refuses them beside a filter of ours otherwise).
"""

from collections.abc import Mapping, Sequence

from ..rewriter.lines import read_line
from .recognition import Kind

__all__ = ["block_lines", "managed_key"]

_KEYS: dict[str, str] = {"KubernetesIngress": "frontend-config-snippet", "HAProxyIngress": "config-frontend-early"}
_OTHER_KEYS: dict[str, tuple[str, ...]] = {"HAProxyIngress": ("config-defaults", "config-frontend", "config-frontend-late")}
"""What else of the user's lands in these frontends, or in what they inherit from."""
_CACHE_RULES = frozenset(("cache-use", "cache-store"))


def managed_key(kind: Kind) -> str:
    """The ConfigMap's key that goes into the controller's frontends."""
    return _KEYS[kind]


def block_lines(kind: Kind, frontend_lines: Sequence[str], data: Mapping[str, str], user_text: str) -> list[str]:
    """The block's lines, without guard and markers.

    Args:
        kind: the controller's.
        frontend_lines: the agent's.
        data: the ConfigMap's.
        user_text: what else stands in the key.
    """
    lines: list[str] = []
    texts = [user_text, *(data.get(key, "") for key in _OTHER_KEYS.get(kind, ()))]
    # HAProxyIngress writes a log format only where it has somewhere to log to; with both, the later one would win over the user's.
    if kind == "HAProxyIngress" and not data.get("syslog-endpoint"):
        lines.append("option httplog")
    return [*lines, *_explicit_filters("\n".join(texts)), *frontend_lines]


def _explicit_filters(text: str) -> list[str]:
    explicit: set[tuple[str, ...]] = set()
    wanted: dict[tuple[str, ...], None] = {}
    for number, raw in enumerate(text.splitlines()):
        line = read_line(number, raw)
        if line is None:
            continue
        words = line.texts
        if words[:1] == ("filter",):
            explicit.add(tuple(words[1:3]) if words[1:2] == ("cache",) else tuple(words[1:2]))
        elif words[:1] == ("compression",):
            wanted[("compression",)] = None
        elif len(words) > 2 and words[0] in ("http-request", "http-response") and words[1] in _CACHE_RULES:
            wanted[("cache", words[2])] = None
    caches = [f"filter {' '.join(words)}" for words in wanted if words[0] == "cache" and words not in explicit]
    others = [f"filter {' '.join(words)}" for words in wanted if words[0] != "cache" and words not in explicit]
    return [*caches, *others]
