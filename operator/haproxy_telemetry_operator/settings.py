"""Settings of the operator: flags of its command line, which the chart writes."""

from dataclasses import dataclass

__all__ = ["OperatorSettings"]


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """All of them."""

    image: str
    """The agent's, for resources that name none."""
    image_pull_policy: str | None = "IfNotPresent"
    namespaces: tuple[str, ...] = ()
    """Watched ones; none: all."""
    own_namespace: str = "haproxy-telemetry"
    injector_service: str = "haproxy-telemetry-injector"
    injector_port: int = 443
    injector_url: str | None = None
    """In place of the Service, for an injector outside of the cluster."""
    certificate_secret: str = "haproxy-telemetry-injector-tls"  # noqa: S105 - its name
    """In the operator's own namespace."""
    manage_certificates: bool = True
    """Make and rotate them; otherwise the Secret is somebody else's, and only its ca.crt is read."""
    set_user: bool = True
    resync_seconds: float = 60.0
    revert_timeout_seconds: float = 600.0
    http_port: int = 8080
    """Metrics and probes."""
