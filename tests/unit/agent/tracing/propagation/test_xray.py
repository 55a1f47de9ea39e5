"""X-Ray's header, against its own text and against OpenTelemetry's propagator."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.propagators.aws import AwsXRayPropagator

from haproxy_telemetry_agent.tracing.context import SpanContext, SpanId, TraceId
from haproxy_telemetry_agent.tracing.propagation.xray import format_xray, parse_xray

ROOT = "1-5759e988-bd862e3fe1be46a994272793"
TRACE = "5759e988bd862e3fe1be46a994272793"
SPAN = "53995c3f42cd8ad8"

TRACE_IDS = st.binary(min_size=16, max_size=16).filter(any).map(TraceId)
SPAN_IDS = st.binary(min_size=8, max_size=8).filter(any).map(SpanId)
CONTEXTS = st.one_of(
    st.builds(SpanContext, TRACE_IDS, SPAN_IDS, st.integers(0, 1)),
    st.builds(SpanContext, TRACE_IDS, SPAN_IDS, st.just(0), deferred=st.just(True)),
)


def context(flags: int = 1, *, deferred: bool = False) -> SpanContext:
    return SpanContext(TraceId(bytes.fromhex(TRACE)), SpanId(bytes.fromhex(SPAN)), flags, deferred=deferred)


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (f"Root={ROOT};Parent={SPAN};Sampled=1", context()),
        (f"Root={ROOT};Parent={SPAN};Sampled=0", context(0)),
        (f"Root={ROOT};Parent={SPAN};Sampled=?", context(0, deferred=True)),
        (f"Root={ROOT};Parent={SPAN}", context(0, deferred=True)),
        (f"Sampled=1;Parent={SPAN};Root={ROOT}", context()),
        (f" Root = {ROOT} ;\tParent={SPAN}; Sampled=1 ", context()),
        (f"Self=1-67891234-12456789abcdef012345678;Root={ROOT};Parent={SPAN};Sampled=1", context()),
        (f"Root={ROOT};Parent={SPAN};Sampled=1;Lineage=a87bd80c:1|68fd508a:5|c512fbe3:2", context()),
        (f"Root={ROOT};Parent={SPAN};Sampled=1;", context()),
        (f"Root={ROOT.upper()};Parent={SPAN.upper()};Sampled=1", context()),
    ],
)
def test_valid(header: str, expected: SpanContext) -> None:
    assert parse_xray(header) == expected


@pytest.mark.parametrize(
    "header",
    [
        "",
        ";=;",
        pytest.param(f"Root={ROOT}", id="a load balancer's, without a parent"),
        pytest.param(f"Parent={SPAN};Sampled=1", id="no root"),
        pytest.param(f"Root=2-{ROOT[2:]};Parent={SPAN};Sampled=1", id="another version"),
        pytest.param(f"Root={ROOT.replace('-', '')};Parent={SPAN};Sampled=1", id="no dashes"),
        pytest.param(f"Root={ROOT}0;Parent={SPAN};Sampled=1", id="root too long"),
        pytest.param(f"Root={ROOT};Parent={SPAN[1:]};Sampled=1", id="parent too short"),
        pytest.param(f"Root=1-{'0' * 8}-{'0' * 24};Parent={SPAN};Sampled=1", id="root zero"),
        pytest.param(f"Root={ROOT};Parent={'0' * 16};Sampled=1", id="parent zero"),
        pytest.param(f"Root={ROOT};Parent={SPAN};Sampled=2", id="no sampling state"),
        pytest.param(f"Root={ROOT};Parent={SPAN};Sampled=", id="empty sampling state"),
        pytest.param(f"Root={ROOT};Parent={SPAN};Sampled=1\n", id="line feed"),
        pytest.param(f"root={ROOT};parent={SPAN};sampled=1", id="keys in lower case"),
        pytest.param(f"Root={ROOT};Parent={SPAN};Sampled=1;x={'y' * 1024}", id="longer than any"),
    ],
)
def test_invalid(header: str) -> None:
    assert parse_xray(header) is None


@given(context=CONTEXTS)
def test_round_trip(context: SpanContext) -> None:
    assert parse_xray(format_xray(context)) == context


def test_text() -> None:
    assert format_xray(context(3)) == f"Root={ROOT};Parent={SPAN};Sampled=1"
    assert format_xray(context(2)) == f"Root={ROOT};Parent={SPAN};Sampled=0"
    assert format_xray(context(0, deferred=True)) == f"Root={ROOT};Parent={SPAN};Sampled=?"


@given(header=st.one_of(st.text(max_size=60), st.text("RotPaens=;1-0", max_size=60)))
def test_any_text_is_a_context_or_none(header: str) -> None:
    parsed = parse_xray(header)
    assert parsed is None or (any(parsed.trace_id) and any(parsed.span_id))


def theirs(header: str) -> trace.SpanContext:
    carrier = {"X-Amzn-Trace-Id": header}
    return trace.get_current_span(AwsXRayPropagator().extract(carrier, Context())).get_span_context()


PARTS = st.one_of(
    st.sampled_from([f"Root={ROOT}", f"Parent={SPAN}", "Sampled=1", "Sampled=0", "Sampled=?", "Sampled=2", "Self=1-2", ""]),
    st.builds("Root=1-{}-{}".format, st.text("0123456789abcDEF_", min_size=8, max_size=8), st.text("0f", min_size=24, max_size=24)),
    st.builds("Parent={}".format, st.text("0123456789abcDEF_", min_size=15, max_size=16)),
    st.text("=x ", max_size=4),
)


class TestAgainstOpenTelemetry:
    @given(
        header=st.one_of(
            st.lists(PARTS, max_size=6, unique_by=lambda part: part.partition("=")[0]).map(";".join), CONTEXTS.map(format_xray)
        )
    )
    def test_reads_the_same(self, header: str) -> None:
        parsed, expected = parse_xray(header), theirs(header)
        if parsed is None:
            # Theirs reads a number as Python does, underscores and all.
            assert not expected.is_valid or "_" in header
        elif not expected.is_valid:
            # Theirs does not know Sampled=?, and wants every part to be a pair, even of keys it does not know.
            assert "Sampled=?" in header or any(part.count("=") != 1 for part in header.split(";"))
        else:
            assert expected.trace_id == int.from_bytes(parsed.trace_id, "big")
            assert expected.span_id == int.from_bytes(parsed.span_id, "big")
            # Theirs takes a missing state as not sampled; ours leaves it to the sampler, with the same flag until then.
            assert expected.trace_flags.sampled == parsed.sampled
            assert parsed.deferred == (re.search(r"Sampled=[01]", header) is None)

    @given(context=CONTEXTS.filter(lambda context: not context.deferred))
    def test_writes_the_same(self, context: SpanContext) -> None:
        span = trace.NonRecordingSpan(
            trace.SpanContext(
                int.from_bytes(context.trace_id, "big"),
                int.from_bytes(context.span_id, "big"),
                is_remote=True,
                trace_flags=trace.TraceFlags(context.flags),
            )
        )
        carrier: dict[str, str] = {}
        AwsXRayPropagator().inject(carrier, trace.set_span_in_context(span, Context()))
        assert carrier == {"X-Amzn-Trace-Id": format_xray(context)}
