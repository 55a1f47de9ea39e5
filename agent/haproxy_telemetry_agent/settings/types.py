"""The kinds of values that settings are made of, each with its bounds and the words of its error."""

from typing import Annotated

import msgspec

__all__ = ["Address", "Duration", "Endpoint", "HeaderName", "HeaderValue", "ProcessingTimeout", "Struct", "Url", "duration_seconds"]

Address = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(unix:/.+|(\[[0-9A-Fa-f:.]+\]|[^\[\]:/ ]*):[0-9]{1,5})$(?!\n)",
        description="host:port ([::1]:port for IPv6) or unix:/path",
        examples=["127.0.0.1:12345", "unix:/run/haproxy-telemetry/spoa.sock"],
    ),
]
Duration = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[0-9]{1,9}(us|ms|s|m)$(?!\n)", description="a whole number with us, ms, s or m, such as 10s", examples=["10s"]
    ),
]
ProcessingTimeout = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^[1-9][0-9]{0,4}(us|ms|s)$(?!\n)", description="1 to 99999 with us, ms or s, such as 20ms", examples=["20ms"]
    ),
]
Url = Annotated[
    str, msgspec.Meta(pattern=r"^https?://[^ /]+", description="a http:// or https:// URL, such as http://collector:4318")
]
Endpoint = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^(https?://[^ /]+|unix:/.+$(?!\n))",
        description="a http:// or https:// URL, such as http://collector:4318, or unix:/path",
    ),
]
HeaderName = Annotated[
    str, msgspec.Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+$(?!\n)", max_length=256, description="an HTTP header's name")
]
HeaderValue = Annotated[str, msgspec.Meta(pattern=r"^[\x20-\x7e\t]*$(?!\n)", max_length=4096, description="printable ASCII")]


class Struct(msgspec.Struct, forbid_unknown_fields=True, rename="camel", kw_only=True, frozen=True):
    """A mapping of the settings file."""


_UNIT_SECONDS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0}


def duration_seconds(text: str) -> float:
    """Seconds of a ``Duration``."""
    number, unit = text.rstrip("usm"), text.lstrip("0123456789")
    return int(number) * _UNIT_SECONDS[unit]
