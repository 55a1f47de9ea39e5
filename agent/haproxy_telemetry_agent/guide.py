"""What ``config`` prints for a person: the texts, each with a word on where it goes."""

from textwrap import indent

from .wiring import Plan, render_frontend, render_sections, render_spoe, render_tcp_frontend

__all__ = ["render_guide"]


def render_guide(plan: Plan) -> str:
    """All texts, as comments and configuration that could be pasted as they are."""
    frontend = _lines(render_frontend(plan))
    tcp_frontend = _lines(render_tcp_frontend())
    return f"""\
{_spoe(plan)}

# 2. In every `frontend` or `listen` section with `mode http` that is to be traced: these lines, in front of its other
#    `http-request` rules. The section needs a log format, its own or from its `defaults` (`option httplog` is enough), else HAProxy
#    sends no record; your own log targets and their format stay as they are.
#    ({_command("frontend")} prints them alone)

{frontend}

# 3. In every `frontend` or `listen` section with `mode tcp` that is to be traced: these lines, in front of its
#    `tcp-request content` and `use_backend` rules and behind its `tcp-request connection` and `session` rules. The section needs a
#    log format, too (`option tcplog` is enough, without `option logasap`), else HAProxy sends no record.
#    The lines never make a connection wait. So the name (SNI) that a client of TLS passthrough asks for is known where rules of
#    your own wait for it; if all your clients speak first, these do, behind ours:
#        tcp-request inspect-delay 5s
#        tcp-request content accept if {{ req.ssl_hello_type 1 }}
#    ({_command("tcp-frontend")} prints them alone)

{tcp_frontend}

# 4. At the very end of haproxy.cfg, or in a file of its own given by a last `-f`: nothing may stand behind these sections.
#    ({_command("sections")} prints them alone)

{render_sections(plan)}"""


def _spoe(plan: Plan) -> str:
    if plan.profile == "Stream":
        return "# 1. No SPOE file: with profile Stream HAProxy never asks."
    return f"""\
# 1. {plan.spoe_path}: a file of its own, readable by HAProxy.
#    ({_command("spoe")} prints it alone)

{render_spoe(plan).rstrip()}"""


def _lines(text: str) -> str:
    return indent(text, "    ", lambda line: not line.startswith(".")).rstrip()


def _command(section: str) -> str:
    return f"haproxy-telemetry-agent config --section {section}"
