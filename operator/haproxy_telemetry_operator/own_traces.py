"""The operator's own traces: a span for each look at a namespace, by OpenTelemetry's SDK. Off unless OTEL_TRACES_EXPORTER=otlp.

Everything else is as the SDK has it: OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_SERVICE_NAME, OTEL_TRACES_SAMPLER, OTEL_BSP_*.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import NoOpTracer, Status, StatusCode, Tracer

from haproxy_telemetry_agent.version import VERSION

__all__ = ["OwnTraces"]

_NAME = "haproxy-telemetry-operator"


class OwnTraces:
    """Makes spans, or nothing.

    Args:
        environ: says which.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._provider: TracerProvider | None = None
        self._tracer: Tracer = NoOpTracer()
        if environ.get("OTEL_TRACES_EXPORTER", "").strip().lower() == "otlp":
            name = environ.get("OTEL_SERVICE_NAME", "").strip() or _NAME
            self._provider = TracerProvider(resource=Resource.create({"service.name": name, "service.version": VERSION}))
            self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
            self._tracer = self._provider.get_tracer(_NAME, VERSION)

    @contextmanager
    def reconcile(self, namespace: str) -> Iterator[None]:
        """Around a look at a namespace."""
        with self._tracer.start_as_current_span(
            "reconcile", attributes={"k8s.namespace.name": namespace}, set_status_on_exception=False
        ) as span:
            try:
                yield
            except Exception as error:
                span.set_status(Status(StatusCode.ERROR, str(error)))
                raise

    def close(self) -> None:
        """Exports what is left."""
        if self._provider is not None:
            self._provider.shutdown()
