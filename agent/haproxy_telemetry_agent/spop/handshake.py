"""HELLO: what the peer offers, and what both then keep to.

HAProxy offers versions, its largest frame and capabilities; the agent answers with one version, a frame size no larger and the
capabilities it shares. We share ``pipelining`` only: ``async`` (an answer on another connection) is ignored from HAProxy 3.1 on
and ``fragmentation`` would make memory grow with what a peer leaves unfinished. Source: doc/SPOE.txt 3.2.3 to 3.2.5.
"""

from dataclasses import dataclass

from .errors import (
    BadMaxFrameSize,
    MissingCapabilities,
    MissingMaxFrameSize,
    MissingVersion,
    UnsupportedVersion,
)
from .limits import MIN_FRAME_SIZE_BYTES
from .messages import decode_pairs, encode_pairs
from .values import Value

__all__ = ["Hello", "Terms", "agree", "decode_hello", "encode_agent_hello"]

VERSION = "2.0"
_CAPABILITIES = frozenset({"pipelining"})


@dataclass(frozen=True, slots=True)
class Hello:
    """A HAPROXY-HELLO. ``engine_id`` is absent in a health check."""

    supported_versions: tuple[str, ...]
    max_frame_size_bytes: int
    capabilities: frozenset[str]
    healthcheck: bool = False
    engine_id: str | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What was agreed on for one connection."""

    max_frame_size_bytes: int
    capabilities: frozenset[str]


def decode_hello(payload: bytes) -> Hello:
    """A HAPROXY-HELLO from its payload.

    Raises:
        MissingVersion, MissingMaxFrameSize, MissingCapabilities: an entry is absent or of another type.
        InvalidFrame: the payload is no key/value list.
    """
    pairs = decode_pairs(payload)
    versions = pairs.get("supported-versions")
    size = pairs.get("max-frame-size")
    capabilities = pairs.get("capabilities")
    if not isinstance(versions, str):
        raise MissingVersion("HELLO without supported-versions")
    if not isinstance(size, int) or isinstance(size, bool):
        raise MissingMaxFrameSize("HELLO without max-frame-size")
    if not isinstance(capabilities, str):
        raise MissingCapabilities("HELLO without capabilities")
    engine_id = pairs.get("engine-id")
    return Hello(
        tuple(_words(versions)),
        size,
        frozenset(_words(capabilities)),
        healthcheck=pairs.get("healthcheck") is True,
        engine_id=engine_id if isinstance(engine_id, str) else None,
    )


def agree(hello: Hello, max_frame_size_bytes: int) -> Terms:
    """What we can keep to, of what the peer offers and we allow.

    Raises:
        UnsupportedVersion: none of the versions is 2.x.
        BadMaxFrameSize: the peer takes no frame of a useful size.
    """
    major = VERSION.partition(".")[0]
    if not any(version.partition(".")[0] == major for version in hello.supported_versions):
        raise UnsupportedVersion(f"peer speaks {', '.join(hello.supported_versions)}; this agent speaks {VERSION}")
    if hello.max_frame_size_bytes < MIN_FRAME_SIZE_BYTES:
        raise BadMaxFrameSize(f"max-frame-size {hello.max_frame_size_bytes} is less than {MIN_FRAME_SIZE_BYTES}")
    return Terms(min(hello.max_frame_size_bytes, max_frame_size_bytes), hello.capabilities & _CAPABILITIES)


def encode_agent_hello(terms: Terms) -> bytes:
    """The payload of the AGENT-HELLO that says so."""
    pairs: list[tuple[str, Value]] = [
        ("version", VERSION),
        ("max-frame-size", terms.max_frame_size_bytes),
        ("capabilities", ",".join(sorted(terms.capabilities))),
    ]
    return encode_pairs(pairs)


def _words(text: str) -> list[str]:
    return [word for part in text.split(",") if (word := part.strip())]
