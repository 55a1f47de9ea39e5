"""The agent beside HAProxy: SPOE events and end-of-exchange records in, OpenTelemetry spans out."""

from .version import VERSION

__version__ = VERSION

__all__ = ["__version__"]
