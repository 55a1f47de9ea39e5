"""The wiring: what HAProxy is told so that the agent understands it. All from one table of fields; pure text.

The operator may import this package, and nothing else of the agent.
"""

from .fields import FIELDS, Field, record_fields, variable_name
from .frontend import render_frontend
from .names import REQUEST_MESSAGE, SD_ID, SPOE_EVENTS
from .plan import Capture, Plan, Profile, haproxy_address
from .sections import render_sections
from .spoe import render_spoe

__all__ = [
    "FIELDS",
    "REQUEST_MESSAGE",
    "SD_ID",
    "SPOE_EVENTS",
    "Capture",
    "Field",
    "Plan",
    "Profile",
    "haproxy_address",
    "record_fields",
    "render_frontend",
    "render_sections",
    "render_spoe",
    "variable_name",
]
