"""HELLO against HAProxy's doc/SPOE.txt, sections 3.2.4 and 3.2.5."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_agent.spop.errors import InvalidFrame, RemoteProtocolError, StatusCode
from haproxy_telemetry_agent.spop.handshake import Hello, Terms, agree, decode_hello, encode_agent_hello
from haproxy_telemetry_agent.spop.messages import decode_pairs
from haproxy_telemetry_agent.spop.values import Value

Build = Callable[..., bytes]

OURS_BYTES = 65_536


def hello_of(
    *, versions: tuple[str, ...] = ("2.0",), max_frame_size_bytes: int = 16_380, capabilities: frozenset[str] = frozenset()
) -> Hello:
    return Hello(versions, max_frame_size_bytes, capabilities)


class TestDecoding:
    def test_haproxys_own_hello(self, hello_payload: Build) -> None:
        assert decode_hello(hello_payload()) == Hello(
            supported_versions=("2.0",),
            max_frame_size_bytes=16_380,
            capabilities=frozenset({"pipelining", "async"}),
            healthcheck=False,
            engine_id="F8E2A1C5-6A0D-4B3C-9E57-0123456789AB",
        )

    @pytest.mark.parametrize(("value", "healthcheck"), [(True, True), (False, False), (1, False), ("true", False), (None, False)])
    def test_only_a_true_boolean_is_a_health_check(self, hello_payload: Build, value: Value, healthcheck: bool) -> None:
        hello = decode_hello(hello_payload({"healthcheck": value}, without="engine-id"))
        assert hello.healthcheck is healthcheck
        assert hello.engine_id is None

    @pytest.mark.parametrize(
        ("key", "wrong_types", "code"),
        [
            ("supported-versions", [2, None, b"2.0", True], StatusCode.NO_VERSION),
            ("max-frame-size", ["16380", None, True], StatusCode.NO_MAX_FRAME_SIZE),
            ("capabilities", [0, None, b"", True], StatusCode.NO_CAPABILITIES),
        ],
    )
    def test_an_entry_that_is_missing_or_of_a_wrong_type(
        self, hello_payload: Build, key: str, wrong_types: list[Value], code: StatusCode
    ) -> None:
        for payload in [hello_payload(without=key), *(hello_payload({key: wrong}) for wrong in wrong_types)]:
            with pytest.raises(RemoteProtocolError, match=key) as raised:
                decode_hello(payload)
            assert raised.value.status_code == code

    def test_capabilities_may_be_empty(self, hello_payload: Build) -> None:
        assert decode_hello(hello_payload({"capabilities": ""})).capabilities == frozenset()

    def test_spaces_are_ignored(self, hello_payload: Build) -> None:
        hello = decode_hello(hello_payload({"supported-versions": " 2.0 , 1.5", "capabilities": " pipelining ,,  async"}))
        assert hello.supported_versions == ("2.0", "1.5")
        assert hello.capabilities == {"pipelining", "async"}

    def test_unknown_entries_are_ignored(self, hello_payload: Build) -> None:
        assert decode_hello(hello_payload({"some-day": "more"})) == decode_hello(hello_payload())

    def test_what_is_no_list_of_entries_is_invalid(self, hello_payload: Build) -> None:
        with pytest.raises(InvalidFrame):
            decode_hello(hello_payload()[:-1])


class TestAgreement:
    @pytest.mark.parametrize("versions", [("2.0",), ("1.0", "2.0"), ("2.0", "1.5"), ("2.7",), ("3.0", "2.1")])
    def test_a_version_of_our_major_number_will_do(self, versions: tuple[str, ...]) -> None:
        assert agree(hello_of(versions=versions), OURS_BYTES).max_frame_size_bytes == 16_380

    @pytest.mark.parametrize("versions", [(), ("1.0",), ("3.0",), ("20.0",), ("1.2",), ("",)])
    def test_any_other_version_will_not(self, versions: tuple[str, ...]) -> None:
        with pytest.raises(RemoteProtocolError, match=r"this agent speaks 2\.0") as raised:
            agree(hello_of(versions=versions), OURS_BYTES)
        assert raised.value.status_code == StatusCode.UNSUPPORTED_VERSION

    @pytest.mark.parametrize(
        ("theirs", "agreed"),
        [(256, 256), (16_380, 16_380), (OURS_BYTES, OURS_BYTES), (OURS_BYTES + 1, OURS_BYTES), (2**32 - 1, OURS_BYTES)],
    )
    def test_the_smaller_frame_size_counts(self, theirs: int, agreed: int) -> None:
        assert agree(hello_of(max_frame_size_bytes=theirs), OURS_BYTES).max_frame_size_bytes == agreed

    @pytest.mark.parametrize("theirs", [255, 0, -1])
    def test_a_frame_size_too_small_for_any_exchange(self, theirs: int) -> None:
        with pytest.raises(RemoteProtocolError) as raised:
            agree(hello_of(max_frame_size_bytes=theirs), OURS_BYTES)
        assert raised.value.status_code == StatusCode.BAD_MAX_FRAME_SIZE

    @pytest.mark.parametrize(
        ("theirs", "agreed"),
        [
            ({"pipelining", "async", "fragmentation"}, {"pipelining"}),
            ({"pipelining"}, {"pipelining"}),
            ({"async", "fragmentation"}, set()),
            ({"Pipelining", "telepathy"}, set()),
            (set(), set()),
        ],
    )
    def test_capabilities_that_both_have(self, theirs: set[str], agreed: set[str]) -> None:
        assert agree(hello_of(capabilities=frozenset(theirs)), OURS_BYTES).capabilities == agreed


@pytest.mark.parametrize(("capabilities", "text"), [({"pipelining"}, "pipelining"), (set(), ""), ({"b", "a"}, "a,b")])
def test_our_answer(capabilities: set[str], text: str) -> None:
    pairs = decode_pairs(encode_agent_hello(Terms(4096, frozenset(capabilities))))
    assert pairs == {"version": "2.0", "max-frame-size": 4096, "capabilities": text}
