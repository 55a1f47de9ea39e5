"""What collectors answer."""

import pytest
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import ErrorInfo, RetryInfo
from google.rpc.status_pb2 import Status
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTracePartialSuccess, ExportTraceServiceResponse

from haproxy_telemetry_agent.export.response import parse_partial_success, parse_retry_info, shorten_message


def packed(message: RetryInfo | ErrorInfo) -> AnyMessage:
    detail = AnyMessage()
    detail.Pack(message)
    return detail


@pytest.mark.parametrize(("rejected", "message"), [(0, ""), (2, "two\nwere  too old"), (0, "mind the gap"), (-1, "")])
def test_partial_success(rejected: int, message: str) -> None:
    partial = ExportTracePartialSuccess(rejected_spans=rejected, error_message=message)
    content = ExportTraceServiceResponse(partial_success=partial).SerializeToString()
    assert parse_partial_success(content) == (max(rejected, 0), " ".join(message.split()))


@pytest.mark.parametrize(("seconds", "nanos", "expected"), [(0, 0, 0.0), (3, 500_000_000, 3.5), (-1, 0, 0.0)])
def test_retry_info_among_other_details(seconds: int, nanos: int, expected: float) -> None:
    info = RetryInfo(retry_delay=Duration(seconds=seconds, nanos=nanos))
    status = Status(code=8, details=[packed(ErrorInfo(reason="QUOTA")), packed(info)])
    assert parse_retry_info(status.SerializeToString()) == expected


@pytest.mark.parametrize("details", [None, b"", Status(code=8, details=[packed(ErrorInfo())]).SerializeToString()])
def test_without_retry_info(details: bytes | None) -> None:
    assert parse_retry_info(details) is None


@given(content=st.binary(max_size=40))
def test_any_bytes_are_read_or_nothing(content: bytes) -> None:
    rejected, _message = parse_partial_success(content)
    assert rejected >= 0
    assert (parse_retry_info(content) or 0) >= 0


@given(text=st.text(max_size=400))
def test_a_message_is_one_short_line(text: str) -> None:
    message = shorten_message(text)
    assert message.isprintable()
    assert len(message) <= 300
