"""What happened on a connection, as data. ``AgentConnection.receive`` returns them in the order of the wire."""

from dataclasses import dataclass

import msgspec

from .errors import RemoteProtocolError
from .handshake import Hello, Terms
from .messages import Message

__all__ = ["DisconnectReceived", "Event", "HelloReceived", "NotifyReceived", "ProtocolViolated"]


@dataclass(frozen=True, slots=True)
class HelloReceived:
    """Fired when a HAPROXY-HELLO was accepted; our AGENT-HELLO is already waiting to be sent.

    After a health check (``hello.healthcheck``) nothing else comes and the connection may be closed.
    """

    hello: Hello
    terms: Terms


class NotifyReceived(msgspec.Struct, frozen=True, gc=False):
    """Fired for each NOTIFY. HAProxy waits: answer with ``AgentConnection.acknowledge``.

    From HAProxy 3.1 on every NOTIFY is a stream of its own and the ids repeat across connections; they only tell which
    ACK belongs to which NOTIFY **on this connection** and are never keys of anything.
    """

    stream_id: int
    frame_id: int
    messages: list[Message]


@dataclass(frozen=True, slots=True)
class DisconnectReceived:
    """Fired when HAProxy says good-bye; our AGENT-DISCONNECT is already waiting to be sent."""

    status_code: int
    message: str


@dataclass(frozen=True, slots=True)
class ProtocolViolated:
    """Fired when the peer broke the protocol; our AGENT-DISCONNECT with the error's code is already waiting to be sent."""

    error: RemoteProtocolError


Event = HelloReceived | NotifyReceived | DisconnectReceived | ProtocolViolated
