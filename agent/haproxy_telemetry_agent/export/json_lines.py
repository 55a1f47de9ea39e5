"""OTLP as JSON, one line a batch: to a file that a collector's ``otlpjsonfile`` receiver reads, or to standard output.

It is made of the very bytes that go to collectors, by protobuf's own classes, in a thread. That costs the interpreter more than a
hundred times what a request to a collector does: it is for looking and for low traffic.

Source: OTLP specification 1.x, "JSON Protobuf Encoding" (ids are hexadecimal, enums are numbers) and "OTLP File Exporter".
"""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from .daemon_thread import run_in_daemon_thread
from .exporter import Result
from .retry import Verdict

__all__ = ["JsonLinesTransport", "append_to_file", "encode_json_line", "write_to_stdout"]

_IDS = ("traceId", "spanId", "parentSpanId")


class JsonLinesTransport:
    """Writes batches.

    Args:
        encode: makes a request of spans.
        write: takes one line, in a thread, for as long as it likes; an OSError has the batch tried again.
    """

    def __init__(self, *, encode: Callable[[list[bytes]], bytes], write: Callable[[bytes], None]) -> None:
        self._encode = encode
        self._write = write

    async def send(self, spans: list[bytes]) -> Result:
        """See ``Transport``."""
        request = self._encode(spans)

        def write() -> int:
            line = encode_json_line(request)
            self._write(line)
            return len(line)

        try:
            written_bytes = await run_in_daemon_thread(write)
        except OSError as error:
            return Result(Verdict.RETRY, "unwritable", error.strerror or str(error))
        return Result(Verdict.DELIVERED, "written", sent_bytes=written_bytes)

    async def close(self) -> None:
        """See ``Transport``; nothing is kept open."""


def encode_json_line(request: bytes) -> bytes:
    """An ``ExportTraceServiceRequest`` as one line of JSON with its line feed."""
    # Imported where it is needed: nobody else's agent has to hold the classes.
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest  # noqa: PLC0415

    message = ExportTraceServiceRequest.FromString(request)
    document: dict[str, Any] = MessageToDict(message, use_integers_for_enums=True)
    for resource_spans, resource_document in zip(message.resource_spans, document.get("resourceSpans", []), strict=True):
        for scope_spans, scope_document in zip(resource_spans.scope_spans, resource_document.get("scopeSpans", []), strict=True):
            for span, span_document in zip(scope_spans.spans, scope_document.get("spans", []), strict=True):
                _write_ids(span_document, span)
                for link, link_document in zip(span.links, span_document.get("links", []), strict=True):
                    _write_ids(link_document, link)
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def _write_ids(document: dict[str, Any], message: Any) -> None:
    """protobuf writes bytes in base64, OTLP its ids in hexadecimal."""
    for name in _IDS:
        if name in document:
            field = {"traceId": "trace_id", "spanId": "span_id", "parentSpanId": "parent_span_id"}[name]
            document[name] = getattr(message, field).hex()


def append_to_file(path: Path, max_bytes: int) -> Callable[[bytes], None]:
    """Appends each line whole or not at all; before the file outgrows ``max_bytes`` it is renamed to ``<path>.1``.

    It is opened for each line, so whoever else renames it (logrotate) needs to tell nobody.
    """

    def write(line: bytes) -> None:
        try:
            if path.stat().st_size + len(line) > max_bytes:
                path.replace(path.with_name(f"{path.name}.1"))
        except FileNotFoundError:
            pass
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o640)
        try:
            size = os.fstat(descriptor).st_size
            try:
                _write_all(descriptor, line)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        finally:
            os.close(descriptor)

    return write


def write_to_stdout(line: bytes) -> None:
    """One line to standard output."""
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def _write_all(descriptor: int, data: bytes) -> None:
    """A disk that is nearly full takes a part."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
