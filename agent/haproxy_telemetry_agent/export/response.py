"""What collectors answer, in words and numbers: partial success, error messages, when to come back.

The protobuf classes are imported where they are needed: most answers are empty, and the classes cost some MiB.
"""

__all__ = ["parse_partial_success", "parse_retry_info", "shorten_message"]

_MAX_MESSAGE_CHARACTERS = 300
_RETRY_INFO = "type.googleapis.com/google.rpc.RetryInfo"


def parse_partial_success(content: bytes) -> tuple[int, str]:
    """``(rejected_spans, message)`` of an ``ExportTraceServiceResponse``; nothing of what is none.

    An ``ExportLogsServiceResponse`` differs from it in names only, which are not on the wire.
    """
    if not content:
        return 0, ""
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse  # noqa: PLC0415

    try:
        partial = ExportTraceServiceResponse.FromString(content).partial_success
    except DecodeError:
        return 0, ""
    return max(partial.rejected_spans, 0), shorten_message(partial.error_message)


def parse_retry_info(status_details: bytes | None) -> float | None:
    """Seconds of the ``google.rpc.RetryInfo`` in a ``google.rpc.Status`` (``grpc-status-details-bin``); None without one."""
    if not status_details:
        return None
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from google.rpc.error_details_pb2 import RetryInfo  # noqa: PLC0415
    from google.rpc.status_pb2 import Status  # noqa: PLC0415

    try:
        for detail in Status.FromString(status_details).details:
            if detail.type_url == _RETRY_INFO:
                delay = RetryInfo.FromString(detail.value).retry_delay
                return max(float(delay.seconds + delay.nanos / 1e9), 0.0)
    except DecodeError:
        pass
    return None


def shorten_message(text: str) -> str:
    """Somebody else's words, fit for one line of a log."""
    printable = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(printable.split())[:_MAX_MESSAGE_CHARACTERS]
