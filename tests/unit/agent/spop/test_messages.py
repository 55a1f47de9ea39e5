"""Payloads against HAProxy's doc/SPOE.txt, sections 3.2.4 to 3.2.9."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from haproxy_telemetry_agent.spop import messages as messages_module
from haproxy_telemetry_agent.spop.errors import InvalidFrame
from haproxy_telemetry_agent.spop.limits import MAX_HELLO_ENTRIES, MAX_MESSAGES_PER_FRAME
from haproxy_telemetry_agent.spop.messages import (
    Action,
    Message,
    SetVar,
    UnsetVar,
    VarScope,
    decode_actions,
    decode_messages,
    decode_pairs,
    encode_actions,
    encode_messages,
    encode_pairs,
)
from haproxy_telemetry_agent.spop.values import Value, decode_string, decode_value

# Lengths below, at and above the one-byte limit of a varint take different ways through the decoder.
TEXT = st.one_of(st.text(max_size=8), st.integers(238, 242).map("x".__mul__))
INTEGERS = st.integers(-(2**63), 2**64 - 1)
VALUES: st.SearchStrategy[Value] = st.one_of(st.none(), st.booleans(), INTEGERS, TEXT, st.binary(max_size=8))
MESSAGES = st.builds(Message, name=TEXT, arguments=st.lists(st.tuples(TEXT, VALUES), max_size=5))
ACTIONS: st.SearchStrategy[Action] = st.one_of(
    st.builds(SetVar, scope=st.sampled_from(VarScope), name=TEXT, value=VALUES),
    st.builds(UnsetVar, scope=st.sampled_from(VarScope), name=TEXT),
)


class TestMessages:
    def test_layout(self) -> None:
        messages = [Message("one", [("ip", None), ("ok", True), ("ok", "yes")]), Message("two", [])]
        encoded = bytes.fromhex("03 6f6e65 03  02 6970 00  02 6f6b 11  02 6f6b 08 03 796573    03 74776f 00")
        assert encode_messages(messages) == encoded
        assert decode_messages(encoded) == messages

    def test_no_messages(self) -> None:
        assert decode_messages(b"") == []

    @given(messages=st.lists(MESSAGES, max_size=4))
    def test_round_trip_keeps_order_and_repeated_names(self, messages: list[Message]) -> None:
        assert decode_messages(encode_messages(messages)) == messages

    @settings(max_examples=25)
    @given(messages=st.lists(MESSAGES, min_size=1, max_size=3))
    def test_cut_anywhere_but_between_messages_is_invalid(self, messages: list[Message]) -> None:
        encoded = encode_messages(messages)
        complete = {len(encode_messages(messages[:count])): messages[:count] for count in range(len(messages))}
        for size in range(len(encoded)):
            if size in complete:
                assert decode_messages(encoded[:size]) == complete[size]
            else:
                with pytest.raises(InvalidFrame):
                    decode_messages(encoded[:size])

    def test_the_most_arguments_a_message_can_have(self) -> None:
        message = Message("m", [(f"a{number}", number) for number in range(255)])
        assert decode_messages(encode_messages([message])) == [message]

    def test_too_many_messages_are_invalid(self) -> None:
        most = [Message("m", [])] * MAX_MESSAGES_PER_FRAME
        assert decode_messages(encode_messages(most)) == most
        with pytest.raises(InvalidFrame, match="messages in a frame"):
            decode_messages(encode_messages([*most, Message("m", [])]))

    @given(payload=st.binary(max_size=64))
    @example(payload=b"\x01m\x01\x04host\x08\x03abc")
    @example(payload=b"\x01m\x01\x04ho\xff\xfe\x08\x03a\xffc")
    @example(payload=b"\x01m\x01\x04host\x18\x03abc")
    def test_the_written_out_loop_does_what_the_plain_decoders_do(self, payload: bytes) -> None:
        try:
            expected = plain_decode_messages(payload)
        except InvalidFrame:
            with pytest.raises(InvalidFrame):
                decode_messages(payload)
        else:
            assert decode_messages(payload) == expected
            assert decode_messages(payload) == expected, "the second time, from remembered names"

    def test_only_so_many_names_are_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        remembered: dict[bytes, str] = {}
        monkeypatch.setattr(messages_module, "_NAMES", remembered)
        for number in range(2000):
            message = Message("m", [(f"name{number}", "v")])
            assert decode_messages(encode_messages([message])) == [message]
        assert 0 < len(remembered) < 2000


class TestActions:
    @pytest.mark.parametrize(
        ("action", "wire"),
        [
            (SetVar(VarScope.PROCESS, "a", None), "01 03 00 01 61 00"),
            (SetVar(VarScope.SESSION, "a", True), "01 03 01 01 61 11"),
            (SetVar(VarScope.TRANSACTION, "ab", "c"), "01 03 02 02 6162 08 01 63"),
            (SetVar(VarScope.REQUEST, "a", 7), "01 03 03 01 61 04 07"),
            (UnsetVar(VarScope.RESPONSE, "a"), "02 02 04 01 61"),
        ],
    )
    def test_layout(self, action: Action, wire: str) -> None:
        assert encode_actions([action]) == bytes.fromhex(wire)
        assert decode_actions(bytes.fromhex(wire)) == [action]

    @given(actions=st.lists(ACTIONS, max_size=5))
    def test_round_trip(self, actions: list[Action]) -> None:
        decoded = decode_actions(encode_actions(actions))
        assert decoded == actions
        assert [type(action) for action in decoded] == [type(action) for action in actions]

    @given(action=ACTIONS)
    def test_cut_anywhere_is_invalid(self, action: Action) -> None:
        encoded = encode_actions([action])
        for size in range(1, len(encoded)):
            with pytest.raises(InvalidFrame):
                decode_actions(encoded[:size])

    @pytest.mark.parametrize(
        "wire",
        [
            pytest.param("03 03 02 01 61 00", id="unknown action"),
            pytest.param("01 02 02 01 61 00", id="set-var with two arguments"),
            pytest.param("02 03 02 01 61", id="unset-var with three arguments"),
            pytest.param("01 03 05 01 61 00", id="unknown scope"),
        ],
    )
    def test_what_is_no_action_is_invalid(self, wire: str) -> None:
        with pytest.raises(InvalidFrame, match="no action at byte 0"):
            decode_actions(bytes.fromhex(wire))


class TestPairs:
    def test_layout(self) -> None:
        encoded = bytes.fromhex("0b 7374617475732d636f6465 04 00  07 6d657373616765 08 06 6e6f726d616c")
        pairs: dict[str, Value] = {"status-code": 0, "message": "normal"}
        assert encode_pairs(pairs.items()) == encoded
        assert decode_pairs(encoded) == pairs

    @given(pairs=st.dictionaries(TEXT, VALUES, max_size=5))
    def test_round_trip(self, pairs: dict[str, Value]) -> None:
        assert decode_pairs(encode_pairs(pairs.items())) == pairs

    def test_of_two_entries_with_one_name_the_last_counts(self) -> None:
        assert decode_pairs(encode_pairs([("a", 1), ("a", 2)])) == {"a": 2}

    def test_too_many_entries_are_invalid(self) -> None:
        most: dict[str, Value] = {f"k{number}": number for number in range(MAX_HELLO_ENTRIES)}
        assert decode_pairs(encode_pairs(most.items())) == most
        with pytest.raises(InvalidFrame, match="entries"):
            decode_pairs(encode_pairs([*most.items(), ("one more", 1)]))

    @given(payload=st.binary(max_size=48))
    def test_any_bytes_are_pairs_or_invalid(self, payload: bytes) -> None:
        try:
            pairs = decode_pairs(payload)
        except InvalidFrame:
            return
        assert all(isinstance(name, str) for name in pairs)


def plain_decode_messages(payload: bytes) -> list[Message]:
    """What the specification says, without a thought of speed."""
    messages = []
    offset = 0
    while offset < len(payload):
        name, offset = decode_string(payload, offset)
        if offset == len(payload):
            raise InvalidFrame("no number of arguments")
        count = payload[offset]
        offset += 1
        arguments = []
        for _ in range(count):
            key, offset = decode_string(payload, offset)
            value, offset = decode_value(payload, offset)
            arguments.append((key, value))
        messages.append(Message(name, arguments))
    return messages
