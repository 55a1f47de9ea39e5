"""What ``config`` prints for a person: the three texts, each with a word on where it goes."""

from textwrap import indent

from .wiring import Plan, render_frontend, render_sections, render_spoe

__all__ = ["render_guide"]


def render_guide(plan: Plan) -> str:
    """All texts, as comments and configuration that could be pasted as they are."""
    frontend = indent(render_frontend(plan), "    ", lambda line: not line.startswith(".")).rstrip()
    return f"""\
# 1. {plan.spoe_path}: a file of its own, readable by HAProxy.
#    ({_command("spoe")} prints it alone)

{render_spoe(plan).rstrip()}

# 2. In every `frontend` or `listen` section with `mode http` that is to be traced: these lines, in front of its other
#    `http-request` rules. The section needs a log format, its own or from its `defaults` (`option httplog` is enough), else HAProxy
#    sends no record; your own log targets and their format stay as they are.
#    ({_command("frontend")} prints them alone)

{frontend}

# 3. At the very end of haproxy.cfg, or in a file of its own given by a last `-f`: nothing may stand behind these sections.
#    ({_command("sections")} prints them alone)

{render_sections(plan)}"""


def _command(section: str) -> str:
    return f"haproxy-telemetry-agent config --section {section}"
