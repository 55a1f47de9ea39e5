"""Places in a pod: where the containers of HAProxy and of the agent find what is ours."""

__all__ = ["CREDENTIALS_DIRECTORY", "PAYLOAD_DIRECTORY", "ROUTES_DIRECTORY", "ROUTES_FILE", "SOCKET_DIRECTORY", "SPILL_DIRECTORY"]

PAYLOAD_DIRECTORY = "/etc/haproxy-telemetry"
"""The payload, in both containers. Mounted as a directory, so that it follows changes."""
ROUTES_DIRECTORY = "/etc/haproxy-telemetry-routes"
ROUTES_FILE = "routes.json"
CREDENTIALS_DIRECTORY = "/etc/haproxy-telemetry-credentials"
"""Parts of the user's Secrets and ConfigMaps, in the agent's container only."""
SOCKET_DIRECTORY = "/run/haproxy-telemetry"
SPILL_DIRECTORY = "/var/lib/haproxy-telemetry"
