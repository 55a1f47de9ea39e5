"""One connection: what is allowed when, and that nothing a peer sends does more than end it."""

import re
from collections.abc import Callable, Iterable
from itertools import pairwise, product
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.spop import connection as connection_module
from haproxy_telemetry_agent.spop.connection import TRANSITIONS, AgentConnection, State
from haproxy_telemetry_agent.spop.errors import LocalProtocolError, StatusCode
from haproxy_telemetry_agent.spop.events import DisconnectReceived, Event, HelloReceived, NotifyReceived, ProtocolViolated
from haproxy_telemetry_agent.spop.frames import LENGTH_BYTES, Frame, FrameFlags, FrameType, decode_frame
from haproxy_telemetry_agent.spop.limits import MIN_FRAME_SIZE_BYTES
from haproxy_telemetry_agent.spop.messages import Message, SetVar, UnsetVar, VarScope, decode_actions, decode_pairs

Build = Callable[..., bytes]

MESSAGE = Message("haproxy-telemetry-request", [("host", "example.com")])
INVALID, FRAGMENTED = StatusCode.INVALID, StatusCode.FRAGMENTATION_REFUSED


class Reaction(NamedTuple):
    """What one frame brings about: an event (a violation by its code), and the state after it."""

    event: type[Event] | StatusCode | None
    state: State


AWAITING, OPEN, CLOSED = State.AWAITING_HELLO, State.OPEN, State.CLOSED
VIOLATION = Reaction(INVALID, CLOSED)
NOTHING = Reaction(None, CLOSED)
REACTIONS = {
    (AWAITING, FrameType.UNSET): VIOLATION,
    (AWAITING, FrameType.HAPROXY_HELLO): Reaction(HelloReceived, OPEN),
    (AWAITING, FrameType.HAPROXY_DISCONNECT): Reaction(DisconnectReceived, CLOSED),
    (AWAITING, FrameType.NOTIFY): VIOLATION,
    (AWAITING, FrameType.AGENT_HELLO): VIOLATION,
    (AWAITING, FrameType.AGENT_DISCONNECT): VIOLATION,
    (AWAITING, FrameType.ACK): VIOLATION,
    (OPEN, FrameType.UNSET): Reaction(FRAGMENTED, CLOSED),
    (OPEN, FrameType.HAPROXY_HELLO): VIOLATION,
    (OPEN, FrameType.HAPROXY_DISCONNECT): Reaction(DisconnectReceived, CLOSED),
    (OPEN, FrameType.NOTIFY): Reaction(NotifyReceived, OPEN),
    (OPEN, FrameType.AGENT_HELLO): VIOLATION,
    (OPEN, FrameType.AGENT_DISCONNECT): VIOLATION,
    (OPEN, FrameType.ACK): VIOLATION,
    (CLOSED, FrameType.UNSET): NOTHING,
    (CLOSED, FrameType.HAPROXY_HELLO): NOTHING,
    (CLOSED, FrameType.HAPROXY_DISCONNECT): NOTHING,
    (CLOSED, FrameType.NOTIFY): NOTHING,
    (CLOSED, FrameType.AGENT_HELLO): NOTHING,
    (CLOSED, FrameType.AGENT_DISCONNECT): NOTHING,
    (CLOSED, FrameType.ACK): NOTHING,
}


def sent_frames(data: bytes) -> list[Frame]:
    """What we have written, as the peer reads it."""
    frames = []
    while data:
        end = LENGTH_BYTES + int.from_bytes(data[:LENGTH_BYTES], "big")
        frames.append(decode_frame(data[LENGTH_BYTES:end]))
        data = data[end:]
    return frames


def status_code_sent(connection: AgentConnection) -> object:
    """The code of the AGENT-DISCONNECT that is the one thing to be sent."""
    (frame,) = sent_frames(connection.data_to_send())
    assert frame[:4] == (FrameType.AGENT_DISCONNECT, FrameFlags.FIN, 0, 0)
    return decode_pairs(frame.payload)["status-code"]


@pytest.fixture
def connection() -> AgentConnection:
    """A connection on which nothing was said yet."""
    return AgentConnection()


@pytest.fixture
def open_connection(connection: AgentConnection, hello: Build) -> AgentConnection:
    """A connection after its handshake."""
    connection.receive(hello())
    connection.data_to_send()
    assert connection.state is State.OPEN
    return connection


class TestTransitions:
    def test_the_table_has_every_state_and_frame(self) -> None:
        assert set(REACTIONS) == set(product(State, FrameType))

    @pytest.mark.parametrize(("state", "kind"), REACTIONS)
    def test_reaction(
        self, connection: AgentConnection, well_formed: dict[FrameType, bytes], state: State, kind: FrameType
    ) -> None:
        way = {
            State.AWAITING_HELLO: b"",
            State.OPEN: well_formed[FrameType.HAPROXY_HELLO],
            State.CLOSED: well_formed[FrameType.HAPROXY_DISCONNECT],
        }
        connection.receive(way[state])
        connection.data_to_send()
        assert connection.state is state

        events = connection.receive(well_formed[kind])

        expected = REACTIONS[state, kind]
        assert connection.state is expected.state
        if expected.event is None:
            assert events == []
        elif isinstance(expected.event, StatusCode):
            assert [type(event) for event in events] == [ProtocolViolated]
            assert status_code_sent(connection) == expected.event
        else:
            assert [type(event) for event in events] == [expected.event]

    def test_the_modules_text_shows_the_table_that_runs(self) -> None:
        rows = re.findall(r"^([A-Z_]+) +([A-Z-]+) +([A-Z_]+)$", connection_module.__doc__ or "", re.MULTILINE)
        shown = {(State[state], FrameType[kind.replace("-", "_")]): State[following] for state, kind, following in rows}
        assert shown == TRANSITIONS


class TestHandshake:
    def test_hello_is_answered_with_the_terms(self, connection: AgentConnection, hello: Build) -> None:
        (event,) = connection.receive(hello())
        assert isinstance(event, HelloReceived)
        assert event.hello.engine_id == "F8E2A1C5-6A0D-4B3C-9E57-0123456789AB"
        (answer,) = sent_frames(connection.data_to_send())
        assert answer[:4] == (FrameType.AGENT_HELLO, FrameFlags.FIN, 0, 0)
        assert decode_pairs(answer.payload) == {"version": "2.0", "max-frame-size": 16_380, "capabilities": "pipelining"}

    def test_a_health_check_ends_with_its_answer(self, connection: AgentConnection, hello: Build) -> None:
        (event,) = connection.receive(hello({"healthcheck": True}))
        assert isinstance(event, HelloReceived)
        assert event.hello.healthcheck
        assert connection.state is State.CLOSED
        assert [frame.type for frame in sent_frames(connection.data_to_send())] == [FrameType.AGENT_HELLO]

    @pytest.mark.parametrize(
        ("changes", "without", "code"),
        [
            ({}, "supported-versions", StatusCode.NO_VERSION),
            ({}, "max-frame-size", StatusCode.NO_MAX_FRAME_SIZE),
            ({}, "capabilities", StatusCode.NO_CAPABILITIES),
            ({"supported-versions": "1.0"}, None, StatusCode.UNSUPPORTED_VERSION),
            ({"max-frame-size": 100}, None, StatusCode.BAD_MAX_FRAME_SIZE),
        ],
    )
    def test_a_hello_that_we_cannot_agree_to_is_told_why(
        self,
        connection: AgentConnection,
        hello: Build,
        changes: dict[str, str | int],
        without: str | None,
        code: StatusCode,
    ) -> None:
        (event,) = connection.receive(hello(changes, without=without))
        assert isinstance(event, ProtocolViolated)
        assert event.error.status_code == code
        assert status_code_sent(connection) == code

    def test_the_agreed_frame_size_holds_from_then_on(self, connection: AgentConnection, hello: Build, frame_of: Build) -> None:
        connection.receive(hello({"max-frame-size": 256}))
        connection.data_to_send()
        (event,) = connection.receive(frame_of(FrameType.NOTIFY, bytes(250)))
        assert isinstance(event, ProtocolViolated)
        assert status_code_sent(connection) == StatusCode.TOO_BIG


class TestNotify:
    def test_messages_and_ids_come_out(self, open_connection: AgentConnection, notify: Build) -> None:
        (event,) = open_connection.receive(notify(MESSAGE, MESSAGE, stream_id=300, frame_id=7))
        assert event == NotifyReceived(300, 7, [MESSAGE, MESSAGE])

    def test_pipelined_ones_come_in_order_and_may_be_answered_in_any(self, open_connection: AgentConnection, notify: Build) -> None:
        events = open_connection.receive(b"".join(notify(MESSAGE, stream_id=number) for number in range(5)))
        received = [event for event in events if isinstance(event, NotifyReceived)]
        assert [event.stream_id for event in received] == [0, 1, 2, 3, 4]
        for event in reversed(received):
            open_connection.acknowledge(event, [])
        frames = sent_frames(open_connection.data_to_send())
        assert [(frame.type, frame.stream_id, frame.frame_id) for frame in frames] == [
            (FrameType.ACK, number, 1) for number in (4, 3, 2, 1, 0)
        ]

    def test_hello_and_a_notify_behind_it_may_come_together(self, connection: AgentConnection, hello: Build, notify: Build) -> None:
        events = connection.receive(hello() + notify(MESSAGE))
        assert [type(event) for event in events] == [HelloReceived, NotifyReceived]

    def test_an_answer_carries_the_ids_and_the_actions(self, open_connection: AgentConnection) -> None:
        actions = [SetVar(VarScope.TRANSACTION, "traceparent", "00-..."), UnsetVar(VarScope.SESSION, "old")]
        open_connection.acknowledge(NotifyReceived(2**40, 3, []), actions)
        (frame,) = sent_frames(open_connection.data_to_send())
        assert frame[:4] == (FrameType.ACK, FrameFlags.FIN, 2**40, 3)
        assert decode_actions(frame.payload) == actions

    def test_an_answer_just_within_the_agreed_size_is_sent_and_a_longer_one_refused(
        self, connection: AgentConnection, hello: Build
    ) -> None:
        connection.receive(hello({"max-frame-size": 256}))
        connection.data_to_send()
        notify = NotifyReceived(1, 1, [])
        # 7 bytes of frame header, 3 of action, 2 of name, 1 of type and 2 of length.
        connection.acknowledge(notify, [SetVar(VarScope.TRANSACTION, "n", "x" * 241)])
        assert len(connection.data_to_send()) == LENGTH_BYTES + 256
        with pytest.raises(LocalProtocolError, match="ACK of 257 bytes"):
            connection.acknowledge(notify, [SetVar(VarScope.TRANSACTION, "n", "x" * 242)])
        assert connection.data_to_send() == b""

    def test_an_answer_that_comes_too_late_is_dropped(self, open_connection: AgentConnection) -> None:
        open_connection.disconnect()
        open_connection.data_to_send()
        open_connection.acknowledge(NotifyReceived(1, 1, []), [])
        assert open_connection.data_to_send() == b""

    @pytest.mark.parametrize("flags", [0, FrameFlags.ABORT])
    def test_fragments_are_refused(self, open_connection: AgentConnection, notify: Build, flags: int) -> None:
        (event,) = open_connection.receive(notify(MESSAGE, flags=flags))
        assert isinstance(event, ProtocolViolated)
        assert status_code_sent(open_connection) == StatusCode.FRAGMENTATION_REFUSED


class TestViolations:
    @pytest.mark.parametrize("kind", [4, 99, 100, 104, 255])
    def test_a_frame_of_an_unknown_type_is_skipped(
        self, connection: AgentConnection, well_formed: dict[FrameType, bytes], frame_of: Build, kind: int
    ) -> None:
        unknown = frame_of(kind, b"whatever", flags=0)
        events = connection.receive(unknown + well_formed[FrameType.HAPROXY_HELLO] + unknown + well_formed[FrameType.NOTIFY])
        assert connection.ignored_count == 2
        assert [type(event) for event in events] == [HelloReceived, NotifyReceived]

    @pytest.mark.parametrize(
        ("body", "code"),
        [
            pytest.param(b"", StatusCode.INVALID, id="empty"),
            pytest.param(bytes((FrameType.NOTIFY, 0, 0, 0, 1)), StatusCode.INVALID, id="no ids"),
            pytest.param(bytes((FrameType.NOTIFY, 0, 0, 0, 1, 1, 1, 5)), StatusCode.INVALID, id="message cut"),
            pytest.param(bytes((FrameType.HAPROXY_DISCONNECT, 0, 0, 0, 1, 0, 0, 5)), StatusCode.INVALID, id="entries cut"),
        ],
    )
    def test_a_frame_that_is_none(self, open_connection: AgentConnection, body: bytes, code: StatusCode) -> None:
        (event,) = open_connection.receive(len(body).to_bytes(LENGTH_BYTES, "big") + body)
        assert isinstance(event, ProtocolViolated)
        assert status_code_sent(open_connection) == code

    def test_a_frame_too_big_is_refused_by_its_length_alone(self) -> None:
        connection = AgentConnection(max_frame_size_bytes=1000)
        assert connection.receive((1000).to_bytes(LENGTH_BYTES, "big")) == []
        connection = AgentConnection(max_frame_size_bytes=1000)
        (event,) = connection.receive((1001).to_bytes(LENGTH_BYTES, "big"))
        assert isinstance(event, ProtocolViolated)
        assert status_code_sent(connection) == StatusCode.TOO_BIG

    def test_what_came_before_the_violation_still_counts(
        self, open_connection: AgentConnection, well_formed: dict[FrameType, bytes]
    ) -> None:
        stream = (FrameType.NOTIFY, FrameType.ACK, FrameType.NOTIFY)
        events = open_connection.receive(b"".join(well_formed[kind] for kind in stream))
        assert [type(event) for event in events] == [NotifyReceived, ProtocolViolated]

    def test_the_reason_we_tell_fits_in_any_peers_buffer(self, connection: AgentConnection, hello: Build) -> None:
        connection.receive(hello({"supported-versions": "9" * 10_000}))
        assert len(connection.data_to_send()) <= LENGTH_BYTES + MIN_FRAME_SIZE_BYTES


class TestEnd:
    @pytest.mark.parametrize("when", ["before the handshake", "after it"])
    def test_good_bye_is_answered(self, connection: AgentConnection, hello: Build, goodbye: bytes, when: str) -> None:
        if when == "after it":
            connection.receive(hello())
            connection.data_to_send()
        assert connection.receive(goodbye) == [DisconnectReceived(0, "normal")]
        assert status_code_sent(connection) == StatusCode.NORMAL

    def test_good_bye_without_a_reason(self, open_connection: AgentConnection, frame_of: Build) -> None:
        assert open_connection.receive(frame_of(FrameType.HAPROXY_DISCONNECT)) == [DisconnectReceived(StatusCode.UNKNOWN, "")]

    def test_good_bye_is_said_once(self, open_connection: AgentConnection) -> None:
        open_connection.disconnect(StatusCode.TIMEOUT, "too slow")
        open_connection.disconnect()
        assert status_code_sent(open_connection) == StatusCode.TIMEOUT

    def test_good_bye_is_not_said_to_a_good_bye_twice(self, open_connection: AgentConnection, goodbye: bytes) -> None:
        open_connection.receive(goodbye)
        open_connection.disconnect()
        assert status_code_sent(open_connection) == StatusCode.NORMAL

    def test_what_comes_after_the_end_is_neither_read_nor_kept(
        self, open_connection: AgentConnection, notify: Build, goodbye: bytes
    ) -> None:
        events = open_connection.receive(goodbye + notify(MESSAGE) + b"\x00\x00")
        assert [type(event) for event in events] == [DisconnectReceived]
        assert open_connection.receive(notify(MESSAGE)) == []
        assert kept_bytes(open_connection) == 0

    def test_data_are_handed_out_joined_and_once(self, connection: AgentConnection, hello: Build, goodbye: bytes) -> None:
        connection.receive(hello() + goodbye)
        frames = sent_frames(connection.data_to_send())
        assert [frame.type for frame in frames] == [FrameType.AGENT_HELLO, FrameType.AGENT_DISCONNECT]
        assert connection.data_to_send() == b""


class TestAnySegments:
    """Bytes mean the same however they are cut; and no bytes at all do more than end their connection."""

    @given(data=st.data())
    def test_whole_is_byte_by_byte_is_cut_anywhere(
        self, data: st.DataObject, hello: Build, notify: Build, goodbye: bytes, frame_of: Build
    ) -> None:
        arguments = st.lists(st.tuples(st.text(max_size=4), st.text(max_size=20)), max_size=3)
        frames = st.one_of(
            st.builds(notify, st.builds(Message, st.just("m"), arguments), stream_id=st.integers(0, 2**64 - 1)),
            st.builds(frame_of, st.sampled_from([0, 3, 4, 101, 200]), st.binary(max_size=12)),
            st.just(goodbye),
        )
        stream = hello() + b"".join(data.draw(st.lists(frames, max_size=6))) + data.draw(st.binary(max_size=10))
        cuts = sorted(data.draw(st.sets(st.integers(0, len(stream)), max_size=8)))

        whole = conversation([stream])
        assert conversation(stream[index : index + 1] for index in range(len(stream))) == whole
        assert conversation(stream[start:end] for start, end in pairwise([0, *cuts, len(stream)])) == whole

    @given(
        greeted=st.booleans(),
        segments=st.lists(
            st.one_of(
                st.binary(max_size=40),
                # Lengths that are plausible, with types that are known: random bytes alone hardly ever get that far.
                st.builds(
                    lambda kind, rest: (len(rest) + 5).to_bytes(4, "big") + bytes((kind, 0, 0, 0, 1)) + rest,
                    st.sampled_from([*FrameType]),
                    st.binary(max_size=60),
                ),
            ),
            max_size=8,
        ),
    )
    def test_any_bytes_are_events_and_cost_no_more_than_one_frame_of_memory(
        self, hello: Build, greeted: bool, segments: list[bytes]
    ) -> None:
        max_frame_size_bytes = 256
        connection = AgentConnection(max_frame_size_bytes=max_frame_size_bytes)
        if greeted:
            connection.receive(hello())
        events = []
        for segment in segments:
            events += connection.receive(segment)
            assert kept_bytes(connection) <= max_frame_size_bytes + LENGTH_BYTES
        last_ones = [event for event in events if isinstance(event, ProtocolViolated | DisconnectReceived)]
        assert last_ones == events[len(events) - len(last_ones) :]
        assert len(last_ones) == (1 if connection.state is State.CLOSED and not was_health_check(events) else 0)

    @given(position=st.integers(0, 200), replacement=st.binary(max_size=6))
    def test_a_broken_conversation_ends_or_goes_on_but_never_raises(
        self, hello: Build, notify: Build, position: int, replacement: bytes
    ) -> None:
        stream = hello() + notify(MESSAGE) + notify(MESSAGE)
        _events, sent, _state = conversation([stream[:position] + replacement + stream[position + len(replacement) :]])
        assert all(frame.type > 100 for frame in sent_frames(sent))


def conversation(segments: Iterable[bytes]) -> tuple[list[str], bytes, State]:
    """Events (as text: errors have no equality), what was sent, and the state at the end."""
    connection = AgentConnection()
    events = [repr(event) for segment in segments for event in connection.receive(segment)]
    return events, connection.data_to_send(), connection.state


def kept_bytes(connection: AgentConnection) -> int:
    return len(connection._buffer)


def was_health_check(events: list[Event]) -> bool:
    return any(isinstance(event, HelloReceived) and event.hello.healthcheck for event in events)
