"""Reading messages of the mini-language: what stands where, and what is left out."""

from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from haproxy_telemetry_agent.tracing.clauses import (
    ALL,
    Baggage,
    Clause,
    Log,
    Reading,
    Tag,
    WarningReason,
    is_minilanguage,
    read_message,
)

Arguments = Sequence[tuple[str, object]]

SPOP_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.text(max_size=30),
    st.binary(max_size=9),
    st.ip_addresses(),
)
NAMES = st.sampled_from(
    ["id", "span", "child-of", "follows-from", "tag", "baggage", "log", "finish", "traceparent", "tracestate", "", "other"]
)
ANY_ARGUMENTS = st.lists(st.tuples(NAMES, SPOP_VALUES), max_size=20)


def read(*arguments: tuple[str, object], max_text_characters: int = 100) -> Reading:
    return read_message("message", [("id", "one"), *arguments], max_text_characters=max_text_characters)


def warned(reading: Reading) -> list[tuple[WarningReason, str]]:
    assert all(warning.message == "message" for warning in reading.warnings)
    return [(warning.reason, warning.argument) for warning in reading.warnings]


def test_a_whole_message() -> None:
    reading = read(
        ("traceparent", "00-x"),
        ("tracestate", "a=1"),
        ("span", "first"),
        ("span", "second"),
        ("child-of", "first"),
        ("tag", "method"),
        ("", "GET"),
        ("baggage", "user"),
        ("", "me"),
        ("log", "event"),
        ("", "seen"),
        ("span", "third"),
        ("follows-from", "second"),
        ("finish", "second"),
        ("finish", "*"),
    )
    assert reading == Reading(
        "one",
        "00-x",
        "a=1",
        [
            Clause("first"),
            Clause("second", "first", items=[Tag("method", "GET"), Baggage("user", "me"), Log("event", "seen")]),
            Clause("third", "second", follows=True),
        ],
        ["second", ALL],
        [],
    )


@pytest.mark.parametrize(
    ("data", "value"),
    [
        (["text"], "text"),
        ([True], True),
        ([False], False),
        ([-5], -5),
        ([2**63 - 1], 2**63 - 1),
        pytest.param([2**64 - 1], "18446744073709551615", id="OTLP has no unsigned integers"),
        ([IPv4Address("192.0.2.1")], "192.0.2.1"),
        ([IPv6Address("2001:db8::1")], "2001:db8::1"),
        ([None], None),
        (["HTTP/", "1.1"], "HTTP/1.1"),
        (["a", 1, True, False, None, IPv4Address("192.0.2.1")], "a110192.0.2.1"),
        ([None, None], ""),
    ],
)
def test_the_value_of_a_tag(data: list[object], value: object) -> None:
    reading = read(("span", "s"), ("tag", "key"), *[("", datum) for datum in data])
    (item,) = reading.clauses[0].items
    assert item == Tag("key", value)  # type: ignore[arg-type]
    assert type(item.value) is type(value)
    assert reading.warnings == []


@pytest.mark.parametrize(("name", "kind"), [("baggage", Baggage), ("log", Log)])
@pytest.mark.parametrize(("datum", "text"), [(5, "5"), (True, "1"), (None, ""), (IPv4Address("192.0.2.1"), "192.0.2.1")])
def test_baggage_and_logs_are_text(name: str, kind: type[Baggage] | type[Log], datum: object, text: str) -> None:
    assert read(("span", "s"), (name, "key"), ("", datum)).clauses[0].items == [kind("key", text)]


@pytest.mark.parametrize(
    ("arguments", "warnings"),
    [
        pytest.param([("spam", "x"), ("", "y")], [(WarningReason.UNKNOWN_ARGUMENT, "spam")], id="unknown, with its data"),
        pytest.param([("tag", "k"), ("", "v")], [(WarningReason.NO_SPAN, "tag=k")], id="tag without a span"),
        pytest.param([("child-of", "a")], [(WarningReason.NO_SPAN, "child-of=a")], id="reference without a span"),
        pytest.param([("finish", "")], [(WarningReason.NO_SPAN, "finish")], id="the current span, without one"),
        pytest.param([("span", "")], [(WarningReason.NO_VALUE, "span")], id="span without a name"),
        pytest.param([("span", None)], [(WarningReason.NO_VALUE, "span")], id="span named NULL"),
        pytest.param([("span", b"x")], [(WarningReason.BINARY_DATA, "span")], id="binary name"),
        pytest.param([("finish", b"x")], [(WarningReason.BINARY_DATA, "finish")], id="binary name of what ends"),
        pytest.param([("id", "two")], [(WarningReason.REPEATED_ARGUMENT, "id")], id="two ids"),
        pytest.param([("span", "a"), ("", "b")], [(WarningReason.EXCESS_DATA, "span")], id="name in two parts"),
    ],
)
def test_what_is_left_out_is_told(arguments: list[tuple[str, object]], warnings: list[tuple[WarningReason, str]]) -> None:
    reading = read(*arguments, ("span", "still here"))
    assert warned(reading) == warnings
    assert reading.clauses[-1] == Clause("still here")


@pytest.mark.parametrize(
    ("arguments", "warning"),
    [
        ([("tag", "k")], (WarningReason.NO_VALUE, "tag=k")),
        ([("tag", None), ("", "v")], (WarningReason.NO_VALUE, "tag")),
        ([("tag", "k"), ("", b"v")], (WarningReason.BINARY_DATA, "tag=k")),
        ([("log", "k"), ("", "text"), ("", b"v")], (WarningReason.BINARY_DATA, "log=k")),
    ],
)
def test_an_item_that_can_not_be_had_leaves_the_others(
    arguments: list[tuple[str, object]], warning: tuple[WarningReason, str]
) -> None:
    reading = read(("span", "s"), *arguments, ("tag", "good"), ("", 1))
    assert warned(reading) == [warning]
    assert reading.clauses == [Clause("s", items=[Tag("good", 1)])]


def test_the_first_reference_counts() -> None:
    reading = read(("span", "s"), ("child-of", "a"), ("follows-from", "b"))
    assert reading.clauses == [Clause("s", "a")]
    assert warned(reading) == [(WarningReason.REPEATED_ARGUMENT, "follows-from=b")]


def test_an_empty_finish_is_the_span_it_stands_behind() -> None:
    assert read(("span", "a"), ("finish", ""), ("span", "b"), ("finish", None)).finishes == ["a", "b"]


def test_finish_may_name_several() -> None:
    assert read(("span", "a"), ("finish", "b"), ("", "c"), ("", "")).finishes == ["b", "c", "a"]


@pytest.mark.parametrize("value", ["", None, b"binary", "x" * 1025])
def test_without_an_id_it_is_about_nothing(value: object) -> None:
    reading = read_message("message", [("id", value), ("span", "s")], max_text_characters=100)
    assert reading.id is None
    assert warned(reading) == [(WarningReason.NO_ID, "id")]


def test_the_id_may_stand_anywhere() -> None:
    assert read_message("message", [("span", "s"), ("id", 7)], max_text_characters=100).id == "7"


def test_texts_are_cut_names_everywhere_alike() -> None:
    reading = read(
        ("span", "x" * 12),
        ("child-of", "y" * 12),
        ("tag", "k" * 12),
        ("", "v" * 6),
        ("", "v" * 6),
        ("finish", "x" * 12),
        max_text_characters=10,
    )
    assert reading.clauses == [Clause("x" * 10, "y" * 10, items=[Tag("k" * 10, "v" * 10)])]
    assert reading.finishes == ["x" * 10]
    assert {warning.reason for warning in reading.warnings} == {WarningReason.CUT}
    assert len(reading.warnings) == 5


@pytest.mark.parametrize("headers", [[("traceparent", None), ("tracestate", None)], [("traceparent", ""), ("tracestate", b"")]])
def test_headers_that_did_not_come_are_no_mistake(headers: list[tuple[str, object]]) -> None:
    reading = read(*headers, ("span", "s"))
    assert (reading.traceparent, reading.tracestate, reading.warnings) == (None, None, [])


class TestIsMinilanguage:
    @pytest.mark.parametrize(
        "arguments",
        [
            [("id", "x"), ("span", "s")],
            [("id", "x"), ("finish", "*")],
            [("id", "x"), ("tag", "k"), ("", "v")],
            pytest.param([("span", "s")], id="badly written"),
            pytest.param([("finish", "s")], id="badly written, too"),
        ],
    )
    def test_it_is(self, arguments: Arguments) -> None:
        assert is_minilanguage(arguments)

    @pytest.mark.parametrize("arguments", [[], [("id", "x")], [("ip", "x")], [("tag", "k")], [("id", "x"), ("", "span")]])
    def test_it_is_not(self, arguments: Arguments) -> None:
        assert not is_minilanguage(arguments)


@given(arguments=ANY_ARGUMENTS)
def test_anything_can_be_read(arguments: list[tuple[str, object]]) -> None:
    reading = read_message("message", arguments, max_text_characters=16)
    named = [name for name, _ in arguments if name]
    assert len(reading.clauses) <= named.count("span")
    assert len(reading.finishes) <= len(arguments) if "finish" in named else reading.finishes == []
    for clause in reading.clauses:
        assert 0 < len(clause.name) <= 16
        for item in clause.items:
            assert 0 < len(item.key) <= 16
            assert not isinstance(item.value, bytes)
