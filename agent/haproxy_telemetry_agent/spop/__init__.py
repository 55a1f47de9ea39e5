"""SPOP, HAProxy's Stream Processing Offload Protocol, version 2.0: bytes in, events out; no I/O (doc/SPOE.txt, section 3)."""

from .connection import AgentConnection, State
from .errors import LocalProtocolError, RemoteProtocolError, SpopError, StatusCode
from .events import DisconnectReceived, Event, HelloReceived, NotifyReceived, ProtocolViolated
from .messages import Action, Message, SetVar, UnsetVar, VarScope
from .values import Value

__all__ = [
    "Action",
    "AgentConnection",
    "DisconnectReceived",
    "Event",
    "HelloReceived",
    "LocalProtocolError",
    "Message",
    "NotifyReceived",
    "ProtocolViolated",
    "RemoteProtocolError",
    "SetVar",
    "SpopError",
    "State",
    "StatusCode",
    "UnsetVar",
    "Value",
    "VarScope",
]
