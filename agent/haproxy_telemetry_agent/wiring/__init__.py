"""The wiring: what HAProxy is told so that the agent understands it. All from one table of fields; pure text.

The operator may import this package, and nothing else of the agent.
"""

from .connection_fields import CONNECTION_FIELDS
from .fields import FIELDS, Field, record_fields, variable_name
from .frontend import render_frontend
from .names import CONNECTION_SD_ID, REQUEST_MESSAGE, SD_ID
from .plan import Plan, haproxy_address
from .sections import render_sections
from .spoe import render_spoe
from .tcp import render_tcp_frontend

__all__ = [
    "CONNECTION_FIELDS",
    "CONNECTION_SD_ID",
    "FIELDS",
    "REQUEST_MESSAGE",
    "SD_ID",
    "Field",
    "Plan",
    "haproxy_address",
    "record_fields",
    "render_frontend",
    "render_sections",
    "render_spoe",
    "render_tcp_frontend",
    "variable_name",
]
