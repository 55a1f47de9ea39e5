"""Names that HAProxy's configuration and the agent both use."""

__all__ = [
    "AGENT_BACKEND",
    "CONNECTION_SD_ID",
    "DEFAULTS",
    "ENGINE",
    "REQUEST_MESSAGE",
    "RING",
    "SD_ID",
    "VARIABLE_PREFIX",
]

ENGINE = "haproxy-telemetry"
"""Engine and scope name of the SPOE filter."""
REQUEST_MESSAGE = "haproxy-telemetry-request"
"""The one message of the Standard profile."""
VARIABLE_PREFIX = "otel"
"""``option var-prefix``: the agent's variables are ``txn.otel.*``."""
RING = "haproxy-telemetry"
"""The ring that carries the records. A ring is a proxy: no ``defaults`` may have its name (warning on 3.2, error from 3.3)."""
DEFAULTS = "haproxy-telemetry-defaults"
AGENT_BACKEND = "haproxy-telemetry-spoa"
CONNECTION_SD_ID = "htc@1"
"""SD-ID of the record of a ``mode tcp`` frontend, which has other keys."""
SD_ID = "ht@1"
"""SD-ID of our element in a record; the number is the version of the record's keys."""
