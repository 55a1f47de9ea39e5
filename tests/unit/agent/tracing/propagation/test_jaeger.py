"""Jaeger's header, against its own text and against OpenTelemetry's propagator."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.jaeger import JaegerPropagator

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.propagation.jaeger import format_uber_trace_id, parse_uber_trace_id

TRACE = "0af7651916cd43dd8448eb211c80319c"
SPAN = "00f067aa0ba902b7"

TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any).map(TraceId)
SPAN_IDS = st.binary(min_size=8, max_size=8).filter(any).map(SpanId)
CONTEXTS = st.one_of(
    st.builds(SpanContext, TRACE_IDS, SPAN_IDS, st.integers(0, 1)),
    st.builds(SpanContext, TRACE_IDS, SPAN_IDS, st.just(1), debug=st.just(True)),
)
FIELDS = st.one_of(st.text("0123456789abcdefABCDEF", max_size=34), st.text("0", min_size=1, max_size=33), st.text(max_size=3))
HEADERS = st.one_of(
    st.lists(FIELDS, min_size=3, max_size=5).map(":".join),
    st.builds(
        "{:x}:{:x}:{:x}:{:x}".format, st.integers(0, 2**128), st.integers(0, 2**64), st.integers(0, 2**64), st.integers(0, 300)
    ),
)


def context(trace_id: str = TRACE, span_id: str = SPAN, flags: int = 1, *, debug: bool = False) -> SpanContext:
    return SpanContext(TraceId(bytes.fromhex(trace_id.zfill(32))), SpanId(bytes.fromhex(span_id.zfill(16))), flags, debug=debug)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"{TRACE}:{SPAN}:0:1", context()),
        (f"{TRACE}:{SPAN}:0:0", context(flags=0)),
        (f"{TRACE}:{SPAN}:0:01", context()),
        (f"{TRACE}:{SPAN}:{SPAN}:1", context()),
        (f"{TRACE}:{SPAN}::1", context()),
        (f"{TRACE.lstrip('0')}:{SPAN.lstrip('0')}:0:1", context()),
        ("7ab1:1:0:1", context("7ab1", "1")),
        (f"{TRACE}:{SPAN}:0:3", context(debug=True)),
        # Debug implies sampled.
        (f"{TRACE}:{SPAN}:0:2", context(debug=True)),
        # Bit 3, firehose, means nothing to us.
        (f"{TRACE}:{SPAN}:0:8", context(flags=0)),
        (f"{TRACE}:{SPAN}:0:9", context()),
        (f"{TRACE}%3A{SPAN}%3a0%3A1", context()),
        (f"{TRACE.upper()}:{SPAN.upper()}:0:1", context()),
        (f" {TRACE}:{SPAN}:0:1 ", context()),
    ],
)
def test_valid(header: str, expected: SpanContext) -> None:
    assert parse_uber_trace_id(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        ":::",
        pytest.param(f"0:{SPAN}:0:1", id="trace id zero"),
        pytest.param(f"{TRACE}:0:0:1", id="span id zero"),
        pytest.param(f"{TRACE}0:{SPAN}:0:1", id="trace id of 33 digits"),
        pytest.param(f"{TRACE}:{SPAN}0:0:1", id="span id of 17 digits"),
        pytest.param(f":{SPAN}:0:1", id="no trace id"),
        pytest.param(f"{TRACE}:{SPAN}:0", id="no flags"),
        pytest.param(f"{TRACE}:{SPAN}:0:", id="empty flags"),
        pytest.param(f"{TRACE}:{SPAN}:0:100", id="flags of three digits"),
        pytest.param(f"{TRACE}:{SPAN}:0:1:1", id="a field more"),
        pytest.param(f"{TRACE}:{SPAN}:x:1", id="parent is no number"),
        pytest.param(f"{TRACE}:{SPAN}:0:1\n", id="line feed"),
        pytest.param(f"{TRACE}:{SPAN}:0:1%0A", id="encoded line feed"),
    ],
)
def test_invalid(header: str) -> None:
    assert parse_uber_trace_id(header) is None


@given(context=CONTEXTS)
def test_round_trip(context: SpanContext) -> None:
    assert parse_uber_trace_id(format_uber_trace_id(context)) == context


def test_text() -> None:
    assert format_uber_trace_id(context(flags=3)) == f"{TRACE}:{SPAN}:0:1"
    assert format_uber_trace_id(context(flags=2)) == f"{TRACE}:{SPAN}:0:0"
    assert format_uber_trace_id(context(debug=True)) == f"{TRACE}:{SPAN}:0:3"


@given(header=st.one_of(HEADERS, st.text(max_size=60)))
def test_any_text_is_a_context_or_none(header: str) -> None:
    parsed = parse_uber_trace_id(header)
    assert parsed is None or (any(parsed.trace_id) and any(parsed.span_id))


def theirs(header: str) -> trace.SpanContext:
    return trace.get_current_span(JaegerPropagator().extract({"uber-trace-id": header}, Context())).get_span_context()


class TestAgainstOpenTelemetry:
    @given(header=st.one_of(HEADERS, CONTEXTS.map(format_uber_trace_id)))
    def test_reads_the_same(self, header: str) -> None:
        parsed, expected = parse_uber_trace_id(header), theirs(header)
        if parsed is None:
            # Theirs reads a number as Python does, with its signs, spaces and underscores, and of any length within an id's
            # range; it looks neither at the parent nor at the size of the flags.
            strict = re.fullmatch(r"[0-9a-fA-F]{1,32}:[0-9a-fA-F]{1,16}:[0-9a-fA-F]{0,16}:[0-9a-fA-F]{1,2}", header)
            assert not expected.is_valid or strict is None
            return
        assert expected.trace_id == int.from_bytes(parsed.trace_id, "big")
        assert expected.span_id == int.from_bytes(parsed.span_id, "big")
        # Theirs does not know debug.
        assert expected.trace_flags.sampled == parsed.sampled or parsed.debug

    def test_theirs_does_not_decode_colons(self) -> None:
        header = f"{TRACE}%3A{SPAN}%3A0%3A1"
        assert not theirs(header).is_valid
        assert parse_uber_trace_id(header) == context()

    @given(context=CONTEXTS)
    def test_is_understood_by_it(self, context: SpanContext) -> None:
        """Not the same text: theirs marks every sampled trace as debug, and pads the parent."""
        found = theirs(format_uber_trace_id(context))
        assert found.trace_id == int.from_bytes(context.trace_id, "big")
        assert found.span_id == int.from_bytes(context.span_id, "big")
        assert found.trace_flags.sampled == context.sampled

    def test_what_it_writes_for_a_sampled_trace_is_debug_to_us(self) -> None:
        span = trace.NonRecordingSpan(
            trace.SpanContext(int(TRACE, 16), int(SPAN, 16), is_remote=False, trace_flags=trace.TraceFlags(1))
        )
        carrier: dict[str, str] = {}
        JaegerPropagator().inject(carrier, trace.set_span_in_context(span, Context()))
        assert parse_uber_trace_id(carrier["uber-trace-id"]) == context(debug=True)
