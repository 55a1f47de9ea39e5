"""An OTLP sink takes what an exporter sends and remembers it, flat and ready to compare: a collector's stand-in.

It speaks OTLP over HTTP with protobuf, as of `POST /v1/traces`, and of `POST /v1/logs`. By a script it can first answer as a
collector in trouble does, or hold every request without an answer.
"""

import asyncio
import ssl
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from aiohttp import web
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest, ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest, ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest, ExportTraceServiceResponse
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import SeverityNumber
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span, Status

from support.ports import ADDRESS

__all__ = ["Answer", "AttributeValue", "OtlpSink", "SinkEvent", "SinkLink", "SinkLogRecord", "SinkSpan"]

AttributeValue = str | bool | int | float | bytes | list["AttributeValue"] | dict[str, "AttributeValue"] | None

_LARGEST_REQUEST_BYTES = 64 << 20  # what the specification allows a receiver to refuse beyond


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkLink:
    """A span's link to another span."""

    trace_id: str
    span_id: str
    trace_state: str
    attributes: dict[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkEvent:
    """Something that happened during a span."""

    name: str
    time_unix_nano: int
    attributes: dict[str, AttributeValue]


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkSpan:
    """A span as it arrived, with its scope and its resource."""

    trace_id: str
    span_id: str
    parent_span_id: str
    """Empty for a root span."""
    name: str
    kind: str
    """As SERVER, CLIENT, INTERNAL."""
    start_unix_nano: int
    end_unix_nano: int
    attributes: dict[str, AttributeValue]
    status_code: str
    """UNSET, OK or ERROR."""
    status_message: str
    trace_state: str
    flags: int
    links: tuple[SinkLink, ...]
    events: tuple[SinkEvent, ...]
    resource: dict[str, AttributeValue]
    scope_name: str
    scope_version: str
    schema_url: str
    dropped_attributes_count: int = 0
    dropped_links_count: int = 0

    @property
    def service(self) -> str:
        """The resource's `service.name`."""
        return str(self.resource.get("service.name", ""))

    @property
    def seconds(self) -> float:
        """How long the span took."""
        return (self.end_unix_nano - self.start_unix_nano) / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class SinkLogRecord:
    """A log record as it arrived, with its scope and its resource."""

    trace_id: str
    """Empty if it is of no trace."""
    span_id: str
    flags: int
    time_unix_nano: int
    observed_unix_nano: int
    severity: str
    """As INFO, ERROR."""
    severity_text: str
    body: AttributeValue
    event_name: str
    attributes: dict[str, AttributeValue]
    dropped_attributes_count: int
    resource: dict[str, AttributeValue]
    scope_name: str
    scope_version: str
    schema_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that the sink gives instead of its usual one; the spans of a request that is refused are not kept."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


class OtlpSink:
    """A running receiver: `async with OtlpSink() as sink`, and `sink.endpoint` for the exporter."""

    def __init__(self, *, port: int = 0, tls: ssl.SSLContext | None = None, unix_path: Path | None = None) -> None:
        """Port 0 takes any; a sink that comes back after an outage is given the port it had. With a path there is no port."""
        self.port = port
        self.unix_path = unix_path
        self.spans: list[SinkSpan] = []
        """All spans of accepted requests, in the order of their arrival."""
        self.metrics: list[ExportMetricsServiceRequest] = []
        """What came as metrics, as it came; its requests are not among the others."""
        self.logs: list[SinkLogRecord] = []
        """All log records of accepted requests, in the order of their arrival."""
        self.log_request_headers: list[Mapping[str, str]] = []
        """The headers of every request with log records, accepted or not; they are not among the others."""
        self.log_answers: deque[Answer] = deque()
        """Given to log records one by one before the sink begins to accept them."""
        self.request_headers: list[Mapping[str, str]] = []
        """The headers of every request, accepted or not; names in any case."""
        self.answers: deque[Answer] = deque()
        """Given one by one before the sink begins to accept."""
        self._tls = tls
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    @property
    def endpoint(self) -> str:
        """The base URL, without the signal's path."""
        if self.unix_path is not None:
            return f"unix:{self.unix_path}"
        return f"{'https' if self._tls else 'http'}://{ADDRESS}:{self.port}"

    @property
    def request_count(self) -> int:
        """How many requests have come in, accepted or not."""
        return len(self.request_headers)

    @property
    def hang(self) -> bool:
        """Whether requests are held without an answer; those whose exporter still waits go on when it ends."""
        return not self._flowing.is_set()

    @hang.setter
    def hang(self, hanging: bool) -> None:
        if hanging:
            self._flowing.clear()
        else:
            self._flowing.set()

    async def start(self) -> None:
        """Listens."""
        application = web.Application(client_max_size=_LARGEST_REQUEST_BYTES)
        application.router.add_post("/v1/traces", self._take)
        application.router.add_post("/v1/metrics", self._take_metrics)
        application.router.add_post("/v1/logs", self._take_logs)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        if self.unix_path is not None:
            await web.UnixSite(self._runner, self.unix_path).start()
            return
        site = web.TCPSite(self._runner, ADDRESS, self.port, ssl_context=self._tls)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Closes every connection and listens no more."""
        assert self._runner is not None, "the sink was not started"
        await self._runner.cleanup()

    async def _take(self, request: web.Request) -> web.Response:
        body = await request.read()  # aiohttp has undone a gzip by now
        await self._note(lambda: self.request_headers.append(request.headers.copy()))
        await self._flowing.wait()
        if request.transport is None:  # held for so long that the exporter has given up; it will come again
            return web.Response(status=503)
        answer = self.answers.popleft() if self.answers else Answer(status=200, body=_ACCEPTED)
        if answer.status == 200:
            await self._accept(body)
        headers = {"Content-Type": "application/x-protobuf", **answer.headers}
        return web.Response(status=answer.status, headers=headers, body=answer.body)

    async def _take_metrics(self, request: web.Request) -> web.Response:
        metrics = ExportMetricsServiceRequest.FromString(await request.read())
        await self._note(lambda: self.metrics.append(metrics))
        body = ExportMetricsServiceResponse().SerializeToString()
        return web.Response(headers={"Content-Type": "application/x-protobuf"}, body=body)

    async def _take_logs(self, request: web.Request) -> web.Response:
        body = await request.read()
        await self._note(lambda: self.log_request_headers.append(request.headers.copy()))
        await self._flowing.wait()
        if request.transport is None:  # as with spans
            return web.Response(status=503)
        answer = self.log_answers.popleft() if self.log_answers else Answer(status=200, body=_LOGS_ACCEPTED)
        if answer.status == 200:
            await self._accept_logs(body)
        headers = {"Content-Type": "application/x-protobuf", **answer.headers}
        return web.Response(status=answer.status, headers=headers, body=answer.body)

    async def wait_for_logs(
        self, predicate: Callable[[list[SinkLogRecord]], bool], timeout_seconds: float = 10.0
    ) -> list[SinkLogRecord]:
        """All log records, as soon as the predicate holds for them; TimeoutError says which there were instead."""
        try:
            async with asyncio.timeout(timeout_seconds), self._changed:
                await self._changed.wait_for(lambda: predicate(self.logs))
        except TimeoutError:
            latest = [record.body for record in self.logs[-10:]]
            raise TimeoutError(
                f"not the expected log records within {timeout_seconds:g} s; of {len(self.logs)}, {latest} last"
            ) from None
        return list(self.logs)

    async def wait_for_metrics(self, predicate: Callable[[list[ExportMetricsServiceRequest]], bool]) -> None:
        """Comes back when the predicate holds for the metrics."""
        async with asyncio.timeout(15), self._changed:
            await self._changed.wait_for(lambda: predicate(self.metrics))

    async def _accept(self, body: bytes) -> None:
        spans = list(_flat(ExportTraceServiceRequest.FromString(body)))
        await self._note(lambda: self.spans.extend(spans))

    async def _accept_logs(self, body: bytes) -> None:
        records = list(_flat_logs(ExportLogsServiceRequest.FromString(body)))
        await self._note(lambda: self.logs.extend(records))

    async def _note(self, change: Callable[[], None]) -> None:
        async with self._changed:
            change()
            self._changed.notify_all()

    async def wait_for(self, predicate: Callable[[list[SinkSpan]], bool], timeout_seconds: float = 5.0) -> list[SinkSpan]:
        """All spans, as soon as the predicate holds for them; TimeoutError says which there were instead."""
        try:
            async with asyncio.timeout(timeout_seconds), self._changed:
                await self._changed.wait_for(lambda: predicate(self.spans))
        except TimeoutError:
            latest = [f"{span.service}/{span.kind}/{span.name}" for span in self.spans[-10:]]
            raise TimeoutError(
                f"not the expected spans within {timeout_seconds:g} s; of {len(self.spans)}, {latest} last"
            ) from None
        return list(self.spans)

    async def wait_for_requests(self, count: int, timeout_seconds: float = 5.0) -> None:
        """Comes back when that many requests have come in, accepted or not."""
        try:
            async with asyncio.timeout(timeout_seconds), self._changed:
                await self._changed.wait_for(lambda: self.request_count >= count)
        except TimeoutError:
            raise TimeoutError(f"{self.request_count} requests within {timeout_seconds:g} s, not {count}") from None

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


_ACCEPTED = ExportTraceServiceResponse().SerializeToString()
_LOGS_ACCEPTED = ExportLogsServiceResponse().SerializeToString()


def _flat(request: ExportTraceServiceRequest) -> Iterator[SinkSpan]:
    for of_resource in request.resource_spans:
        for of_scope in of_resource.scope_spans:
            for span in of_scope.spans:
                yield _sink_span(span, of_scope, of_resource)


def _sink_span(span: Span, of_scope: ScopeSpans, of_resource: ResourceSpans) -> SinkSpan:
    return SinkSpan(
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_span_id=span.parent_span_id.hex(),
        name=span.name,
        kind=Span.SpanKind.Name(span.kind).removeprefix("SPAN_KIND_"),
        start_unix_nano=span.start_time_unix_nano,
        end_unix_nano=span.end_time_unix_nano,
        attributes=_attributes(span.attributes),
        status_code=Status.StatusCode.Name(span.status.code).removeprefix("STATUS_CODE_"),
        status_message=span.status.message,
        trace_state=span.trace_state,
        flags=span.flags,
        links=tuple(
            SinkLink(
                trace_id=link.trace_id.hex(),
                span_id=link.span_id.hex(),
                trace_state=link.trace_state,
                attributes=_attributes(link.attributes),
            )
            for link in span.links
        ),
        events=tuple(
            SinkEvent(name=event.name, time_unix_nano=event.time_unix_nano, attributes=_attributes(event.attributes))
            for event in span.events
        ),
        dropped_attributes_count=span.dropped_attributes_count,
        dropped_links_count=span.dropped_links_count,
        resource=_attributes(of_resource.resource.attributes),
        scope_name=of_scope.scope.name,
        scope_version=of_scope.scope.version,
        schema_url=of_scope.schema_url or of_resource.schema_url,
    )


def _flat_logs(request: ExportLogsServiceRequest) -> Iterator[SinkLogRecord]:
    for of_resource in request.resource_logs:
        for of_scope in of_resource.scope_logs:
            for record in of_scope.log_records:
                yield SinkLogRecord(
                    trace_id=record.trace_id.hex(),
                    span_id=record.span_id.hex(),
                    flags=record.flags,
                    time_unix_nano=record.time_unix_nano,
                    observed_unix_nano=record.observed_time_unix_nano,
                    severity=SeverityNumber.Name(record.severity_number).removeprefix("SEVERITY_NUMBER_"),
                    severity_text=record.severity_text,
                    body=_value(record.body),
                    event_name=record.event_name,
                    attributes=_attributes(record.attributes),
                    dropped_attributes_count=record.dropped_attributes_count,
                    resource=_attributes(of_resource.resource.attributes),
                    scope_name=of_scope.scope.name,
                    scope_version=of_scope.scope.version,
                    schema_url=of_scope.schema_url or of_resource.schema_url,
                )


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, AttributeValue]:
    attributes: dict[str, AttributeValue] = {}
    for pair in pairs:
        assert pair.key not in attributes, f"attribute {pair.key!r} was sent twice"
        attributes[pair.key] = _value(pair.value)
    return attributes


def _value(value: AnyValue) -> AttributeValue:
    match value.WhichOneof("value"):
        case "string_value":
            return value.string_value
        case "bool_value":
            return value.bool_value
        case "int_value":
            return value.int_value
        case "double_value":
            return value.double_value
        case "bytes_value":
            return value.bytes_value
        case "array_value":
            return [_value(item) for item in value.array_value.values]
        case "kvlist_value":
            return _attributes(value.kvlist_value.values)
        case _:
            return None
