"""A gRPC sink is an OTLP sink that speaks gRPC: what a collector's port 4317 does, with answers by a script."""

from collections import deque
from dataclasses import dataclass
from pathlib import Path

import grpc
import grpc.aio
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from support.otlp_sink import OtlpSink
from support.ports import ADDRESS

__all__ = ["GrpcAnswer", "GrpcSink"]

_SERVICE = "opentelemetry.proto.collector.trace.v1.TraceService"
_LOGS_SERVICE = "opentelemetry.proto.collector.logs.v1.LogsService"
_ACCEPTED = ExportTraceServiceResponse().SerializeToString()


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcAnswer:
    """An answer that the sink gives instead of its usual one; the spans of a call that fails are not kept."""

    code: grpc.StatusCode = grpc.StatusCode.OK
    message: str = ""
    retry_after_seconds: int | None = None
    """Said by a RetryInfo in the status."""
    body: bytes = _ACCEPTED


class GrpcSink(OtlpSink):
    """A running receiver: `async with GrpcSink() as sink`, and `sink.endpoint` for the exporter."""

    def __init__(
        self,
        *,
        port: int = 0,
        credentials: grpc.ServerCredentials | None = None,
        unix_path: Path | None = None,
    ) -> None:
        super().__init__(port=port, unix_path=unix_path)
        self.grpc_answers: deque[GrpcAnswer] = deque()
        """Given one by one before the sink begins to accept."""
        self.grpc_log_answers: deque[GrpcAnswer] = deque()
        """The same for log records."""
        self._credentials = credentials
        self._server: grpc.aio.Server | None = None

    @property
    def endpoint(self) -> str:
        """The URL."""
        return f"unix:{self.unix_path}" if self.unix_path else f"http{'s' if self._credentials else ''}://{ADDRESS}:{self.port}"

    async def start(self) -> None:
        """Listens."""
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", 64 << 20)])
        for service, export in ((_SERVICE, self._export), (_LOGS_SERVICE, self._export_logs)):
            method = grpc.unary_unary_rpc_method_handler(export)
            self._server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service, {"Export": method}),))
        address = f"unix:{self.unix_path}" if self.unix_path else f"{ADDRESS}:{self.port}"
        if self._credentials is None:
            port = self._server.add_insecure_port(address)
        else:
            port = self._server.add_secure_port(address, self._credentials)
        self.port = port
        await self._server.start()

    async def stop(self) -> None:
        """Closes every connection and listens no more."""
        assert self._server is not None, "the sink was not started"
        await self._server.stop(0)

    async def _export(self, body: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        metadata = {str(name): str(value) for name, value in context.invocation_metadata() or ()}
        await self._note(lambda: self.request_headers.append(metadata))
        await self._flowing.wait()
        answer = self.grpc_answers.popleft() if self.grpc_answers else GrpcAnswer()
        if answer.code is grpc.StatusCode.OK:
            await self._accept(body)
            return answer.body
        return await self._refuse(answer, context)

    async def _export_logs(self, body: bytes, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        metadata = {str(name): str(value) for name, value in context.invocation_metadata() or ()}
        await self._note(lambda: self.log_request_headers.append(metadata))
        await self._flowing.wait()
        answer = self.grpc_log_answers.popleft() if self.grpc_log_answers else GrpcAnswer()
        if answer.code is grpc.StatusCode.OK:
            await self._accept_logs(body)
            return answer.body
        return await self._refuse(answer, context)

    async def _refuse(self, answer: GrpcAnswer, context: "grpc.aio.ServicerContext[bytes, bytes]") -> bytes:
        if answer.retry_after_seconds is not None:
            detail = AnyMessage()
            detail.Pack(RetryInfo(retry_delay=Duration(seconds=answer.retry_after_seconds)))
            status = Status(code=answer.code.value[0], message=answer.message, details=[detail])
            context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
        await context.abort(answer.code, answer.message)
        raise AssertionError("abort raises")
