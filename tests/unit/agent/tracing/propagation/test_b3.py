"""B3, single and multi, against its own text and against OpenTelemetry's propagators."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.b3 import B3MultiFormat, B3SingleFormat

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.propagation.b3 import B3Multi, denies_b3, format_b3, format_b3_multi, parse_b3, parse_b3_multi

TRACE = "463ac35c9f6413ad48485a3953bb6124"
SHORT_TRACE = "48485a3953bb6124"
SPAN = "a2fb4a1d1a96d312"
PARENT = "0020000000000001"

TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any).map(TraceId)
SPAN_IDS = st.binary(min_size=8, max_size=8).filter(any).map(SpanId)
CONTEXTS = st.one_of(
    st.builds(SpanContext, TRACE_IDS, SPAN_IDS, st.integers(0, 1)),
    st.builds(SpanContext, TRACE_IDS, SPAN_IDS, st.just(1), debug=st.just(True)),
    st.builds(SpanContext, TRACE_IDS, SPAN_IDS, st.just(0), deferred=st.just(True)),
)
HEX = st.text("0123456789abcdefABCDEF", min_size=16, max_size=16)
STATES = st.sampled_from(["0", "1", "d", "true", "True", "false", "False"])


def context(trace_id: str = TRACE, flags: int = 1, *, debug: bool = False, deferred: bool = False) -> SpanContext:
    return SpanContext(
        TraceId(bytes.fromhex(trace_id.zfill(32))), SpanId(bytes.fromhex(SPAN)), flags, debug=debug, deferred=deferred
    )


class TestSingle:
    @pytest.mark.parametrize(
        ("header", "expected"),
        [
            (f"{TRACE}-{SPAN}-1", context()),
            (f"{TRACE}-{SPAN}-0", context(flags=0)),
            (f"{TRACE}-{SPAN}-d", context(debug=True)),
            (f"{TRACE}-{SPAN}", context(flags=0, deferred=True)),
            (f"{TRACE}-{SPAN}-1-{PARENT}", context()),
            (f"{TRACE}-{SPAN}-true", context()),
            (f"{TRACE}-{SPAN}-False", context(flags=0)),
            (f"{SHORT_TRACE}-{SPAN}-1", context(SHORT_TRACE)),
            (f"{TRACE.upper()}-{SPAN.upper()}-1", context()),
            (f" {TRACE}-{SPAN}-1\t", context()),
        ],
    )
    def test_valid(self, header: str, expected: SpanContext) -> None:
        assert parse_b3(header) == expected

    @pytest.mark.parametrize(
        "header",
        [
            "",
            "0",
            "1",
            "d",
            pytest.param(f"{'0' * 32}-{SPAN}-1", id="trace id zero"),
            pytest.param(f"{'0' * 16}-{SPAN}-1", id="short trace id zero"),
            pytest.param(f"{TRACE}-{'0' * 16}-1", id="span id zero"),
            pytest.param(f"{TRACE[1:]}-{SPAN}-1", id="trace id of 31 digits"),
            pytest.param(f"{SHORT_TRACE[1:]}-{SPAN}-1", id="trace id of 15 digits"),
            pytest.param(f"{TRACE}-{SPAN[1:]}-1", id="span id of 15 digits"),
            pytest.param(f"{TRACE}-{SPAN}-2", id="no sampling state"),
            pytest.param(f"{TRACE}-{SPAN}-", id="empty sampling state"),
            pytest.param(f"{TRACE}-{SPAN}-1-", id="empty parent"),
            pytest.param(f"{TRACE}-{SPAN}-{PARENT}", id="parent in place of the sampling state"),
            pytest.param(f"{TRACE}-{SPAN}-1-{PARENT}-1", id="a field more"),
            pytest.param(f"{TRACE}-{SPAN}-1\n", id="line feed"),
            pytest.param(f"{TRACE[:-1]}\uff12-{SPAN}-1", id="full-width digit"),
        ],
    )
    def test_invalid(self, header: str) -> None:
        assert parse_b3(header) is None

    @given(context=CONTEXTS)
    def test_round_trip(self, context: SpanContext) -> None:
        assert parse_b3(format_b3(context)) == context

    def test_text(self) -> None:
        assert format_b3(context()) == f"{TRACE}-{SPAN}-1"
        # The random flag is W3C's.
        assert format_b3(context(flags=3)) == f"{TRACE}-{SPAN}-1"
        assert format_b3(context(flags=2)) == f"{TRACE}-{SPAN}-0"
        assert format_b3(context(debug=True)) == f"{TRACE}-{SPAN}-d"
        assert format_b3(context(flags=0, deferred=True)) == f"{TRACE}-{SPAN}"


class TestMulti:
    @pytest.mark.parametrize(
        ("headers", "expected"),
        [
            (B3Multi(TRACE, SPAN, "1"), context()),
            (B3Multi(TRACE, SPAN, "0"), context(flags=0)),
            (B3Multi(TRACE, SPAN, "true"), context()),
            (B3Multi(TRACE, SPAN), context(flags=0, deferred=True)),
            (B3Multi(TRACE, SPAN, ""), context(flags=0, deferred=True)),
            (B3Multi(TRACE, SPAN, None, "1"), context(debug=True)),
            (B3Multi(TRACE, SPAN, "0", "1"), context(debug=True)),
            (B3Multi(TRACE, SPAN, "1", "0"), context()),
            (B3Multi(SHORT_TRACE, SPAN, "1"), context(SHORT_TRACE)),
            (B3Multi(f" {TRACE} ", f"\t{SPAN}", " 1"), context()),
        ],
    )
    def test_valid(self, headers: B3Multi, expected: SpanContext) -> None:
        assert parse_b3_multi(headers) == expected

    @pytest.mark.parametrize(
        "headers",
        [
            B3Multi(),
            B3Multi(sampled="1"),
            B3Multi(TRACE, None, "1"),
            B3Multi(None, SPAN, "1"),
            B3Multi("0" * 32, SPAN, "1"),
            B3Multi(TRACE, "0" * 16, "1"),
            B3Multi(TRACE[1:], SPAN, "1"),
            B3Multi(TRACE, SPAN + "0", "1"),
            B3Multi(TRACE, SPAN, "yes"),
            B3Multi(TRACE, SPAN, "01", "1"),
        ],
    )
    def test_invalid(self, headers: B3Multi) -> None:
        assert parse_b3_multi(headers) is None

    @given(context=CONTEXTS)
    def test_round_trip(self, context: SpanContext) -> None:
        assert parse_b3_multi(format_b3_multi(context)) == context

    def test_debug_is_not_sent_as_sampled_too(self) -> None:
        assert format_b3_multi(context(debug=True)) == B3Multi(TRACE, SPAN, None, "1")


class TestDenial:
    @pytest.mark.parametrize(
        ("single", "multi"),
        [
            ("0", B3Multi()),
            (" 0 ", B3Multi()),
            ("false", B3Multi()),
            (None, B3Multi(sampled="0")),
            (None, B3Multi(sampled="False")),
        ],
    )
    def test_denies(self, single: str | None, multi: B3Multi) -> None:
        assert denies_b3(single, multi)

    @pytest.mark.parametrize(
        ("single", "multi"),
        [
            (None, B3Multi()),
            ("1", B3Multi()),
            ("d", B3Multi()),
            ("", B3Multi(sampled="0")),
            ("1", B3Multi(sampled="0")),
            ("garbage", B3Multi(sampled="0")),
            (None, B3Multi(sampled="1")),
            (None, B3Multi(sampled="no")),
            # Ids that are wrong are garbage, not a denial.
            (None, B3Multi(trace_id="x", sampled="0")),
        ],
    )
    def test_does_not_deny(self, single: str | None, multi: B3Multi) -> None:
        assert not denies_b3(single, multi)


@given(header=st.one_of(st.text(max_size=60), st.text("0123456789abcdefd-", max_size=70)))
def test_any_text_is_a_context_or_none(header: str) -> None:
    for parsed in (parse_b3(header), parse_b3_multi(B3Multi(header, header, header, header))):
        assert parsed is None or (any(parsed.trace_id) and any(parsed.span_id))
    denies_b3(header, B3Multi(sampled=header))


def theirs(carrier: dict[str, str]) -> tuple[bytes, bytes, bool] | None:
    found = trace.get_current_span(B3MultiFormat().extract(carrier, Context())).get_span_context()
    if not found.is_valid:
        return None
    return found.trace_id.to_bytes(16, "big"), found.span_id.to_bytes(8, "big"), found.trace_flags.sampled


def ours(parsed: SpanContext | None) -> tuple[bytes, bytes, bool] | None:
    return None if parsed is None else (parsed.trace_id, parsed.span_id, parsed.sampled)


SINGLE_HEADERS = st.builds("-".join, st.lists(st.one_of(HEX, HEX.map(lambda half: half + half), STATES), min_size=1, max_size=5))


class TestAgainstOpenTelemetry:
    @given(header=st.one_of(SINGLE_HEADERS, CONTEXTS.map(format_b3), st.text("0123456789abcdefd-", max_size=70)))
    def test_reads_the_same_from_one_header(self, header: str) -> None:
        parsed, expected = parse_b3(header), theirs({"b3": header})
        if parsed is not None and parsed.deferred:
            # Theirs takes a missing state as sampled; ours leaves it to the sampler.
            assert expected == (parsed.trace_id, parsed.span_id, True)
        elif parsed is None and expected is not None:
            # Theirs takes any sampling state (as not sampled) and any parent; ours nothing that B3 does not know.
            assert re.fullmatch(r"([^-]{16}|[^-]{32})-[^-]{16}-(0|1|d|true|True|false|False)(-[0-9a-fA-F]{16})?", header) is None
        else:
            assert ours(parsed) == expected

    @given(
        trace_id=st.one_of(HEX, HEX.map(lambda half: half + half), st.text("0abc", max_size=17)),
        span_id=st.one_of(HEX, st.text("0abc", max_size=17)),
        sampled=st.one_of(st.none(), STATES, st.just("2")),
        flags=st.one_of(st.none(), st.sampled_from(["0", "1", "d"])),
    )
    def test_reads_the_same_from_many(self, trace_id: str, span_id: str, sampled: str | None, flags: str | None) -> None:
        carrier = {
            f"x-b3-{name}": value
            for name, value in [("traceid", trace_id), ("spanid", span_id), ("sampled", sampled), ("flags", flags)]
            if value is not None
        }
        parsed, expected = parse_b3_multi(B3Multi(trace_id, span_id, sampled, flags)), theirs(carrier)
        if parsed is not None and parsed.deferred:
            # Here theirs takes a missing state as not sampled.
            assert expected == (parsed.trace_id, parsed.span_id, False)
        elif parsed is None and expected is not None:
            assert sampled == "2"
        else:
            assert ours(parsed) == expected

    @given(context=CONTEXTS.filter(lambda context: not context.debug and not context.deferred))
    def test_writes_the_same(self, context: SpanContext) -> None:
        span = trace.NonRecordingSpan(
            trace.SpanContext(
                int.from_bytes(context.trace_id, "big"),
                int.from_bytes(context.span_id, "big"),
                is_remote=True,
                trace_flags=trace.TraceFlags(context.flags),
            )
        )
        single: dict[str, str] = {}
        multi: dict[str, str] = {}
        B3SingleFormat().inject(single, trace.set_span_in_context(span, Context()))
        B3MultiFormat().inject(multi, trace.set_span_in_context(span, Context()))
        assert single == {"b3": format_b3(context)}
        headers = format_b3_multi(context)
        assert multi == {"x-b3-traceid": headers.trace_id, "x-b3-spanid": headers.span_id, "x-b3-sampled": headers.sampled}
