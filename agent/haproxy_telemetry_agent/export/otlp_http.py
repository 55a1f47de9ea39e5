"""OTLP over HTTP with protobuf bodies: one POST a batch on a kept-alive connection.

The HTTP is aiohttp's. Bodies are compressed by zlib at level 1, in a thread when they are large: the corpus is repetitive, higher
levels cost four times as much for little (measured). Source: OTLP specification 1.x, "OTLP/HTTP".
"""

import asyncio
import ssl
import zlib
from collections.abc import Mapping

import aiohttp

from .encoder import encode_request
from .exporter import Result
from .retry import Verdict, judge_status, parse_retry_after

__all__ = ["OtlpHttpTransport"]

_MAX_RESPONSE_BYTES = 64 * 1024
"""What is read of an answer; the specification lets a client refuse more than 4 MiB, we need a message at most."""
_THREAD_FROM_BYTES = 64 * 1024
_GZIP_WBITS = 31
_MAX_MESSAGE_CHARACTERS = 300


class OtlpHttpTransport:
    """Sends batches to one collector.

    Args:
        url: the full URL, ``/v1/traces`` included.
        headers: sent with every request; never logged.
        timeout_seconds: for one request as a whole.
        gzip: whether bodies are compressed.
        tls: None for the system's defaults.
        resource, scope, schema_url: what every request says of its spans, as ``encoder`` wants them.
        user_agent: who we are.
    """

    def __init__(
        self,
        *,
        url: str,
        headers: Mapping[str, str],
        timeout_seconds: float,
        gzip: bool,
        tls: ssl.SSLContext | None,
        resource: bytes,
        scope: bytes,
        schema_url: str,
        user_agent: str,
    ) -> None:
        self._url = url
        self._gzip = gzip
        self._resource = resource
        self._scope = scope
        self._schema_url = schema_url
        self._headers = {"User-Agent": user_agent, **headers, "Content-Type": "application/x-protobuf"}
        if gzip:
            self._headers["Content-Encoding"] = "gzip"
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._tls = tls
        self._session: aiohttp.ClientSession | None = None

    async def send(self, spans: list[bytes]) -> Result:
        """See ``Transport``."""
        body = encode_request(self._resource, self._scope, self._schema_url, spans)
        if self._gzip:
            body = await asyncio.to_thread(_compress, body) if len(body) > _THREAD_FROM_BYTES else _compress(body)
        if self._session is None:
            self._session = self._open_session()
        try:
            # A redirect could carry the headers' secrets to another host: it is an error like any other 3xx.
            async with self._session.post(self._url, data=body, headers=self._headers, allow_redirects=False) as response:
                content = await response.content.read(_MAX_RESPONSE_BYTES)
                return _result(response.status, response.headers.get("Retry-After"), content)
        except TimeoutError:
            return Result(Verdict.RETRY, "timeout", f"no answer within {self._timeout.total:g} s")
        except (aiohttp.ClientError, OSError) as error:
            return Result(Verdict.RETRY, "unreachable", str(error) or type(error).__name__)

    async def close(self) -> None:
        """See ``Transport``."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    def _open_session(self) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(limit=4, ssl=True if self._tls is None else self._tls)
        return aiohttp.ClientSession(connector=connector, timeout=self._timeout, trust_env=True)


def _compress(body: bytes) -> bytes:
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WBITS)
    return compressor.compress(body) + compressor.flush()


def _result(status_code: int, retry_after: str | None, content: bytes) -> Result:
    verdict = judge_status(status_code)
    if verdict is Verdict.DELIVERED:
        rejected, message = _partial_success(content) if content else (0, "")
        return Result(verdict, str(status_code), message, rejected_spans=rejected)
    return Result(verdict, str(status_code), _status_message(content), parse_retry_after(retry_after))


def _partial_success(content: bytes) -> tuple[int, str]:
    # Imported where it is needed: most collectors answer with an empty body, and the classes cost some MiB.
    from google.protobuf.message import DecodeError  # noqa: PLC0415
    from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse  # noqa: PLC0415

    try:
        partial = ExportTraceServiceResponse.FromString(content).partial_success
    except DecodeError:
        return 0, ""
    return partial.rejected_spans, partial.error_message


def _status_message(content: bytes) -> str:
    """The words of a ``google.rpc.Status``, or of whatever a proxy in between has to say."""
    printable = "".join(c if c.isprintable() else " " for c in content.decode("utf-8", "replace"))
    return " ".join(printable.split())[:_MAX_MESSAGE_CHARACTERS]
