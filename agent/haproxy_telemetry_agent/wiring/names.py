"""Names that HAProxy's configuration and the agent both use."""

from typing import NamedTuple

__all__ = [
    "AGENT_BACKEND",
    "CONNECTION_SD_ID",
    "DEFAULTS",
    "ENGINE",
    "REQUEST_MESSAGE",
    "RING",
    "SD_ID",
    "SPOE_EVENTS",
    "VARIABLE_PREFIX",
    "SpoeEvent",
    "variable_name",
]

ENGINE = "haproxy-telemetry"
"""Engine and scope name of the SPOE filter."""
REQUEST_MESSAGE = "haproxy-telemetry-request"
"""The one message that is answered with a decision, at ``on-frontend-http-request``; the only one of profile Standard."""


class SpoeEvent(NamedTuple):
    """One of HAProxy's eight SPOE events, as profile Full asks at it."""

    message: str
    event: str
    """HAProxy's word for it."""
    before: tuple[int, int] | None = None
    """The first HAProxy version that must not be asked here in ``mode http``."""


SPOE_EVENTS = (
    SpoeEvent("haproxy-telemetry-client-session", "on-client-session"),
    SpoeEvent("haproxy-telemetry-frontend-tcp-request", "on-frontend-tcp-request"),
    SpoeEvent(REQUEST_MESSAGE, "on-frontend-http-request"),
    SpoeEvent("haproxy-telemetry-backend-tcp-request", "on-backend-tcp-request"),
    SpoeEvent("haproxy-telemetry-backend-http-request", "on-backend-http-request"),
    # Where the server closes without an answer these two end in a crash of HAProxy 3.1 and later (seen on 3.2.26, 3.4.0, 3.5-dev5).
    SpoeEvent("haproxy-telemetry-server-session", "on-server-session", before=(3, 1)),
    SpoeEvent("haproxy-telemetry-tcp-response", "on-tcp-response", before=(3, 1)),
    SpoeEvent("haproxy-telemetry-http-response", "on-http-response"),
)
"""In the order of their happening; an event's number in a state token is its place here."""
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


def variable_name(name: str) -> str:
    """The HAProxy variable of a row: ``txn.otel.<name>`` (scope, ``option var-prefix``, name)."""
    return f"txn.otel.{name}"
