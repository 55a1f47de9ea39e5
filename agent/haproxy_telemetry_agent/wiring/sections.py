"""The sections that go behind everything else in HAProxy's configuration: the ring, and the backend of the agent.

* The **ring** holds the newest records while the agent is away and sends them when it is back; HAProxy never waits for it.
* The **backend** checks the agent often and briefly: a dead or hung agent must be out of the way within a few hundred ms
  (``inter 500ms fastinter 100ms``, measured: 15 of 907 requests slow while the agent hung for 6 s; with 2 s checks all were).
* ``mode tcp`` suits every version; 3.1 and later turn it into ``mode spop`` themselves.
* A named ``defaults`` that must stay the last one: sections behind it would inherit from it.
"""

from .names import AGENT_BACKEND, DEFAULTS, RING
from .plan import Plan

__all__ = ["render_sections"]


def render_sections(plan: Plan) -> str:
    """The text of the sections, valid from HAProxy 2.6 on; with profile Stream it is the ring alone."""
    return _RING.format(plan=plan) + ("" if plan.profile == "Stream" else _BACKEND.format(plan=plan))


_RING = f"""\
ring {RING}
    format rfc5424
    maxlen 8192
    size 1048576
    timeout connect 1s
    timeout server 10s
    server agent {{plan.records_address}} log-proto octet-count
"""

_BACKEND = f"""
defaults {DEFAULTS}
    mode tcp
    timeout connect 100ms
    timeout client 1m
    timeout server 1m

backend {AGENT_BACKEND} from {DEFAULTS}
    option spop-check
    timeout check 100ms
    .if version_atleast(3.1)
    retries 0
    server agent {{plan.spop_address}} check inter 500ms fastinter 100ms downinter 1s fall 2 rise 2 pool-low-conn 64
    .else
    server agent {{plan.spop_address}} check inter 500ms fastinter 100ms downinter 1s fall 2 rise 2
    .endif
"""
