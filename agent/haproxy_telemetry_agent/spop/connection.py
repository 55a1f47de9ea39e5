"""One SPOP connection, seen from the agent: bytes in, events out; answers in, bytes out. No socket.

The whole protocol is the table below: which frame is allowed in which state, and what state follows. Everything else is decoding.

========================  ==================  ==============
state                     frame               next state
========================  ==================  ==============
AWAITING_HELLO            HAPROXY-HELLO       OPEN
AWAITING_HELLO            HAPROXY-DISCONNECT  CLOSED
OPEN                      NOTIFY              OPEN
OPEN                      HAPROXY-DISCONNECT  CLOSED
========================  ==================  ==============

A HELLO that is a health check leads to CLOSED: HAProxy sends nothing after it. Any other frame is a violation: it closes the
connection with an AGENT-DISCONNECT that carries the reason, and costs that connection only. A frame of an unknown type is
skipped (doc/SPOE.txt 3.2: "must be ignored").
"""

from collections.abc import Iterable
from enum import Enum, auto

from .errors import (
    FragmentationRefused,
    FrameTooBig,
    InvalidFrame,
    LocalProtocolError,
    RemoteProtocolError,
    StatusCode,
)
from .events import DisconnectReceived, Event, HelloReceived, NotifyReceived, ProtocolViolated
from .frames import LENGTH_BYTES, Frame, FrameFlags, FrameType, decode_frame, encode_frame
from .handshake import agree, decode_hello, encode_agent_hello
from .limits import MAX_FRAME_SIZE_BYTES, MIN_FRAME_SIZE_BYTES
from .messages import Action, decode_messages, decode_pairs, encode_actions, encode_pairs
from .values import Value
from .varint import encode_varint

__all__ = ["AgentConnection", "State"]


class State(Enum):
    """Where a connection is in its life."""

    AWAITING_HELLO = auto()
    OPEN = auto()
    CLOSED = auto()


TRANSITIONS: dict[tuple[State, FrameType], State] = {
    (State.AWAITING_HELLO, FrameType.HAPROXY_HELLO): State.OPEN,
    (State.AWAITING_HELLO, FrameType.HAPROXY_DISCONNECT): State.CLOSED,
    (State.OPEN, FrameType.NOTIFY): State.OPEN,
    (State.OPEN, FrameType.HAPROXY_DISCONNECT): State.CLOSED,
}

_MAX_MESSAGE_BYTES = MIN_FRAME_SIZE_BYTES // 2
_FIN = int(FrameFlags.FIN)
_NOTIFY = int(FrameType.NOTIFY)
_KNOWN_TYPES = frozenset(int(kind) for kind in FrameType)
_ACK_HEAD = bytes((FrameType.ACK,)) + int(FrameFlags.FIN).to_bytes(4, "big")


class AgentConnection:
    """The agent's end of one connection.

    Args:
        max_frame_size_bytes: the largest frame we accept and announce; the peer may agree on less.
    """

    __slots__ = ("_buffer", "_max_frame_size_bytes", "_outbound", "_state", "_wanted_bytes", "ignored_count")

    def __init__(self, *, max_frame_size_bytes: int = MAX_FRAME_SIZE_BYTES) -> None:
        self._max_frame_size_bytes = max_frame_size_bytes
        self._state = State.AWAITING_HELLO
        self._buffer = bytearray()
        self._wanted_bytes = LENGTH_BYTES
        self._outbound: list[bytes] = []
        self.ignored_count = 0
        """Frames of an unknown type so far."""

    @property
    def state(self) -> State:
        """Where the connection is in its life; nothing more is read from it once CLOSED."""
        return self._state

    @property
    def unfinished(self) -> bool:
        """Whether only the beginning of a frame has come."""
        return bool(self._buffer)

    def receive(self, data: bytes) -> list[Event]:
        """Take what came from the peer, however it was cut or joined, and return what it says.

        Never raises: what breaks the protocol is a ``ProtocolViolated``, the last event of this connection. What is kept
        between calls is one unfinished frame at most.
        """
        if self._buffer:
            self._buffer += data
            # A frame that comes byte by byte is copied once, not once a byte.
            if len(self._buffer) < self._wanted_bytes:
                return []
            data = bytes(self._buffer)
            self._buffer.clear()
        events: list[Event] = []
        offset = 0
        size = len(data)
        self._wanted_bytes = LENGTH_BYTES
        try:
            while self._state is not State.CLOSED and size - offset >= LENGTH_BYTES:
                length = int.from_bytes(data[offset : offset + LENGTH_BYTES], "big")
                if length > self._max_frame_size_bytes:
                    raise FrameTooBig(f"frame of {length} bytes; at most {self._max_frame_size_bytes} were agreed on")
                end = offset + LENGTH_BYTES + length
                if end > size:
                    self._wanted_bytes = LENGTH_BYTES + length
                    break
                event = self._receive_frame(decode_frame(data[offset + LENGTH_BYTES : end]))
                offset = end
                if event is not None:
                    events.append(event)
        except RemoteProtocolError as error:
            self.disconnect(error.status_code, str(error))
            events.append(ProtocolViolated(error))
        if self._state is not State.CLOSED and offset < size:
            self._buffer += data[offset:]
        return events

    def acknowledge(self, notify: NotifyReceived, actions: Iterable[Action]) -> None:
        """Answer a NOTIFY; no actions is an answer too. An answer after the connection has closed is dropped."""
        if self._state is State.CLOSED:
            return
        body = b"".join((_ACK_HEAD, encode_varint(notify.stream_id), encode_varint(notify.frame_id), encode_actions(actions)))
        if len(body) > self._max_frame_size_bytes:
            raise LocalProtocolError(f"an ACK of {len(body)} bytes; the peer takes {self._max_frame_size_bytes}")
        self._outbound.append(len(body).to_bytes(LENGTH_BYTES, "big") + body)

    def disconnect(self, status_code: StatusCode = StatusCode.NORMAL, message: str = "normal") -> None:
        """Say good-bye, once."""
        if self._state is State.CLOSED:
            return
        self._state = State.CLOSED
        # It may quote the peer, who must be able to take it.
        message = message.encode()[:_MAX_MESSAGE_BYTES].decode("utf-8", "ignore")
        pairs: list[tuple[str, Value]] = [("status-code", int(status_code)), ("message", message)]
        self._send(FrameType.AGENT_DISCONNECT, encode_pairs(pairs))

    def data_to_send(self) -> bytes:
        """What is to be written now, all frames joined: HAProxy 3.2.22 resets a connection whose HELLO comes in two segments."""
        if not self._outbound:
            return b""
        data = b"".join(self._outbound)
        self._outbound.clear()
        return data

    def _receive_frame(self, frame: Frame) -> Event | None:
        kind = frame.type
        # By far the most frequent row of the table, without the cost of looking it up.
        if kind == _NOTIFY and self._state is State.OPEN and frame.flags & _FIN:
            return NotifyReceived(frame.stream_id, frame.frame_id, decode_messages(frame.payload))
        if kind not in _KNOWN_TYPES:
            self.ignored_count += 1
            return None
        following = TRANSITIONS.get((self._state, FrameType(kind)))
        if following is None:
            if kind == FrameType.UNSET and self._state is State.OPEN:
                raise FragmentationRefused("a fragment came, but fragmentation was not agreed on")
            raise InvalidFrame(f"{frame} is not allowed while {self._state.name}")
        if not frame.flags & _FIN:
            raise FragmentationRefused("a frame without FIN came, but fragmentation was not agreed on")
        if kind == FrameType.HAPROXY_HELLO:
            return self._receive_hello(frame, following)
        return self._receive_disconnect(frame)

    def _receive_hello(self, frame: Frame, following: State) -> HelloReceived:
        hello = decode_hello(frame.payload)
        terms = agree(hello, self._max_frame_size_bytes)
        self._max_frame_size_bytes = terms.max_frame_size_bytes
        self._state = State.CLOSED if hello.healthcheck else following
        self._send(FrameType.AGENT_HELLO, encode_agent_hello(terms))
        return HelloReceived(hello, terms)

    def _receive_disconnect(self, frame: Frame) -> DisconnectReceived:
        pairs = decode_pairs(frame.payload)
        status_code = pairs.get("status-code")
        message = pairs.get("message")
        self.disconnect()
        return DisconnectReceived(
            status_code if isinstance(status_code, int) else int(StatusCode.UNKNOWN),
            message if isinstance(message, str) else "",
        )

    def _send(self, kind: FrameType, payload: bytes) -> None:
        self._outbound.append(encode_frame(Frame(kind, _FIN, 0, 0, payload)))
