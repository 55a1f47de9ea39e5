"""The table of fields: what must hold for every row."""

import re

import pytest

from haproxy_telemetry_agent.wiring.field import Field
from haproxy_telemetry_agent.wiring.fields import FIELDS, LONG_FIELDS, arguments, captured_at_response, fallbacks, record_fields
from haproxy_telemetry_agent.wiring.formats import FORMATS
from haproxy_telemetry_agent.wiring.names import variable_name
from haproxy_telemetry_agent.wiring.plan import Capture, Plan

each_field = pytest.mark.parametrize("field", FIELDS, ids=lambda field: field.name)


def test_names_are_unique() -> None:
    names = [field.name for field in FIELDS]
    assert len(set(names)) == len(names)


@each_field
def test_a_name_can_stand_in_a_message_a_record_and_a_variable(field: Field) -> None:
    assert re.fullmatch(r"[A-Za-z0-9_]{1,32}", field.name)
    assert variable_name(field.name) == f"txn.otel.{field.name}"


@each_field
def test_a_row_reaches_the_agent_in_some_way_and_says_what_it_means(field: Field) -> None:
    assert field.argument is not None or field.record is not None
    assert field.meaning


@each_field
def test_what_haproxy_falls_back_to_is_what_it_would_have_told_the_agent(field: Field) -> None:
    if field.fallback is not None:
        assert field.fallback.removesuffix(",bytes(0,512)") == field.argument
        assert field.record == f"%[var({variable_name(field.name)})]"


@each_field
def test_a_row_is_new_or_on_its_way_out_not_both(field: Field) -> None:
    assert field.since is None or field.before is None


def test_the_lists_are_the_rows_in_their_order() -> None:
    assert arguments(Plan(propagators=("none",))) == [field for field in FIELDS if field.argument]
    assert arguments(Plan()) == [
        *arguments(Plan(propagators=("none",))),
        *(field for row in FORMATS for field in row.arguments if row.propagator == "tracecontext"),
    ]
    assert record_fields(Plan()) == [field for field in FIELDS if field.record]
    assert fallbacks(Plan()) == [field for field in FIELDS if field.fallback]


def test_text_that_clients_choose_comes_last_in_the_record() -> None:
    """A record that HAProxy cuts (``len``) should have lost these, not the trace."""
    names = [field.name for field in record_fields(Plan(captures=(Capture("q.x", "req.fhdr(x)"),)))]
    assert names[:2] == ["traceparent", "state"]
    assert names[-6:] == ["HQ", "q.x", *LONG_FIELDS]
    assert LONG_FIELDS == ("host", "user_agent", "ID", "tracestate")


def test_what_the_user_asked_for_is_where_it_belongs() -> None:
    plan = Plan(
        captures=(
            Capture("q.a-b", "req.fhdr(a-b)"),
            Capture("s.c", "req.fhdr(c)", "decision"),
            Capture("r.d", "res.fhdr(d)", "response"),
            Capture("x.e", "bytes_in", "end"),
        )
    )
    assert [field.name for field in arguments(plan)][-2:] == ["q.a-b", "s.c"]
    assert {field.name: field.record for field in record_fields(plan)}.items() >= {
        "q.a-b": "%[var(txn.otel.c0)]",
        "r.d": "%[var(txn.otel.c2)]",
        "x.e": "%[bytes_in]",
    }.items()
    assert "s.c" not in {field.name for field in record_fields(plan)}
    assert [(field.name, field.fallback) for field in fallbacks(plan)][-1] == ("q.a-b", "req.fhdr(a-b),bytes(0,512)")
    assert [(field.name, field.variable_name, field.fallback) for field in captured_at_response(plan)] == [
        ("r.d", "txn.otel.c2", "res.fhdr(d),bytes(0,512)")
    ]


def test_only_headers_that_are_shown_are_cut() -> None:
    """A sample may be a number; the header of a proxy in front is read from its end."""
    captures = (
        Capture("q.a", "req.fhdr(a)"),
        Capture("x.length", "req.fhdr(a),length"),
        Capture("x.a", "req.fhdr(a)"),
        Capture("x-forwarded-for", "req.fhdr(x-forwarded-for)"),
    )
    assert [field.fallback for field in fallbacks(Plan(captures=captures))][-4:] == [
        "req.fhdr(a),bytes(0,512)",
        "req.fhdr(a),length",
        "req.fhdr(a)",
        "req.fhdr(x-forwarded-for)",
    ]
    assert [field.condition for field in fallbacks(Plan(captures=captures))][-4:] == [
        *[""] * 3,
        "{ req.fhdr(x-forwarded-for) -m len 0:1024 }",
    ]


def test_profile_full_sends_the_time_and_the_token_of_the_events_before() -> None:
    names = {field.name for field in arguments(Plan(profile="Full"))} - {field.name for field in arguments(Plan())}
    assert names == {"session", "now"}
