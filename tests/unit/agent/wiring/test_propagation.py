"""The lines of propagation as texts; what HAProxy does with them is in tests/integration/test_formats.py."""

import itertools
import re

import pytest

from haproxy_telemetry_agent.wiring.field import Field
from haproxy_telemetry_agent.wiring.formats import FORMATS, PROPAGATORS
from haproxy_telemetry_agent.wiring.frontend import render_frontend
from haproxy_telemetry_agent.wiring.names import variable_name
from haproxy_telemetry_agent.wiring.plan import Plan
from haproxy_telemetry_agent.wiring.propagation import (
    extraction_lines,
    injection_lines,
    link_lines,
    propagation_arguments,
    trust_lines,
    trusted_condition,
)

DEFAULT = ["tracecontext", "baggage"]
UNANSWERED = f"!{{ var({variable_name('state')}) -m found }}"
SELECTIONS = [list(names) for count in (1, 2, 6) for names in itertools.permutations(PROPAGATORS, count)]
MAX_LINE_CHARACTERS, MAX_LINE_WORDS = 2048, 64
"""HAProxy's LINESIZE and MAX_LINE_ARGS."""


def test_of_w3c_alone_it_is_the_text_of_the_frontend() -> None:
    frontend = render_frontend(Plan()).splitlines()
    extraction = extraction_lines(DEFAULT, unanswered=UNANSWERED)
    injection = injection_lines(DEFAULT)
    assert (len(extraction), len(injection)) == (3, 3)
    assert set(extraction) | set(injection) <= set(frontend)


def test_nothing_to_do_is_no_line() -> None:
    for propagators in ([], ["none"], ["baggage"]):
        assert extraction_lines(propagators) == injection_lines(propagators) == []


class TestArguments:
    def test_only_those_of_the_propagators(self) -> None:
        names = [field.name for field in propagation_arguments(DEFAULT)]
        assert names == ["traceparent_1", "traceparent_2", "tracestate_1", "tracestate_2", "tracestate_3"]
        assert [field.name for field in propagation_arguments(["xray", "none"])] == ["xray"]

    def test_baggage_is_only_sent_for_spans_that_show_it(self) -> None:
        names = [field.name for field in propagation_arguments(["none"], with_baggage=True)]
        assert names == ["baggage_1", "baggage_2", "baggage_3"]
        assert propagation_arguments(["baggage"]) == []

    def test_each_once(self) -> None:
        names = [field.name for field in propagation_arguments([*PROPAGATORS, *PROPAGATORS], with_baggage=True)]
        assert len(set(names)) == len(names) == 15

    def test_are_nothing_but_arguments(self) -> None:
        for field in propagation_arguments(PROPAGATORS, with_baggage=True):
            assert field == Field(field.name, field.meaning, argument=field.argument)
            assert field.argument


class TestTrust:
    def test_everybody_is_no_condition(self) -> None:
        assert trusted_condition([]) == ""
        assert trust_lines([], unanswered=UNANSWERED) == []

    def test_networks(self) -> None:
        assert trust_lines(["10.0.0.0/8", "fd00::/8"], unanswered=UNANSWERED) == [
            f"http-request set-var(txn.otel.trusted) bool(true) if {UNANSWERED} {{ src 10.0.0.0/8 fd00::/8 }}"
        ]
        assert trusted_condition(["10.0.0.0/8"]) == "{ var(txn.otel.trusted) -m found }"

    def test_many_are_several_lines(self) -> None:
        networks = [f"ffff:ffff:ffff:ffff:ffff:ffff:ffff:{number:04x}/128" for number in range(256)]
        lines = trust_lines(networks, unanswered=UNANSWERED)
        assert [network for line in lines for network in re.findall(r"\S+/128", line)] == networks
        assert all(len(line) < MAX_LINE_CHARACTERS and len(line.split()) < MAX_LINE_WORDS for line in lines)


@pytest.mark.parametrize("propagators", SELECTIONS[:: len(SELECTIONS) // 60], ids=",".join)
class TestLines:
    def test_no_header_is_set_from_a_variable_that_may_be_missing(self, propagators: list[str]) -> None:
        for line in injection_lines(propagators):
            if "set-header" in line:
                value, _, condition = line.partition(" if ")
                for variable in re.findall(r"var\(([^)]*)\)", value):
                    assert f"{{ var({variable}) -m found }}" in condition

    def test_a_context_is_only_made_where_there_is_none(self, propagators: list[str]) -> None:
        """Directly, or by a parent that was only set then."""
        for line in extraction_lines(propagators, unanswered=UNANSWERED):
            condition = line.partition(" if ")[2]
            none_yet = f"!{{ var({variable_name('traceparent')}) -m found }}"
            assert UNANSWERED in condition or none_yet in condition or f"{{ var({variable_name('parent')}) -m found }}" in condition

    def test_nobody_is_believed_who_is_not_trusted(self, propagators: list[str]) -> None:
        trusted = trusted_condition(["10.0.0.0/8"])
        for line in extraction_lines(propagators, trusted=trusted):
            if f"set-var({variable_name('parent')})" in line or "uuid()" in line:
                assert trusted in line
            else:
                assert f"{{ var({variable_name('parent')}) -m found }}" in line

    def test_haproxys_parser_takes_every_line(self, propagators: list[str]) -> None:
        trusted = trusted_condition(["10.0.0.0/8"])
        for line in [*extraction_lines(propagators, unanswered=UNANSWERED, trusted=trusted), *injection_lines(propagators)]:
            assert len(line) < MAX_LINE_CHARACTERS
            assert len(line.split()) < MAX_LINE_WORDS


def test_a_decision_that_is_left_to_us_is_by_the_trace_id() -> None:
    def sampled(trace_id: str) -> str:
        return f"{{ decided by {trace_id} }}"

    assert not [line for line in extraction_lines(["xray"]) if "decided" in line]
    (line,) = [line for line in extraction_lines(["xray"], sampled=sampled) if "decided" in line]
    assert "-00 if " in line
    assert "!{ decided by req.fhdr(x-amzn-trace-id,1)," in line


class TestLinks:
    TRUSTED = "{ var(txn.otel.trusted) -m found }"

    def test_every_format_that_is_read_is_linked_to(self) -> None:
        for row in FORMATS:
            lines = link_lines([row.propagator], trusted=self.TRUSTED)
            assert all("set-var-fmt(txn.otel.link)" in line for line in lines)
            made = [line for line in lines if f"!{self.TRUSTED}" in line]
            assert [any(reading.valid in line for line in made) for reading in row.readings] == [True] * len(row.readings)
            assert len(made) == len(row.readings)

    def test_the_first_format_wins(self) -> None:
        made = [line for line in link_lines(PROPAGATORS, trusted=self.TRUSTED) if f"!{self.TRUSTED}" in line]
        assert ["!{ var(txn.otel.link) -m found }" in line for line in made] == [False] + [True] * (len(made) - 1)

    @pytest.mark.parametrize("propagators", SELECTIONS[:12], ids=" ".join)
    def test_haproxy_can_take_the_lines(self, propagators: list[str]) -> None:
        wanted = f"{UNANSWERED} !{{ var({variable_name('excluded')}) -m found }}"
        for line in link_lines(propagators, unanswered=wanted, trusted=self.TRUSTED):
            assert len(line) < MAX_LINE_CHARACTERS
            assert len(line.split()) <= MAX_LINE_WORDS
