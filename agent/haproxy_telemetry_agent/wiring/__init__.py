"""The wiring: what HAProxy is told so that the agent understands it. All from one table of fields; pure text.

The operator may import this package, and nothing else of the agent.
"""

from .connection_fields import CONNECTION_FIELDS
from .field import Field
from .fields import FIELDS, LONG_FIELDS, arguments, record_fields
from .formats import FORMATS
from .frontend import render_frontend
from .names import CONNECTION_SD_ID, REQUEST_MESSAGE, SD_ID, SPOE_EVENTS, variable_name
from .plan import Capture, Plan, Profile, Sampling, haproxy_address
from .sections import render_sections
from .spoe import render_spoe
from .tcp import render_tcp_frontend
from .thresholds import ThresholdForce, ThresholdRule

__all__ = [
    "CONNECTION_FIELDS",
    "CONNECTION_SD_ID",
    "FIELDS",
    "FORMATS",
    "LONG_FIELDS",
    "REQUEST_MESSAGE",
    "SD_ID",
    "SPOE_EVENTS",
    "Capture",
    "Field",
    "Plan",
    "Profile",
    "Sampling",
    "ThresholdForce",
    "ThresholdRule",
    "arguments",
    "haproxy_address",
    "record_fields",
    "render_frontend",
    "render_sections",
    "render_spoe",
    "render_tcp_frontend",
    "variable_name",
]
