"""The one place where no version of HAProxy warns."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_operator.rewriter.placement import index_of_rules
from haproxy_telemetry_operator.rewriter.sections import Configuration


@pytest.mark.parametrize(
    ("mode", "lines", "index"),
    [
        ("http", [], 1),
        ("http", ["bind :1", "# end"], 2),
        ("http", ["bind :1", "http-request deny", "http-request allow"], 2),
        ("http", ["tcp-request content accept", "monitor fail if x", "redirect location /", "http-request deny"], 3),
        ("http", ["default_backend a", "http-response deny", "use_backend a if x"], 3),
        ("http", ["use-server a if x"], 1),
        ("http", [".if 1", ".if 2", "http-request deny", ".endif", ".endif", "use_backend a"], 1),
        ("http", ["bind :1", ".if 1", "acl a path /", ".endif", "acl b path /"], 6),
        ("http", ["http-request deny", "tcp-request content accept"], 1),  # HAProxy warns of that anyhow
        ("http", [".if 1", "http-request deny", ".endif", "tcp-request content accept"], None),
        ("http", [".if 1", "http-request deny", ".endif", "tcp-request session accept"], None),
        ("http", [".if 1", "tcp-request content accept", "http-request deny", "monitor fail if x", ".endif"], None),
        ("http", [".if 1", "tcp-request content accept", "http-request deny", ".endif"], None),
        ("http", [".if 1", "tcp-request content accept", ".endif", ".if 1", "http-request deny", ".endif"], 4),
        ("http", [".if 1", "http-request deny", ".endif", "tcp-request inspect-delay 1s", "monitor-uri /"], 1),
        ("http", [".if 1", "http-request deny", ".endif", "use_backend a", "tcp-request content accept"], 1),
        ("tcp", ["tcp-request connection accept", "tcp-request content accept", "use_backend a"], 2),
        ("tcp", ["tcp-request inspect-delay 1s", "use_backend a if x"], 2),
        ("tcp", ["bind :1"], 2),
        ("tcp", ["tcp-request session accept", "monitor fail if x", "tcp-request content accept"], 2),
        ("tcp", [".if 1", "tcp-request content accept", ".endif", "tcp-request content reject"], 1),
        ("tcp", [".if 1", "tcp-request content accept", ".endif", "tcp-request session reject"], None),
    ],
)
def test_index(read: Callable[..., Configuration], mode: str, lines: list[str], index: int | None) -> None:
    (section,) = read("".join(line + "\n" for line in ["listen a", *lines])).sections
    assert index_of_rules(section, mode) == index
