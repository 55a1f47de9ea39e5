"""OTLP bytes of log records: decoded with OpenTelemetry's own classes, and compared with the SDK's own encoder."""

from hypothesis import given
from hypothesis import strategies as st
from opentelemetry._logs import LogRecord as SdkLogRecord
from opentelemetry._logs import SeverityNumber
from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as OtlpLogRecord
from opentelemetry.sdk._logs import ReadableLogRecord
from opentelemetry.sdk.resources import Resource as SdkResource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope as SdkScope
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from haproxy_telemetry_agent.export.encoder import encode_request, encode_resource, encode_scope
from haproxy_telemetry_agent.export.log_encoder import encode_log_record
from haproxy_telemetry_agent.tracing.context import SpanId, TraceId
from haproxy_telemetry_agent.tracing.log_record import LogRecord, Severity
from haproxy_telemetry_agent.tracing.span import Attribute, Attributes

UINT64 = st.integers(0, 2**64 - 1)
# Lengths around the limits of one byte, and of two.
TEXT = st.one_of(st.text(max_size=10), st.sampled_from([125, 126, 127, 128, 16_384]).map("x".__mul__))
VALUES: st.SearchStrategy[Attribute] = st.one_of(
    TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.lists(st.text(max_size=5), max_size=3)
)
ATTRIBUTES: st.SearchStrategy[Attributes] = st.dictionaries(st.text(min_size=1, max_size=12), VALUES, max_size=6).map(
    lambda attributes: [*attributes.items()]
)
RECORDS = st.builds(
    LogRecord,
    time_unix_nano=UINT64,
    observed_unix_nano=UINT64,
    severity=st.sampled_from(Severity),
    body=TEXT,
    event_name=TEXT,
    attributes=ATTRIBUTES,
    dropped_attributes_count=st.integers(0, 2**32 - 1),
    flags=st.integers(0, 3),
    trace_id=st.binary(min_size=16, max_size=16).filter(any).map(TraceId),
    span_id=st.binary(min_size=8, max_size=8).filter(any).map(SpanId),
)
RESOURCE: dict[str, Attribute] = {"service.name": "haproxy", "number": 7}
SCHEMA_URL = "https://opentelemetry.io/schemas/1.44.0"
SCOPE = ("haproxy-telemetry-agent", "0.1.0")


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


@given(record=RECORDS)
def test_every_field(record: LogRecord) -> None:
    assert record.trace_id is not None
    assert record.span_id is not None
    expected = OtlpLogRecord(
        time_unix_nano=record.time_unix_nano,
        observed_time_unix_nano=record.observed_unix_nano,
        severity_number=record.severity.value,
        severity_text=record.severity.name,
        body=AnyValue(string_value=record.body),
        attributes=[KeyValue(key=key, value=any_value(value)) for key, value in record.attributes],
        dropped_attributes_count=record.dropped_attributes_count,
        flags=record.flags,
        trace_id=record.trace_id,
        span_id=record.span_id,
        event_name=record.event_name,
    )
    assert OtlpLogRecord.FromString(encode_log_record(record)) == expected


@given(record=RECORDS)
def test_of_no_trace_it_has_neither_ids_nor_flags(record: LogRecord) -> None:
    without = LogRecord(*[getattr(record, name) for name in LogRecord.__struct_fields__[:-2]], trace_id=None, span_id=None)
    decoded = OtlpLogRecord.FromString(encode_log_record(without))
    assert (decoded.trace_id, decoded.span_id, decoded.flags) == (b"", b"", 0)
    assert decoded.body.string_value == record.body


def sdk_record(record: LogRecord) -> ReadableLogRecord:
    assert record.trace_id is not None
    assert record.span_id is not None
    context = SpanContext(
        int.from_bytes(record.trace_id, "big"), int.from_bytes(record.span_id, "big"), False, TraceFlags(record.flags)
    )
    made = SdkLogRecord(
        timestamp=record.time_unix_nano,
        observed_timestamp=record.observed_unix_nano,
        context=set_span_in_context(NonRecordingSpan(context)),
        severity_text=record.severity.name,
        severity_number=SeverityNumber(record.severity.value),
        body=record.body,
        attributes=dict(record.attributes),
        event_name=record.event_name,
    )
    return ReadableLogRecord(made, SdkResource(RESOURCE, SCHEMA_URL), SdkScope(*SCOPE, SCHEMA_URL))


@given(records=st.lists(RECORDS, min_size=1, max_size=3))
def test_a_request_is_the_one_that_the_sdk_makes_of_the_same_records(records: list[LogRecord]) -> None:
    encoded = encode_request(
        encode_resource(RESOURCE), encode_scope(*SCOPE), SCHEMA_URL, [encode_log_record(record) for record in records]
    )
    ours = ExportLogsServiceRequest.FromString(encoded)
    for record in ours.resource_logs[0].scope_logs[0].log_records:
        record.dropped_attributes_count = 0  # the SDK counts what it drops itself
    assert ours == encode_logs([sdk_record(record) for record in records])
