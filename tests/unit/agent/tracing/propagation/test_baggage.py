"""W3C Baggage, against its own text and against OpenTelemetry's propagator."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import baggage
from opentelemetry.baggage.propagation import W3CBaggagePropagator
from opentelemetry.context import Context

from haproxy_telemetry_agent.tracing.propagation.baggage import MAX_VALUE_CHARACTERS, baggage_attributes, parse_baggage


@pytest.mark.parametrize(
    ("headers", "pairs"),
    [
        ([], []),
        ([""], []),
        (["a=1"], [("a", "1")]),
        (["a=1,b=2"], [("a", "1"), ("b", "2")]),
        (["a=1", "b=2"], [("a", "1"), ("b", "2")]),
        ([" a = 1 ,\tb\t=\t2\t"], [("a", "1"), ("b", "2")]),
        (["a="], [("a", "")]),
        (["a=1;property;p=2,b=2"], [("a", "1"), ("b", "2")]),
        (["a=b=c"], [("a", "b=c")]),
        (["a=Am%C3%A9lie%20%2C"], [("a", "Am\u00e9lie ,")]),
        (["a=%zz"], [("a", "%zz")]),
        (["a=%ff"], [("a", "\ufffd")]),
        (["a=1,a=2"], [("a", "2")]),
        # One by one: what is wrong takes nothing else with it.
        (["a=1,b,=2,c d=3,e=4"], [("a", "1"), ("e", "4")]),
        (["a=\u00e9,b=1"], [("b", "1")]),
        (['a="x",b=1'], [("b", "1")]),
    ],
)
def test_pairs(headers: list[str], pairs: list[tuple[str, str]]) -> None:
    assert parse_baggage(headers) == pairs


def test_there_is_an_end_to_it() -> None:
    assert len(parse_baggage([",".join(f"k{number}=1" for number in range(500))])) == 180
    assert parse_baggage(["a=" + "v" * 8185, "b=1", "c=1"]) == [("a", "v" * 8185), ("b", "1")]


class TestAttributes:
    def test_of_the_listed_keys_only(self) -> None:
        assert baggage_attributes(["tenant=a%20b,session=secret", "Tenant=c"], {"tenant", "other"}) == [("baggage.tenant", "a b")]

    def test_values_are_cut(self) -> None:
        ((_name, value),) = baggage_attributes(["a=" + "%C3%A9" * 1000], ["a"])
        assert value == "\u00e9" * MAX_VALUE_CHARACTERS

    @given(headers=st.lists(st.text(max_size=30), max_size=3), keys=st.sets(st.text(max_size=2)))
    def test_of_any_headers(self, headers: list[str], keys: set[str]) -> None:
        assert {name.removeprefix("baggage.") for name, _value in baggage_attributes(headers, keys)} <= keys


class TestAgainstOpenTelemetry:
    @given(
        members=st.lists(
            st.one_of(
                st.builds("{}={}".format, st.text("ab%!", max_size=3), st.text("ab1%=:/", max_size=5)),
                st.text('ab= \t"%', max_size=6),
            ),
            max_size=6,
        )
    )
    def test_reads_the_same(self, members: list[str]) -> None:
        header = ",".join(members)
        expected = baggage.get_all(W3CBaggagePropagator().extract({"baggage": header}, Context()))
        # Theirs decodes keys as well, which are plain tokens.
        plain = {key: value for key, value in parse_baggage([header]) if "%" not in key}
        assert plain.items() <= expected.items() or any("%" in member.partition("=")[0] for member in members)
        if "%" not in header:
            assert dict(parse_baggage([header])) == expected

    def test_a_plus_is_a_plus(self) -> None:
        """Theirs takes it for a space, as forms do; W3C has percent-encoding only."""
        assert baggage.get_all(W3CBaggagePropagator().extract({"baggage": "a=b+c"}, Context())) == {"a": "b c"}
        assert parse_baggage(["a=b+c"]) == [("a", "b+c")]

    def test_properties_are_read_over(self) -> None:
        """Theirs leaves them in the value."""
        assert baggage.get_all(W3CBaggagePropagator().extract({"baggage": "a=b;p"}, Context())) == {"a": "b;p"}
        assert parse_baggage(["a=b;p"]) == [("a", "b")]
