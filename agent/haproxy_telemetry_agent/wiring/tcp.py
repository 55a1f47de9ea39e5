"""The lines of a ``mode tcp`` frontend: the record, and two variables that are set while its rules are gone through.

No line has a condition, on purpose. HAProxy waits for the client's bytes (up to the user's ``tcp-request inspect-delay``) to decide
a condition on them: where the server speaks first, each connection would wait in vain. ``set-var`` itself waits for nothing, and
HAProxy goes through all rules again whenever a rule behind it had to wait. So the server name of TLS passthrough is known wherever
the user's own rules wait for it, and no connection ever waits for us (measured on 2.6 to 3.2: without such a rule a name is known
only if the client's first bytes happen to be there already, 0 of 100 times).
"""

from .connection_fields import CONNECTION_FIELDS
from .names import CONNECTION_SD_ID, RING, variable_name

__all__ = ["render_tcp_frontend"]


def render_tcp_frontend() -> str:
    """The lines for each ``mode tcp`` frontend; valid from HAProxy 2.6 on.

    They go in front of its ``tcp-request content`` rules, one of which may end their evaluation, and behind its
    ``tcp-request connection`` and ``session`` rules, which HAProxy would warn about otherwise.
    """
    return f"""\
log ring@{RING} len 8192 format rfc5424 local0 info
.if version_atleast(3.0)
{_record(newer=True)}
.else
{_record(newer=False)}
.endif
tcp-request content set-var({variable_name("sni")}) req.ssl_sni
tcp-request content set-var({variable_name("routed")}) date(0,us)
"""


def _record(*, newer: bool) -> str:
    parameters = " ".join(
        f'{field.name}=\\"{field.record if newer or field.since is None else "-"}\\"' for field in CONNECTION_FIELDS
    )
    return f'log-format-sd "%{{+E}}o[{CONNECTION_SD_ID} {parameters}]"'
