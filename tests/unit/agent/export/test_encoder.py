"""OTLP bytes: decoded with OpenTelemetry's own classes, and compared with the SDK's own encoder."""

import struct
from typing import ClassVar

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
from opentelemetry.proto.resource.v1.resource_pb2 import Resource
from opentelemetry.proto.trace.v1.trace_pb2 import Span as OtlpSpan
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.trace import Event as SdkEvent
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope as SdkScope
from opentelemetry.trace import Link as SdkLink
from opentelemetry.trace import SpanContext as SdkSpanContext
from opentelemetry.trace import SpanKind as SdkSpanKind
from opentelemetry.trace import Status, StatusCode, TraceFlags, TraceState

from haproxy_telemetry_agent.export import protobuf as protobuf_module
from haproxy_telemetry_agent.export.encoder import encode_request, encode_resource, encode_scope, encode_span
from haproxy_telemetry_agent.tracing.context import SpanId, TraceId
from haproxy_telemetry_agent.tracing.span import Attribute, Attributes, Event, Link, Span, SpanKind, SpanStatus

UINT64 = st.integers(0, 2**64 - 1)
# Lengths around the limits of one byte, and of two.
TEXT = st.one_of(st.text(max_size=10), st.sampled_from([124, 125, 126, 127, 128, 16_384]).map("x".__mul__))
VALUES: st.SearchStrategy[Attribute] = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.lists(st.text(max_size=5), max_size=3)
)
ATTRIBUTES: st.SearchStrategy[Attributes] = st.dictionaries(st.text(min_size=1, max_size=12), VALUES, max_size=6).map(
    lambda attributes: [*attributes.items()]
)
TRACESTATES = st.sampled_from(["", "a=1", "ot=th:c,rojo=1"])
SPAN_IDS = st.binary(min_size=8, max_size=8).filter(any).map(SpanId)
SPANS = st.builds(
    Span,
    trace_id=st.binary(min_size=16, max_size=16).filter(any).map(TraceId),
    span_id=SPAN_IDS,
    parent_span_id=st.one_of(st.none(), SPAN_IDS),
    flags=st.integers(0, 3),
    parent_is_remote=st.booleans(),
    tracestate=TRACESTATES,
    name=TEXT,
    kind=st.sampled_from(SpanKind),
    start_unix_nano=UINT64,
    end_unix_nano=UINT64,
    attributes=ATTRIBUTES,
    status=st.sampled_from(SpanStatus),
    status_message=TEXT,
    links=st.lists(
        st.builds(
            Link,
            trace_id=st.binary(min_size=16, max_size=16).filter(any).map(TraceId),
            span_id=SPAN_IDS,
            flags=st.integers(0, 3),
            tracestate=TRACESTATES,
            is_remote=st.booleans(),
            attributes=ATTRIBUTES,
        ),
        max_size=2,
    ),
    events=st.lists(st.builds(Event, time_unix_nano=UINT64, name=TEXT, attributes=ATTRIBUTES), max_size=2),
    dropped_attributes_count=st.integers(0, 2**32 - 1),
    dropped_events_count=st.integers(0, 2**32 - 1),
    dropped_links_count=st.integers(0, 2**32 - 1),
)

HAS_IS_REMOTE, IS_REMOTE = 0x100, 0x200
A_SPAN = Span(TraceId(b"\x01" * 16), SpanId(b"\x02" * 8), None, 1, False, "", "GET", SpanKind.SERVER, 1, 2)


def any_value(value: Attribute) -> AnyValue:
    """The value as OpenTelemetry's own classes have it."""
    if isinstance(value, bool):
        return AnyValue(bool_value=value)
    if isinstance(value, str):
        return AnyValue(string_value=value)
    if isinstance(value, int):
        return AnyValue(int_value=value)
    if isinstance(value, float):
        return AnyValue(double_value=value)
    array = AnyValue()
    array.array_value.SetInParent()
    array.array_value.values.extend(any_value(item) for item in value)
    return array


def key_values(attributes: Attributes) -> list[KeyValue]:
    return [KeyValue(key=key, value=any_value(value)) for key, value in attributes]


class TestSpan:
    @given(span=SPANS)
    def test_every_field(self, span: Span) -> None:
        decoded = OtlpSpan.FromString(encode_span(span))
        assert decoded.trace_id == span.trace_id
        assert decoded.span_id == span.span_id
        assert decoded.parent_span_id == (span.parent_span_id or b"")
        assert decoded.trace_state == span.tracestate
        assert decoded.name == span.name
        assert decoded.kind == span.kind
        assert decoded.start_time_unix_nano == span.start_unix_nano
        assert decoded.end_time_unix_nano == span.end_unix_nano
        assert [*decoded.attributes] == key_values(span.attributes)
        assert decoded.status.code == span.status
        assert decoded.status.message == ("" if span.status is SpanStatus.UNSET else span.status_message)
        assert decoded.flags == span.flags | HAS_IS_REMOTE | (IS_REMOTE if span.parent_is_remote else 0)
        assert decoded.dropped_attributes_count == span.dropped_attributes_count
        assert decoded.dropped_events_count == span.dropped_events_count
        assert decoded.dropped_links_count == span.dropped_links_count
        assert [(event.time_unix_nano, event.name, [*event.attributes]) for event in decoded.events] == [
            (event.time_unix_nano, event.name, key_values(event.attributes)) for event in span.events
        ]
        assert [(link.trace_id, link.span_id, link.flags, link.trace_state, [*link.attributes]) for link in decoded.links] == [
            (
                link.trace_id,
                link.span_id,
                link.flags | HAS_IS_REMOTE | (IS_REMOTE if link.is_remote else 0),
                link.tracestate,
                key_values(link.attributes),
            )
            for link in span.links
        ]

    @given(span=SPANS)
    def test_nothing_else_and_in_the_canonical_order(self, span: Span) -> None:
        """Decoding and encoding again gives the same bytes, but for the defaults that protobuf leaves out and we write."""
        encoded = encode_span(span)
        decoded = OtlpSpan.FromString(encoded)
        assert decoded.ByteSize() <= len(encoded)
        assert OtlpSpan.FromString(decoded.SerializeToString()) == decoded

    @pytest.mark.parametrize(
        ("ours", "theirs"), [(SpanKind.INTERNAL, "INTERNAL"), (SpanKind.SERVER, "SERVER"), (SpanKind.CLIENT, "CLIENT")]
    )
    def test_kinds_are_otlps_numbers(self, ours: SpanKind, theirs: str) -> None:
        assert OtlpSpan.SpanKind.Name(ours) == f"SPAN_KIND_{theirs}"

    @pytest.mark.parametrize(
        ("text", "kept"), [("\ud800", "?"), ("a\udcffb", "a?b"), ("\x00", "\x00"), ("\U0001f600", "\U0001f600")]
    )
    def test_text_that_is_no_unicode_does_not_stop_a_span(self, text: str, kept: str) -> None:
        span = Span(*(getattr(A_SPAN, name) for name in Span.__struct_fields__))
        span.name = text
        span.attributes = [("plain", text), ("list", [text])]
        decoded = OtlpSpan.FromString(encode_span(span))
        assert decoded.name == kept
        assert [*decoded.attributes] == key_values([("plain", kept), ("list", [kept])])

    @pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), -0.0, 5e-324])
    def test_doubles_are_exact(self, value: float) -> None:
        span = Span(*(getattr(A_SPAN, name) for name in Span.__struct_fields__))
        span.attributes = [("double", value)]
        (attribute,) = OtlpSpan.FromString(encode_span(span)).attributes
        assert struct.pack("<d", attribute.value.double_value) == struct.pack("<d", value)

    def test_values_of_derived_types(self) -> None:
        """Enumerations and the like are numbers and texts too, but not by their exact type."""
        span = Span(*(getattr(A_SPAN, name) for name in Span.__struct_fields__))
        span.attributes = [
            ("number", SpanKind.CLIENT),
            ("text", type("Text", (str,), {})("x")),
            ("double", type("Double", (float,), {})(0.5)),
        ]
        assert [*OtlpSpan.FromString(encode_span(span)).attributes] == key_values([("number", 3), ("text", "x"), ("double", 0.5)])

    def test_only_so_many_keys_are_remembered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        remembered: dict[str, bytes] = {}
        monkeypatch.setattr(protobuf_module, "_KEYS", remembered)
        span = Span(*(getattr(A_SPAN, name) for name in Span.__struct_fields__))
        span.attributes = [(f"key{number}", number) for number in range(3000)]
        assert [*OtlpSpan.FromString(encode_span(span)).attributes] == key_values(span.attributes)
        assert 0 < len(remembered) < 3000


class TestAgainstTheSdk:
    """The request is the one that the SDK's encoder makes of the same spans, but for three things.

    * Links: the SDK writes no tracestate of theirs, and only the two bits about remoteness into their flags.
    * Flags: the SDK writes only the two bits about the parent; ours has the trace flags in the low byte as well, where
      ``trace.proto`` has their place.
    * Status: the SDK writes an empty Status for UNSET, ours none; both mean the same to whoever reads them.
    """

    RESOURCE: ClassVar[dict[str, Attribute]] = {
        "service.name": "haproxy",
        "number": 7,
        "ratio": 0.5,
        "yes": True,
        "list": ["a", "b"],
    }
    SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
    SCOPE = ("haproxy-telemetry-agent", "0.1.0")

    def sdk_span(self, span: Span) -> ReadableSpan:
        trace_id = int.from_bytes(span.trace_id, "big")
        parent = None
        if span.parent_span_id is not None:
            parent = SdkSpanContext(trace_id, int.from_bytes(span.parent_span_id, "big"), is_remote=span.parent_is_remote)
        context = SdkSpanContext(
            trace_id,
            int.from_bytes(span.span_id, "big"),
            is_remote=False,
            trace_flags=TraceFlags(span.flags),
            trace_state=TraceState.from_header([span.tracestate]),
        )
        return ReadableSpan(
            span.name,
            context,
            parent,
            SdkResource(self.RESOURCE, self.SCHEMA_URL),
            attributes=dict(span.attributes),
            kind={
                SpanKind.INTERNAL: SdkSpanKind.INTERNAL,
                SpanKind.SERVER: SdkSpanKind.SERVER,
                SpanKind.CLIENT: SdkSpanKind.CLIENT,
            }[span.kind],
            status=Status(StatusCode(span.status.value), span.status_message if span.status is SpanStatus.ERROR else None),
            links=[
                SdkLink(
                    SdkSpanContext(
                        int.from_bytes(link.trace_id, "big"),
                        int.from_bytes(link.span_id, "big"),
                        is_remote=link.is_remote,
                        trace_state=TraceState.from_header([link.tracestate]),
                    ),
                    dict(link.attributes),
                )
                for link in span.links
            ],
            events=[SdkEvent(event.name, dict(event.attributes), event.time_unix_nano) for event in span.events],
            start_time=span.start_unix_nano,
            end_time=span.end_unix_nano,
            instrumentation_scope=SdkScope(*self.SCOPE, self.SCHEMA_URL),
        )

    @given(spans=st.lists(SPANS, min_size=1, max_size=3))
    @example(spans=[A_SPAN])
    def test_request(self, spans: list[Span]) -> None:
        for span in spans:
            # Only an error has a message, and only a parent can be remote: the SDK drops what else is said.
            span.status_message = span.status_message if span.status is SpanStatus.ERROR else ""
            span.parent_is_remote = span.parent_is_remote and span.parent_span_id is not None
            # The SDK counts what it drops itself.
            span.dropped_attributes_count = span.dropped_events_count = span.dropped_links_count = 0
        expected = encode_spans([self.sdk_span(span) for span in spans])
        for ours, theirs in zip(spans, expected.resource_spans[0].scope_spans[0].spans, strict=True):
            theirs.flags |= ours.flags
            for our_link, their_link in zip(ours.links, theirs.links, strict=True):
                their_link.flags |= our_link.flags
                their_link.trace_state = our_link.tracestate
            if ours.status is SpanStatus.UNSET:
                theirs.ClearField("status")

        encoded = encode_request(
            encode_resource(self.RESOURCE), encode_scope(*self.SCOPE), self.SCHEMA_URL, [encode_span(span) for span in spans]
        )

        assert ExportTraceServiceRequest.FromString(encoded) == expected


class TestRequest:
    @given(attributes=ATTRIBUTES)
    def test_resource(self, attributes: Attributes) -> None:
        assert Resource.FromString(encode_resource(dict(attributes))) == Resource(attributes=key_values(attributes))

    @given(name=TEXT, version=TEXT)
    def test_scope(self, name: str, version: str) -> None:
        assert InstrumentationScope.FromString(encode_scope(name, version)) == InstrumentationScope(name=name, version=version)

    @pytest.mark.parametrize("count", [0, 1, 500])
    def test_spans_stay_in_their_order(self, count: int) -> None:
        spans = [OtlpSpan(name=f"span {number}").SerializeToString() for number in range(count)]
        request = ExportTraceServiceRequest.FromString(encode_request(b"", b"", "url", spans))
        (resource_spans,) = request.resource_spans
        (scope_spans,) = resource_spans.scope_spans
        assert [span.name for span in scope_spans.spans] == [f"span {number}" for number in range(count)]
        assert resource_spans.schema_url == scope_spans.schema_url == "url"
