"""The end of a connection of a ``mode tcp`` frontend: one record's parameters, read into numbers and words of their own types.

HAProxy writes ``-`` for what it does not have and -1 for a timer whose phase was never reached. This module is where that ends.
"""

from collections.abc import Mapping

import msgspec

from .context import TraceId

__all__ = ["ConnectionEnding", "read_connection_ending"]

_ABSENT = "-"
_UNIX = "unix"
_UUID_VERSION_BYTE = 6
_NO_CIPHER = frozenset({_ABSENT, "(NONE)"})


class ConnectionEnding(msgspec.Struct, frozen=True, gc=False):
    """What a record says."""

    end_unix_nano: int
    trace_id: TraceId
    """A version 4 UUID: its last 56 bits are random, and neither half of it is all zero."""
    termination_state: str
    handshake_failed: bool
    """TLS or the PROXY protocol; HAProxy writes such records from 3.1 on."""
    frontend: str
    backend: str
    server: str | None
    """None if no server was chosen."""
    client_address: str | None
    client_port: int | None
    listen_address: str | None
    """Where the client connected to; None for a unix socket."""
    listen_port: int | None
    server_address: str | None
    server_port: int | None
    tls_version: str | None
    """None unless HAProxy terminates TLS, such as ``TLSv1.3``."""
    tls_cipher: str | None
    """As OpenSSL calls it."""
    server_encrypted: bool
    handshake_milliseconds: int
    turn_milliseconds: int
    """From the accept until HAProxy turned to a server: handshakes, inspection and queues; -1 if it never did."""
    connect_milliseconds: int
    total_milliseconds: int
    retries: int
    redispatched: bool
    backend_queue: int
    server_queue: int
    received_bytes: int
    sent_bytes: int
    start_unix_micro: int | None
    """The accept, where HAProxy can tell (3.0 and later)."""
    routed_unix_micro: int | None
    application_protocol: str | None
    """ALPN."""
    server_name: str | None
    """SNI, of terminated TLS or of TLS that passed through."""
    unique_id: str | None


def read_connection_ending(end_unix_nano: int, fields: Mapping[str, str]) -> ConnectionEnding:
    """Read a record's parameters (names as in ``wiring.connection_fields``).

    Raises:
        KeyError: a parameter is missing: the record was written for another version of the agent.
        ValueError: a number is none, or the trace id is no version 4 UUID.
    """
    server = fields["s"]
    retries = fields["rc"]
    cipher = fields["sslc"]
    turn_milliseconds = int(fields["Tw"])
    return ConnectionEnding(
        end_unix_nano,
        _trace_id(fields["id"]),
        fields["ts"],
        # A connection that breaks later on has an error as well, but is not ended by HAProxy.
        (_number(fields["fc_err"]) or 0) > 0 and fields["ts"].startswith("P"),
        fields["f"],
        fields["b"],
        # Names in angle brackets stand for no server.
        None if server.startswith("<") else server,
        _word(fields["ci"]),
        # For a client on a unix socket the "port" is a number of HAProxy's own.
        _port(fields["cp"]) if fields["ci"] != _UNIX else None,
        _word(fields["fi"]) if fields["fi"] != _UNIX else None,
        _port(fields["fp"]) if fields["fi"] != _UNIX else None,
        _word(fields["si"]),
        _port(fields["sp"]),
        _word(fields["sslv"]),
        None if cipher in _NO_CIPHER else cipher,
        fields["ssl_bc"] == "1",
        int(fields["Th"]),
        # Without a request HAProxy counts from -1 ms on.
        turn_milliseconds - 1 if turn_milliseconds > 0 else turn_milliseconds,
        int(fields["Tc"]),
        int(fields["Tt"]),
        int(retries),
        retries.startswith("+"),
        int(fields["bq"]),
        int(fields["sq"]),
        int(fields["U"]),
        int(fields["B"]),
        _number(fields["start"]),
        _number(fields["routed"]),
        _word(fields["alpn"]),
        _word(fields["ssl_fc_sni"]) or _word(fields["sni"]),
        _word(fields["ID"]),
    )


def _trace_id(uuid: str) -> TraceId:
    trace_id = bytes.fromhex(uuid.replace("-", ""))
    if len(trace_id) != 16 or trace_id[_UUID_VERSION_BYTE] >> 4 != 4:
        raise ValueError(f"{uuid!r} is no version 4 UUID")
    return TraceId(trace_id)


def _word(text: str) -> str | None:
    return None if text in ("", _ABSENT) else text


def _number(text: str) -> int | None:
    return None if text == _ABSENT else int(text)


def _port(text: str) -> int | None:
    # A unix socket has no port: "-" or 0.
    return int(text) if text.isdigit() and text != "0" else None
