"""Exporters of the SDK's kind, found by entry point: the slow path, for destinations that speak no OTLP.

What waits in the queue is bytes, so a batch is decoded by protobuf's classes and made into the SDK's objects, in a thread. The
plug-in has retries and timeouts of its own: what it says is final.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from importlib.metadata import entry_points

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import Span
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, TraceFlags, TraceState
from opentelemetry.trace.status import Status, StatusCode
from opentelemetry.util.types import AttributeValue

from .export import Result, Verdict
from .export.daemon_thread import run_in_daemon_thread
from .export.response import shorten_message

__all__ = ["PluginExporterError", "PluginTransport", "load_plugin_exporter", "readable_spans"]

_ENTRY_POINT_GROUP = "opentelemetry_traces_exporter"
_CLOSE_SECONDS = 1.0
_TRACE_FLAGS, _IS_REMOTE = 0xFF, 0x200


class PluginExporterError(Exception):
    """A plug-in can't be used, for this reason."""


class PluginTransport:
    """Hands batches to an exporter of the SDK's kind.

    Args:
        exporter: the plug-in.
        encode: makes a request of spans.
    """

    def __init__(self, exporter: SpanExporter, *, encode: Callable[[list[bytes]], bytes]) -> None:
        self._exporter = exporter
        self._encode = encode

    async def send(self, spans: list[bytes]) -> Result:
        """See ``Transport``; it takes as long as the plug-in does."""
        request = self._encode(spans)
        try:
            result = await run_in_daemon_thread(lambda: self._exporter.export(readable_spans(request)))
        except Exception as error:  # noqa: BLE001 - whatever a plug-in raises costs its batch
            return Result(Verdict.REJECTED, "error", shorten_message(f"{type(error).__name__}: {error}"))
        if result is SpanExportResult.SUCCESS:
            return Result(Verdict.DELIVERED, "success")
        return Result(Verdict.REJECTED, "failure", "the plug-in's own log says why")

    async def close(self) -> None:
        """See ``Transport``; a plug-in that does not end is left alone."""
        with contextlib.suppress(Exception):
            async with asyncio.timeout(_CLOSE_SECONDS):
                await run_in_daemon_thread(self._exporter.shutdown)


def load_plugin_exporter(name: str) -> SpanExporter:
    """The exporter of an entry point's name.

    Raises:
        PluginExporterError: there is none, it can't be made, or it is no exporter.
    """
    found = entry_points(group=_ENTRY_POINT_GROUP)
    if name not in found.names:
        raise PluginExporterError(f"is not installed; installed are {', '.join(sorted(found.names)) or 'none'}")
    try:
        exporter = found[name].load()()
    except Exception as error:
        raise PluginExporterError(f"can't be made: {type(error).__name__}: {error}") from error
    if not isinstance(exporter, SpanExporter):
        raise PluginExporterError(f"made {type(exporter).__name__}, which is no span exporter of opentelemetry.sdk")
    return exporter


def readable_spans(request: bytes) -> list[ReadableSpan]:
    """The spans of an ``ExportTraceServiceRequest`` as the SDK has them."""
    spans = []
    for of_resource in ExportTraceServiceRequest.FromString(request).resource_spans:
        resource = Resource(_attributes(of_resource.resource.attributes), of_resource.schema_url)
        for of_scope in of_resource.scope_spans:
            scope = InstrumentationScope(of_scope.scope.name, of_scope.scope.version, of_scope.schema_url)
            spans.extend([_readable_span(span, resource, scope) for span in of_scope.spans])
    return spans


def _readable_span(span: Span, resource: Resource, scope: InstrumentationScope) -> ReadableSpan:
    parent = None
    if span.parent_span_id:
        parent = _context(span.trace_id, span.parent_span_id, span.flags, span.trace_state, is_remote=bool(span.flags & _IS_REMOTE))
    return ReadableSpan(
        span.name,
        context=_context(span.trace_id, span.span_id, span.flags, span.trace_state, is_remote=False),
        parent=parent,
        resource=resource,
        attributes=_attributes(span.attributes),
        events=[Event(event.name, _attributes(event.attributes), event.time_unix_nano) for event in span.events],
        links=[
            Link(
                _context(link.trace_id, link.span_id, link.flags, link.trace_state, is_remote=bool(link.flags & _IS_REMOTE)),
                _attributes(link.attributes),
            )
            for link in span.links
        ],
        # OTLP counts from 1, the SDK from 0.
        kind=SpanKind(max(span.kind - 1, 0)),
        status=Status(StatusCode(span.status.code), span.status.message or None),
        start_time=span.start_time_unix_nano,
        end_time=span.end_time_unix_nano,
        instrumentation_scope=scope,
    )


def _context(trace_id: bytes, span_id: bytes, flags: int, tracestate: str, *, is_remote: bool) -> SpanContext:
    return SpanContext(
        int.from_bytes(trace_id, "big"),
        int.from_bytes(span_id, "big"),
        is_remote,
        TraceFlags(flags & _TRACE_FLAGS),
        TraceState.from_header([tracestate]) if tracestate else None,
    )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, AttributeValue]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> AttributeValue:
    """The kinds that our encoder writes."""
    kind = value.WhichOneof("value")
    if kind == "array_value":
        return [item.string_value for item in value.array_value.values]
    return getattr(value, kind) if kind else ""
