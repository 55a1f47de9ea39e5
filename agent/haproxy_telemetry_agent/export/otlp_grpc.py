"""OTLP over gRPC: one unary call a batch, with our own encoder's bytes, on one channel.

No generated stub: the bytes pass through as they are. gRPC's core compresses in the thread that makes the call, for tens of
milliseconds a full batch (measured): so each call is made in a thread of its own, which the interpreter's lock does not tie to the
event loop, and not with ``grpc.aio``, which would hold up every answer to HAProxy meanwhile.

Source: OTLP specification 1.x, "OTLP/gRPC".
"""

import logging
from collections.abc import Callable

import grpc

from .daemon_thread import run_in_daemon_thread
from .exporter import Result
from .headers import Headers
from .response import parse_partial_success, parse_retry_info, shorten_message
from .retry import Verdict, judge_grpc_status
from .tls import TlsError, TlsFiles

__all__ = ["LOGS_METHOD", "TRACES_METHOD", "OtlpGrpcTransport"]

_logger = logging.getLogger(__name__)

TRACES_METHOD = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"
LOGS_METHOD = "/opentelemetry.proto.collector.logs.v1.LogsService/Export"
_STATUS_DETAILS = "grpc-status-details-bin"
_HANDSHAKE_ENDED = "TSI_DATA_CORRUPTED"
"""All that gRPC says of a TLS alert, which is how a collector refuses a client's certificate, or asks for one."""
_OPTIONS = (
    # Whether and when a batch is tried again is for the exporter to say, and it must find a collector that is back.
    ("grpc.enable_retries", 0),
    ("grpc.initial_reconnect_backoff_ms", 200),
    ("grpc.min_reconnect_backoff_ms", 1_000),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    # Channels to the same target share their connections otherwise, with the certificates of the older one.
    ("grpc.use_local_subchannel_pool", 1),
)


class OtlpGrpcTransport:
    """Sends batches to one collector.

    Args:
        target: as gRPC names it: ``host:port``, ``unix:/path``.
        headers: sent with every call as metadata; never logged.
        timeout_seconds: for one call as a whole.
        gzip: whether messages are compressed.
        tls: None for a connection in the clear.
        encode: makes a request of spans.
        user_agent: who we are; gRPC adds its own.
        method: what is called: ``TRACES_METHOD`` or ``LOGS_METHOD``.

    Raises:
        TlsError: a file can't be used.
    """

    def __init__(
        self,
        *,
        target: str,
        headers: Headers,
        timeout_seconds: float,
        gzip: bool,
        tls: TlsFiles | None,
        encode: Callable[[list[bytes]], bytes],
        user_agent: str,
        method: str = TRACES_METHOD,
    ) -> None:
        self._target = target
        self._method = method
        self._headers = headers
        self._timeout_seconds = timeout_seconds
        self._compression = grpc.Compression.Gzip if gzip else grpc.Compression.NoCompression
        self._tls = tls
        self._credentials = None if tls is None else _credentials(tls)
        self._encode = encode
        self._options = (*_OPTIONS, ("grpc.primary_user_agent", user_agent))
        self._channel: grpc.Channel | None = None

    async def send(self, spans: list[bytes]) -> Result:
        """See ``Transport``."""
        body = self._encode(spans)
        self._renew_credentials()
        if self._channel is None:
            self._channel = self._open_channel()
        call = self._channel.unary_unary(self._method)
        metadata = tuple(
            (name, value.encode() if name.endswith("-bin") else value) for name, value in self._headers.current().items()
        )

        def make_call() -> Result:
            try:
                content = call(body, timeout=self._timeout_seconds, metadata=metadata, compression=self._compression)
            except grpc.RpcError as error:
                return _failure(error)
            rejected, message = parse_partial_success(content)
            return Result(Verdict.DELIVERED, "OK", message, rejected_spans=rejected, sent_bytes=len(body))

        return await run_in_daemon_thread(make_call)

    async def close(self) -> None:
        """See ``Transport``; a call that is under way is cancelled."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _renew_credentials(self) -> None:
        if self._tls is None or not self._tls.changed():
            return
        try:
            self._credentials = _credentials(self._tls)
        except TlsError as error:
            _logger.warning("%s; the certificates stay as they were", error)
            return
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        _logger.info("the certificates were read again")

    def _open_channel(self) -> grpc.Channel:
        if self._credentials is None:
            return grpc.insecure_channel(self._target, options=self._options)
        return grpc.secure_channel(self._target, self._credentials, options=self._options)


def _credentials(tls: TlsFiles) -> grpc.ChannelCredentials:
    pem = tls.pem()
    return grpc.ssl_channel_credentials(pem.authorities, pem.key, pem.certificates)


def _failure(error: grpc.RpcError) -> Result:
    # A failed call is an RpcError and a Call in one.
    code = error.code().name
    trailing = dict(error.trailing_metadata() or ())
    retry_after_seconds = parse_retry_info(trailing.get(_STATUS_DETAILS))
    verdict = judge_grpc_status(code, has_retry_info=retry_after_seconds is not None)
    message = shorten_message(error.details() or "")
    if _HANDSHAKE_ENDED in message:
        message += ": the collector has ended the handshake; does it believe our certificate?"
    return Result(verdict, code, message, retry_after_seconds)
