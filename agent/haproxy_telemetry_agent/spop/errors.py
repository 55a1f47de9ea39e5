"""What can go wrong between two SPOP peers, and the status code that says so on the wire.

::

    SpopError
    ├── LocalProtocolError          we were asked to do what the protocol does not allow
    └── RemoteProtocolError         the peer broke the protocol; carries the code of our AGENT-DISCONNECT
        ├── InvalidFrame            4
        ├── FrameTooBig             3
        ├── MissingVersion          5
        ├── MissingMaxFrameSize     6
        ├── MissingCapabilities     7
        ├── UnsupportedVersion      8
        ├── BadMaxFrameSize         9
        └── FragmentationRefused   10

Source: HAProxy doc/SPOE.txt, section 3.5 "Errors & timeouts".
"""

from enum import IntEnum
from typing import ClassVar

__all__ = [
    "BadMaxFrameSize",
    "FragmentationRefused",
    "FrameTooBig",
    "InvalidFrame",
    "LocalProtocolError",
    "MissingCapabilities",
    "MissingMaxFrameSize",
    "MissingVersion",
    "RemoteProtocolError",
    "SpopError",
    "StatusCode",
    "UnsupportedVersion",
]


class StatusCode(IntEnum):
    """The ``status-code`` of a DISCONNECT frame (doc/SPOE.txt, 3.5)."""

    NORMAL = 0
    IO_ERROR = 1
    TIMEOUT = 2
    TOO_BIG = 3
    INVALID = 4
    NO_VERSION = 5
    NO_MAX_FRAME_SIZE = 6
    NO_CAPABILITIES = 7
    UNSUPPORTED_VERSION = 8
    BAD_MAX_FRAME_SIZE = 9
    FRAGMENTATION_REFUSED = 10
    INTERLACED_FRAGMENTS = 11
    FRAME_ID_NOT_FOUND = 12
    RESOURCE_ALLOCATION = 13
    UNKNOWN = 99


class SpopError(Exception):
    """Base of every error of this package."""


class LocalProtocolError(SpopError):
    """The caller asked for something the protocol does not allow in this state."""


class RemoteProtocolError(SpopError):
    """The peer broke the protocol. Raising one is choosing the status code it is told."""

    status_code: ClassVar[StatusCode] = StatusCode.UNKNOWN


class InvalidFrame(RemoteProtocolError):
    """Bytes that are no frame, or a frame that this state does not allow."""

    status_code = StatusCode.INVALID


class FrameTooBig(RemoteProtocolError):
    """A frame longer than was agreed on."""

    status_code = StatusCode.TOO_BIG


class MissingVersion(RemoteProtocolError):
    """A HELLO without ``supported-versions``."""

    status_code = StatusCode.NO_VERSION


class MissingMaxFrameSize(RemoteProtocolError):
    """A HELLO without ``max-frame-size``."""

    status_code = StatusCode.NO_MAX_FRAME_SIZE


class MissingCapabilities(RemoteProtocolError):
    """A HELLO without ``capabilities`` (it may be empty, but it must be there)."""

    status_code = StatusCode.NO_CAPABILITIES


class UnsupportedVersion(RemoteProtocolError):
    """A HELLO that offers no version we speak."""

    status_code = StatusCode.UNSUPPORTED_VERSION


class BadMaxFrameSize(RemoteProtocolError):
    """A HELLO with a ``max-frame-size`` too small for any exchange."""

    status_code = StatusCode.BAD_MAX_FRAME_SIZE


class FragmentationRefused(RemoteProtocolError):
    """A fragmented payload, although we never announce the capability."""

    status_code = StatusCode.FRAGMENTATION_REFUSED
