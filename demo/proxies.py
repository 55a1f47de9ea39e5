"""The proxies are two HAProxies in a row, as texts: their own few lines, and the agent's wiring where it belongs."""

from dataclasses import dataclass
from textwrap import indent

from demo.doors import DOOR_HEADER, Doors
from support.ports import ADDRESS

__all__ = ["Wiring", "edge_config", "inner_config"]

_BASE = """\
global
    # One thread each: those of a busy machine disagree about the time by the slices it gives them, and spans would show it.
    nbthread 1

defaults
    mode http
    option httplog
    # When a client leaves, do not keep the server at work for it.
    option abortonclose
    timeout connect 2s
    timeout client 10s
    timeout server 10s
"""


@dataclass(frozen=True, slots=True)
class Wiring:
    """What `haproxy-telemetry-agent config` prints for HAProxy's own configuration; the SPOE file is not part of that."""

    frontend: str
    """Into each frontend."""
    sections: str
    """Behind everything else."""


def edge_config(doors: Doors, wiring: Wiring) -> str:
    """The HAProxy that the clients see; it denies what must not come in and passes the rest on."""
    rules = f"""\
    http-request deny if {{ path /denied }}
    use_backend inner-untraced if {{ req.hdr({DOOR_HEADER}) untraced }}
    default_backend inner-traced
"""
    return f"""\
{_BASE}
{_frontends("edge", doors.edge_traced, doors.edge_untraced, wiring, rules)}
backend inner-traced
    server inner {ADDRESS}:{doors.inner_traced}

backend inner-untraced
    server inner {ADDRESS}:{doors.inner_untraced}

{wiring.sections}"""


def inner_config(doors: Doors, wiring: Wiring, *, server_port: int) -> str:
    """The HAProxy in front of the traced server; one of its backends has lost its only server."""
    rules = """\
    use_backend abandoned if { path /no-server }
    default_backend traced-server
"""
    return f"""\
{_BASE}
{_frontends("inner", doors.inner_traced, doors.inner_untraced, wiring, rules)}
backend traced-server
    server app {ADDRESS}:{server_port}

backend abandoned
    server gone {ADDRESS}:{server_port} disabled

{wiring.sections}"""


def _frontends(name: str, traced_port: int, untraced_port: int, wiring: Wiring, rules: str) -> str:
    """The same frontend twice: with the agent's lines and without."""
    return f"""\
frontend {name}-traced
    bind {ADDRESS}:{traced_port}
{indent(wiring.frontend, "    ")}{rules}
frontend {name}-untraced
    bind {ADDRESS}:{untraced_port}
{rules}"""
