"""Exporters of the SDK's kind: its own encoder is the oracle of what they are given, ill-behaved ones are of our making."""

from collections.abc import Callable, Sequence
from importlib import metadata
from typing import Any

import pytest
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import ConsoleSpanExporter, SpanExporter, SpanExportResult

from haproxy_telemetry_agent import plugin_exporter
from haproxy_telemetry_agent.export import Verdict, encode_request, encode_resource, encode_scope, encode_span
from haproxy_telemetry_agent.plugin_exporter import PluginExporterError, PluginTransport, load_plugin_exporter, readable_spans
from haproxy_telemetry_agent.tracing import Span, SpanId, SpanKind, TraceId
from haproxy_telemetry_agent.tracing.span import Event, Link, SpanStatus

TRACE_ID, SPAN_ID, PARENT_ID = TraceId(bytes(range(1, 17))), SpanId(b"\xfe" * 8), SpanId(b"\x01" * 8)


def encode(spans: list[bytes]) -> bytes:
    resource = encode_resource({"service.name": "edge", "n": 1})
    return encode_request(resource, encode_scope("scope", "1"), "https://schema", spans)


SPANS = [
    Span(
        TRACE_ID,
        SPAN_ID,
        PARENT_ID,
        1,
        parent_is_remote=True,
        tracestate="ot=th:0,foreign=1",
        name="GET",
        kind=SpanKind.SERVER,
        start_unix_nano=2**60,
        end_unix_nano=2**60 + 1,
        attributes=[("text", "é"), ("int", -(2**53)), ("float", 0.5), ("bool", True), ("list", ["a", "b"])],
        status=SpanStatus.ERROR,
        status_message="why",
        links=[Link(TRACE_ID, PARENT_ID, 1, "a=b", True, [("x", 1)])],
        events=[Event(2**60, "event", [("y", "z")])],
    ),
    Span(TRACE_ID, PARENT_ID, None, 3, False, "", "root", SpanKind.CLIENT, 1, 2),
    Span(TRACE_ID, PARENT_ID, SPAN_ID, 0, False, "", "inner", SpanKind.INTERNAL, 1, 2),
]


def test_what_the_sdks_encoder_leaves_out_is_there() -> None:
    spans = readable_spans(encode([encode_span(span) for span in SPANS]))
    assert [span.context.trace_flags for span in spans if span.context] == [1, 3, 0]
    assert [span.parent.is_remote if span.parent else None for span in spans] == [True, None, False]
    (link,) = spans[0].links
    assert (link.context.trace_flags, link.context.trace_state.to_header()) == (1, "a=b")


def test_the_sdk_says_the_same_of_them() -> None:
    request = encode([encode_span(span) for span in SPANS])
    expected = ExportTraceServiceRequest.FromString(request)
    encoded = encode_spans(readable_spans(request))
    for ours, theirs in zip(
        expected.resource_spans[0].scope_spans[0].spans, encoded.resource_spans[0].scope_spans[0].spans, strict=True
    ):
        # The SDK's encoder leaves out the flags of trace context and a link's tracestate, and writes a status that says nothing.
        theirs.flags |= ours.flags
        for our_link, their_link in zip(ours.links, theirs.links, strict=True):
            their_link.flags |= our_link.flags
            their_link.trace_state = our_link.trace_state
        if not theirs.status.code:
            theirs.ClearField("status")
        assert ours == theirs
    assert expected.resource_spans[0].resource == encoded.resource_spans[0].resource
    assert expected.resource_spans[0].schema_url == encoded.resource_spans[0].schema_url
    assert expected.resource_spans[0].scope_spans[0].scope == encoded.resource_spans[0].scope_spans[0].scope


class Scripted(SpanExporter):
    """Does what it is told."""

    def __init__(self, answer: Callable[[], Any] = lambda: SpanExportResult.SUCCESS) -> None:
        self.answer = answer
        self.names: list[str] = []
        self.closed = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        self.names += [span.name for span in spans]
        result: SpanExportResult = self.answer()
        return result

    def shutdown(self) -> None:
        self.closed = True


def fail() -> None:
    raise RuntimeError("no such table")


@pytest.mark.parametrize(
    ("answer", "verdict", "code", "message"),
    [
        (lambda: SpanExportResult.SUCCESS, Verdict.DELIVERED, "success", ""),
        (lambda: SpanExportResult.FAILURE, Verdict.REJECTED, "failure", "the plug-in's own log says why"),
        (lambda: None, Verdict.REJECTED, "failure", "the plug-in's own log says why"),
        (fail, Verdict.REJECTED, "error", "RuntimeError: no such table"),
    ],
)
async def test_what_it_says_is_final(answer: Callable[[], Any], verdict: Verdict, code: str, message: str) -> None:
    exporter = Scripted(answer)
    transport = PluginTransport(exporter, encode=encode)
    result = await transport.send([encode_span(span) for span in SPANS])
    assert (result.verdict, result.code, result.message) == (verdict, code, message)
    assert exporter.names == ["GET", "root", "inner"]
    await transport.close()
    assert exporter.closed


async def test_one_that_fails_to_end_is_left_alone() -> None:
    exporter = Scripted()
    exporter.shutdown = fail  # type: ignore[method-assign]
    await PluginTransport(exporter, encode=encode).close()


class TestLoad:
    def test_one_that_is_installed(self) -> None:
        assert isinstance(load_plugin_exporter("console"), ConsoleSpanExporter)

    def test_one_that_is_not(self) -> None:
        with pytest.raises(PluginExporterError, match=r"^is not installed; installed are .*console"):
            load_plugin_exporter("zipkin")

    @pytest.mark.parametrize(
        ("value", "error"),
        [
            ("builtins:dict", "made dict, which is no span exporter of opentelemetry.sdk"),
            ("builtins:no_such", "can't be made: AttributeError: "),
            ("no_such_module:x", "can't be made: ModuleNotFoundError: "),
            ("operator:index", "can't be made: TypeError: "),
        ],
    )
    def test_one_that_is_none(self, monkeypatch: pytest.MonkeyPatch, value: str, error: str) -> None:
        group = "opentelemetry_traces_exporter"
        found = metadata.EntryPoints([metadata.EntryPoint("plugin", value, group)])
        monkeypatch.setattr(plugin_exporter, "entry_points", found.select)
        with pytest.raises(PluginExporterError) as raised:
            load_plugin_exporter("plugin")
        assert str(raised.value).startswith(error)
