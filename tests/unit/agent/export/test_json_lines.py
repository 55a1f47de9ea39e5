"""OTLP as JSON lines: readable by protobuf's own parser once ids are put back, never half a line, never beyond the limit."""

import base64
import errno
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from google.protobuf.json_format import ParseDict
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from haproxy_telemetry_agent.export import Verdict, encode_request, encode_resource, encode_scope, encode_span
from haproxy_telemetry_agent.export import json_lines as json_lines_module
from haproxy_telemetry_agent.export.json_lines import JsonLinesTransport, append_to_file, encode_json_line, write_to_stdout
from haproxy_telemetry_agent.tracing import Span, SpanId, SpanKind, TraceId
from haproxy_telemetry_agent.tracing.span import Link

TRACE_ID, SPAN_ID, PARENT_ID = TraceId(bytes(range(1, 17))), SpanId(b"\xfe" * 8), SpanId(b"\x01" * 8)


def encode(spans: list[bytes]) -> bytes:
    return encode_request(encode_resource({"service.name": "edge"}), encode_scope("scope", "1"), "https://schema", spans)


def request() -> bytes:
    link = Link(TRACE_ID, SPAN_ID, 0, "", False, ())
    span = Span(
        TRACE_ID,
        SPAN_ID,
        PARENT_ID,
        1,
        True,
        "ot=th:0",
        "GET é\n",
        SpanKind.SERVER,
        2**60,
        2**60 + 1,
        [("n", 2**53 + 1)],
        links=[link],
    )
    root = Span(TRACE_ID, PARENT_ID, None, 1, False, "", "root", SpanKind.CLIENT, 1, 2)
    return encode([encode_span(span), encode_span(root)])


def with_ids_in_base64(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(part)).decode() if key.endswith("Id") else with_ids_in_base64(part)
            for key, part in value.items()
        }
    return [with_ids_in_base64(part) for part in value] if isinstance(value, list) else value


class TestLine:
    def test_is_the_same_request(self) -> None:
        line = encode_json_line(request())
        assert ParseDict(with_ids_in_base64(json.loads(line)), ExportTraceServiceRequest()).SerializeToString() == request()

    def test_is_one_line(self) -> None:
        assert encode_json_line(request()).count(b"\n") == 1
        assert encode_json_line(request()).endswith(b"}\n")

    def test_has_hexadecimal_ids_numbers_for_enums_and_texts_for_large_numbers(self) -> None:
        span, root = json.loads(encode_json_line(request()))["resourceSpans"][0]["scopeSpans"][0]["spans"]
        assert (span["traceId"], span["spanId"], span["parentSpanId"]) == (TRACE_ID.hex(), "fe" * 8, "01" * 8)
        assert span["links"][0]["traceId"] == TRACE_ID.hex()
        assert (span["kind"], span["startTimeUnixNano"]) == (2, str(2**60))
        assert "parentSpanId" not in root


class TestFile:
    def test_lines_are_appended(self, tmp_path: Path) -> None:
        write = append_to_file(tmp_path / "traces", 100)
        write(b"1\n")
        write(b"2\n")
        assert (tmp_path / "traces").read_bytes() == b"1\n2\n"

    def test_it_and_its_predecessor_are_all_there_ever_is(self, tmp_path: Path) -> None:
        write = append_to_file(tmp_path / "traces", 10)
        for number in range(100):
            write(b"%03d\n" % number)
            assert all(path.stat().st_size <= 10 for path in tmp_path.iterdir())
        assert sorted(path.name for path in tmp_path.iterdir()) == ["traces", "traces.1"]
        assert (tmp_path / "traces.1").read_bytes() + (tmp_path / "traces").read_bytes() == b"096\n097\n098\n099\n"

    def test_who_renames_it_gets_a_new_one(self, tmp_path: Path) -> None:
        write = append_to_file(tmp_path / "traces", 100)
        write(b"1\n")
        (tmp_path / "traces").rename(tmp_path / "moved")
        write(b"2\n")
        assert (tmp_path / "traces").read_bytes() == b"2\n"

    def test_a_full_disk_leaves_no_half_of_a_line(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        write = append_to_file(tmp_path / "traces", 1000)
        write(b"whole\n")
        real: Callable[[int, Any], int] = os.write
        taken: list[int] = []

        def nearly_full(descriptor: int, data: Any) -> int:
            if taken:
                raise OSError(errno.ENOSPC, "No space left on device")
            taken.append(real(descriptor, data[:3]))
            return taken[0]

        monkeypatch.setattr(json_lines_module.os, "write", nearly_full)
        with pytest.raises(OSError, match="No space left"):
            write(b"another\n")
        assert (tmp_path / "traces").read_bytes() == b"whole\n"


class TestTransport:
    async def test_a_batch_is_a_line(self) -> None:
        lines: list[bytes] = []
        transport = JsonLinesTransport(encode=lambda _spans: request(), write=lines.append)
        result = await transport.send([])
        await transport.close()
        assert (result.verdict, result.code, lines) == (Verdict.DELIVERED, "written", [encode_json_line(request())])

    async def test_what_cannot_be_written_is_tried_again(self, tmp_path: Path) -> None:
        transport = JsonLinesTransport(encode=encode, write=append_to_file(tmp_path / "none" / "traces", 10))
        result = await transport.send([])
        assert (result.verdict, result.code, result.message) == (Verdict.RETRY, "unwritable", "No such file or directory")

    def test_standard_output(self, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
        write_to_stdout(b"line\n")
        assert capfdbinary.readouterr().out == b"line\n"
