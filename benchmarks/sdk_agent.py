"""The SDK way: an agent that does the same work with the OpenTelemetry SDK's tracer and exporter.

It speaks SPOP, reads records and finds names, times, attributes and status by our own code, so that only what the SDK is for
differs: propagation, sampling, span objects, batching, OTLP. It is written to be fair, which means as fast as the SDK's public
interface allows:

* at the NOTIFY the SDK's propagator extracts the caller's context, its sampler decides, its id generator makes the id that the
  server sees, and its propagator writes the header. No span is begun there: the state travels in the stream, as ours does, so
  nothing is looked up, kept or evicted;
* at the record each span is begun with **all attributes at once** and explicit times, and ended. Setting attributes one by one
  costs nearly twice as much; ``start_as_current_span`` would cost more as well;
* the batch processor has a queue that never fills and takes batches as large as ours, not its default 512: a request to the
  collector costs the exporter more than a millisecond;
* as ours does, it takes what exists at the start from the garbage collector (``gc.freeze``).

What it does not have: our agent's metrics of its own, and the rule that the two ids of an exchange derive from each other.
"""

import argparse
import asyncio
import gc
import random
import signal

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Decision, ParentBased
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from haproxy_telemetry_agent.listener import listen
from haproxy_telemetry_agent.record_server import RecordServer
from haproxy_telemetry_agent.records import parse_record
from haproxy_telemetry_agent.resource import resource_attributes
from haproxy_telemetry_agent.spop import Action, Message, SetVar, VarScope
from haproxy_telemetry_agent.spop_server import SpopServer
from haproxy_telemetry_agent.telemetry import Telemetry
from haproxy_telemetry_agent.tracing import AlwaysOn, ExchangeTracer, Span, SpanStatus
from haproxy_telemetry_agent.tracing import IdGenerator as OwnIdGenerator
from haproxy_telemetry_agent.tracing.semconv import SCHEMA_URL
from haproxy_telemetry_agent.tracing.state import VERSION, State, encode_state
from haproxy_telemetry_agent.wiring import SD_ID

__all__ = ["main"]

_SD_IDS = frozenset({SD_ID.encode()})
_MAX_CONNECTIONS = 1_024
_MAX_FRAME_SIZE_BYTES = _MAX_RECORD_BYTES = 65_535
_MAX_QUEUE_SPANS = 4_000_000


class _GivenIds(IdGenerator):
    """Hands the tracer the ids that the record names."""

    def __init__(self) -> None:
        self.trace_id = 0
        self.span_id = 0

    def generate_trace_id(self) -> int:
        return self.trace_id

    def generate_span_id(self) -> int:
        return self.span_id


class SdkPipeline:
    """What the two servers call: ``pipeline.Pipeline`` with the SDK inside.

    Args:
        exporter: the SDK's.
        batch_spans: largest batch.
        delay_milliseconds: how long a batch that is not full waits.
    """

    def __init__(self, *, exporter: OTLPSpanExporter, batch_spans: int, delay_milliseconds: float) -> None:
        self._sampler = ParentBased(ALWAYS_ON)
        self._ids = RandomIdGenerator()
        self._given = _GivenIds()
        self._propagator = TraceContextTextMapPropagator()
        provider = TracerProvider(
            sampler=self._sampler,
            resource=Resource(resource_attributes(service_name=None, attributes={}), SCHEMA_URL),
            id_generator=self._given,
        )
        provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=_MAX_QUEUE_SPANS,
                schedule_delay_millis=delay_milliseconds,
                max_export_batch_size=batch_spans,
            )
        )
        self._tracer = provider.get_tracer("haproxy-telemetry-agent", schema_url=SCHEMA_URL)
        self._exchanges = ExchangeTracer(sampler=AlwaysOn(), ids=OwnIdGenerator(random.getrandbits))

    def notify(self, messages: list[Message]) -> list[Action]:
        """The actions that answer one NOTIFY."""
        return [action for message in messages for action in self._answer(message)]

    def record(self, data: bytes) -> None:
        """Begin and end the spans of one record."""
        record = parse_record(data, _SD_IDS)
        spans = self._exchanges.trace(record.end_unix_nano, record.fields).spans
        if not spans:
            return
        server, *clients = spans
        context = Context() if server.parent_span_id is None else _remote_parent(server)
        self._given.trace_id = int.from_bytes(server.trace_id, "big")
        parent = self._span(server, context, SpanKind.SERVER)
        for client in clients:
            self._span(client, parent, SpanKind.CLIENT)

    def _answer(self, message: Message) -> list[Action]:
        arguments = dict(message.arguments)
        names = {"traceparent": "traceparent_1", "tracestate": "tracestate_1"}
        carrier = {header: value for header, name in names.items() if isinstance(value := arguments[name], str)}
        context = self._propagator.extract(carrier, Context())
        parent = get_current_span(context).get_span_context()
        trace_id = parent.trace_id if parent.is_valid else self._ids.generate_trace_id()
        result = self._sampler.should_sample(context, trace_id, "HTTP", SpanKind.SERVER)
        flags = TraceFlags(TraceFlags.SAMPLED if result.decision is Decision.RECORD_AND_SAMPLE else TraceFlags.DEFAULT)
        client = SpanContext(
            trace_id, self._ids.generate_span_id(), is_remote=False, trace_flags=flags, trace_state=result.trace_state
        )
        headers: dict[str, str] = {}
        self._propagator.inject(headers, set_span_in_context(NonRecordingSpan(client), Context()))
        host, user_agent, start = arguments["host"], arguments["user_agent"], arguments["start"]
        state = State(
            VERSION,
            start_unix_micro=start if isinstance(start, int) else None,
            parent_span_id=parent.span_id.to_bytes(8, "big") if parent.is_valid else None,
            host=host if isinstance(host, str) else None,
            user_agent=user_agent if isinstance(user_agent, str) else None,
        )
        headers["state"] = encode_state(state)
        return [SetVar(VarScope.TRANSACTION, name, value) for name, value in headers.items()]

    def _span(self, span: Span, context: Context, kind: SpanKind) -> Context:
        self._given.span_id = int.from_bytes(span.span_id, "big")
        # The SDK's attributes are a mapping; a dictionary of our pairs is the cheapest one there is.
        begun = self._tracer.start_span(
            span.name, context, kind=kind, attributes=dict(span.attributes), start_time=span.start_unix_nano
        )
        if span.status is SpanStatus.ERROR:
            begun.set_status(Status(StatusCode.ERROR))
        begun.end(span.end_unix_nano)
        return set_span_in_context(begun, context)


def _remote_parent(span: Span) -> Context:
    assert span.parent_span_id is not None
    parent = SpanContext(
        int.from_bytes(span.trace_id, "big"), int.from_bytes(span.parent_span_id, "big"), is_remote=True, trace_flags=TraceFlags(1)
    )
    return set_span_in_context(NonRecordingSpan(parent), Context())


async def serve(options: argparse.Namespace) -> None:
    """Serve until SIGTERM."""
    compression = Compression.Gzip if options.compression == "gzip" else Compression.NoCompression
    pipeline = SdkPipeline(
        exporter=OTLPSpanExporter(endpoint=options.url, compression=compression),
        batch_spans=options.batch_spans,
        delay_milliseconds=options.delay_milliseconds,
    )
    telemetry = Telemetry()
    spop_server = SpopServer(
        notify=pipeline.notify,
        telemetry=telemetry,
        max_connections=_MAX_CONNECTIONS,
        max_frame_size_bytes=_MAX_FRAME_SIZE_BYTES,
    )
    record_server = RecordServer(
        record=pipeline.record, telemetry=telemetry, max_connections=_MAX_CONNECTIONS, max_record_bytes=_MAX_RECORD_BYTES
    )
    await record_server.start(listen("records", options.records))
    await spop_server.start(listen("spop", options.spop))
    gc.collect()
    gc.freeze()
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()


def main() -> None:
    """Run as a process."""
    parser = argparse.ArgumentParser(description="The same agent with the OpenTelemetry SDK, for benchmarks.")
    parser.add_argument("--spop", required=True, help="as listen.spop in the agent's settings")
    parser.add_argument("--records", required=True, help="as listen.records")
    parser.add_argument("--url", required=True, help="where batches are posted to")
    parser.add_argument("--compression", choices=("none", "gzip"), required=True)
    parser.add_argument("--batch-spans", type=int, required=True)
    parser.add_argument("--delay-milliseconds", type=float, required=True)
    asyncio.run(serve(parser.parse_args()))


if __name__ == "__main__":
    main()
