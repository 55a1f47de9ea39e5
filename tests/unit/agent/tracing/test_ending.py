"""A record's parameters, read."""

from collections.abc import Callable

import pytest

from haproxy_telemetry_agent.tracing.ending import read_ending
from haproxy_telemetry_agent.tracing.state import VERSION, State, encode_state
from haproxy_telemetry_agent.wiring import Plan, record_fields

Record = Callable[..., dict[str, str]]

PARENT = bytes.fromhex("b7ad6b7169203331")
NUMBERS = ["ST", "TR", "Tw", "Tc", "Tr", "Ta", "rc", "bq", "sq", "U", "B"]


@pytest.mark.parametrize(
    ("parameters", "attribute", "value"),
    [
        ({"traceparent": "-"}, "traceparent", None),
        ({"traceparent": "00-a"}, "traceparent", "00-a"),
        ({"tracestate": "-"}, "tracestate", ""),
        ({"tracestate": "a=1"}, "tracestate", "a=1"),
        ({"error": "-"}, "spoe_error", None),
        ({"error": "259"}, "spoe_error", "259"),
        ({"HM": "GET"}, "method", "GET"),
        ({"HPO": "/a b"}, "path", "/a b"),
        ({"HQ": ""}, "query", ""),
        ({"HQ": "?"}, "query", ""),
        ({"HQ": "?a=?"}, "query", "a=?"),
        ({"HV": "HTTP/2.0"}, "protocol", "HTTP/2.0"),
        ({"sslv": "-"}, "encrypted", False),
        ({"sslv": "TLSv1.3"}, "encrypted", True),
        ({"ssl_bc": "0"}, "server_encrypted", False),
        ({"ssl_bc": "1"}, "server_encrypted", True),
        ({"ST": "200"}, "status_code", 200),
        ({"ST": "0"}, "status_code", None),
        ({"ST": "-1"}, "status_code", None),
        ({"ts": "SD"}, "termination_state", "SD"),
        ({"f": "web"}, "frontend", "web"),
        ({"f": "web~"}, "frontend", "web~"),
        ({"b": "shop"}, "backend", "shop"),
        ({"s": "one"}, "server", "one"),
        ({"s": "<NOSRV>"}, "server", None),
        ({"s": "<STATS>"}, "server", None),
        ({"s": "<lua.hello>"}, "server", None),
        ({"ci": "2001:db8::1"}, "client_address", "2001:db8::1"),
        ({"ci": "-"}, "client_address", None),
        ({"cp": "54614"}, "client_port", 54_614),
        ({"cp": "0"}, "client_port", None),
        ({"cp": "-"}, "client_port", None),
        ({"si": "-"}, "server_address", None),
        ({"sp": "-"}, "server_port", None),
        ({"sp": "8080"}, "server_port", 8080),
        ({"TR": "-1"}, "request_milliseconds", -1),
        ({"Tw": "1"}, "queue_milliseconds", 1),
        ({"Tc": "2"}, "connect_milliseconds", 2),
        ({"Tr": "3"}, "response_milliseconds", 3),
        ({"Ta": "4"}, "total_milliseconds", 4),
        # With ``option logasap`` the record comes early, and says so.
        ({"Ta": "+4"}, "total_milliseconds", 4),
        ({"B": "+51"}, "sent_bytes", 51),
        ({"rc": "0"}, "retries", 0),
        ({"rc": "2"}, "retries", 2),
        ({"rc": "2"}, "redispatched", False),
        ({"rc": "+3"}, "retries", 3),
        ({"rc": "+3"}, "redispatched", True),
        ({"bq": "5"}, "backend_queue", 5),
        ({"sq": "6"}, "server_queue", 6),
        ({"U": "170"}, "received_bytes", 170),
        ({"B": "51"}, "sent_bytes", 51),
        ({"ID": "-"}, "unique_id", None),
        ({"ID": ""}, "unique_id", None),
        ({"ID": "a1"}, "unique_id", "a1"),
        # HAProxy's fall-back variables, without an answer of the agent's.
        ({}, "answered", False),
        ({"start": "1795355434119025"}, "start_unix_micro", 1_795_355_434_119_025),
        ({"seen": "1795355434119025"}, "seen_unix_micro", 1_795_355_434_119_025),
        ({"routed": "1795355434119025"}, "routed_unix_micro", 1_795_355_434_119_025),
        ({"routed": "-"}, "routed_unix_micro", None),
        ({"parent": PARENT.hex()}, "parent_span_id", PARENT),
        ({"parent": "-"}, "parent_span_id", None),
        ({"parent": "b7ad"}, "parent_span_id", None),
        ({"host": "example.com"}, "host", "example.com"),
        ({"host": "-"}, "host", None),
        ({"user_agent": "curl/8"}, "user_agent", "curl/8"),
        # A token that is none of ours is no answer.
        ({"state": "garbage", "host": "example.com"}, "answered", False),
        ({"state": "garbage", "host": "example.com"}, "host", "example.com"),
    ],
)
def test_parameter(record: Record, parameters: dict[str, str], attribute: str, value: object) -> None:
    actual = getattr(read_ending(1, record(**parameters)), attribute)
    assert (actual, type(actual)) == (value, type(value))


def test_the_end_is_the_records_own_time(record: Record) -> None:
    assert read_ending(1_795_355_434_119_025_000, record()).end_unix_nano == 1_795_355_434_119_025_000


def test_what_the_agent_answered_beats_the_fall_back(record: Record) -> None:
    state = State(VERSION, 7, 8, PARENT, "example.com", "curl/8")
    fall_back = {"start": "1", "seen": "2", "parent": "00" * 8, "host": "other", "user_agent": "other"}
    ending = read_ending(1, record(state=encode_state(state), **fall_back))
    assert ending.answered
    assert (ending.start_unix_micro, ending.seen_unix_micro, ending.parent_span_id, ending.host, ending.user_agent) == (
        7,
        8,
        PARENT,
        "example.com",
        "curl/8",
    )


def test_a_token_with_a_parent_that_is_no_id_has_none(record: Record) -> None:
    token = encode_state(State(VERSION, parent_span_id=b"short"))
    assert read_ending(1, record(state=token)).parent_span_id is None


@pytest.mark.parametrize("parameter", [field.name for field in record_fields(Plan())])
def test_a_record_that_lacks_a_parameter_is_of_another_version(record: Record, parameter: str) -> None:
    """So every parameter of the record is read, and no other: the base record has just these."""
    fields = record()
    del fields[parameter]
    with pytest.raises(KeyError, match=parameter):
        read_ending(1, fields)


def test_the_record_of_these_tests_is_the_one_that_haproxy_is_told_to_write(record: Record) -> None:
    assert [*record()] == [field.name for field in record_fields(Plan())]


@pytest.mark.parametrize("parameter", [*NUMBERS, "start", "seen", "routed", "parent"])
@pytest.mark.parametrize("value", ["x", "1.5", "0x"])
def test_a_number_that_is_none_is_an_error(record: Record, parameter: str, value: str) -> None:
    with pytest.raises(ValueError, match=r"invalid literal|non-hexadecimal"):
        read_ending(1, record(**{parameter: value}))
