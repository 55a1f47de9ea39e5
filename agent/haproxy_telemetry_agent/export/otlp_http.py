"""OTLP over HTTP with protobuf bodies: one POST a batch on a kept-alive connection.

The HTTP is aiohttp's. Bodies are compressed by zlib at level 1, in a thread when they are large: the corpus is repetitive, higher
levels cost four times as much for little (measured). Source: OTLP specification 1.x, "OTLP/HTTP".
"""

import asyncio
import logging
import time
import zlib
from collections.abc import Callable

import aiohttp

from .exporter import Result
from .headers import Headers
from .proxy import Proxy
from .resolver import Resolver
from .response import parse_partial_success, shorten_message
from .retry import Verdict, judge_status, parse_retry_after
from .tls import TlsError, TlsFiles

__all__ = ["OtlpHttpTransport"]

_logger = logging.getLogger(__name__)

_MAX_RESPONSE_BYTES = 64 * 1024
"""What is read of an answer; the specification lets a client refuse more than 4 MiB, we need a message at most."""
_THREAD_FROM_BYTES = 64 * 1024
_GZIP_WBITS = 31


class OtlpHttpTransport:
    """Sends batches to one collector.

    Args:
        url: the full URL, ``/v1/traces`` included.
        unix_path: the socket to connect to instead of the URL's host, if any.
        proxy: what to go through, if anything.
        headers: sent with every request; never logged.
        timeout_seconds: for one request as a whole.
        gzip: whether bodies are compressed.
        tls: None for a connection in the clear.
        encode: makes a request of spans.
        user_agent: who we are.

    Raises:
        TlsError: a file can't be used.
    """

    def __init__(
        self,
        *,
        url: str,
        unix_path: str | None,
        proxy: Proxy | None,
        headers: Headers,
        timeout_seconds: float,
        gzip: bool,
        tls: TlsFiles | None,
        encode: Callable[[list[bytes]], bytes],
        user_agent: str,
    ) -> None:
        self._url = url
        self._unix_path = unix_path
        self._proxy = None if proxy is None else proxy.url
        self._proxy_auth = None
        if proxy is not None and proxy.user is not None:
            self._proxy_auth = aiohttp.BasicAuth(proxy.user, proxy.password, "utf-8")
        self._gzip = gzip
        self._encode = encode
        self._headers = headers
        self._our_headers = {"user-agent": user_agent}
        self._content_headers = {"content-type": "application/x-protobuf"}
        if gzip:
            self._content_headers["content-encoding"] = "gzip"
        self._timeout = aiohttp.ClientTimeout(total=timeout_seconds)
        self._tls = tls
        self._context = None if tls is None else tls.context()
        self._session: aiohttp.ClientSession | None = None

    async def send(self, spans: list[bytes]) -> Result:
        """See ``Transport``."""
        body = self._encode(spans)
        if self._gzip:
            body = await asyncio.to_thread(_compress, body) if len(body) > _THREAD_FROM_BYTES else _compress(body)
        await self._renew_context()
        if self._session is None:
            self._session = self._open_session()
        headers = {**self._our_headers, **self._headers.current(), **self._content_headers}
        try:
            # A redirect could carry the headers' secrets to another host: it is an error like any other 3xx.
            async with self._session.post(
                self._url, data=body, headers=headers, allow_redirects=False, proxy=self._proxy, proxy_auth=self._proxy_auth
            ) as response:
                content = await response.content.read(_MAX_RESPONSE_BYTES)
                return _result(response.status, response.headers.get("Retry-After"), content, len(body))
        except TimeoutError:
            return Result(Verdict.RETRY, "timeout", f"no answer within {self._timeout.total:g} s", sent_bytes=len(body))
        except (aiohttp.ClientError, OSError) as error:
            # It may quote what the server has said, over several lines.
            return Result(Verdict.RETRY, "unreachable", shorten_message(str(error)) or type(error).__name__)

    async def close(self) -> None:
        """See ``Transport``."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _renew_context(self) -> None:
        if self._tls is None or not self._tls.changed():
            return
        try:
            self._context = self._tls.context()
        except TlsError as error:
            _logger.warning("%s; the certificates stay as they were", error)
            return
        await self.close()
        _logger.info("the certificates were read again")

    def _open_session(self) -> aiohttp.ClientSession:
        connector: aiohttp.BaseConnector
        if self._unix_path is not None:
            connector = aiohttp.UnixConnector(self._unix_path, limit=4)
        else:
            secure = True if self._context is None else self._context
            connector = aiohttp.TCPConnector(limit=4, ssl=secure, resolver=Resolver())
        return aiohttp.ClientSession(connector=connector, timeout=self._timeout)


def _compress(body: bytes) -> bytes:
    compressor = zlib.compressobj(1, zlib.DEFLATED, _GZIP_WBITS)
    return compressor.compress(body) + compressor.flush()


def _result(status_code: int, retry_after: str | None, content: bytes, sent_bytes: int) -> Result:
    verdict = judge_status(status_code)
    if verdict is Verdict.DELIVERED:
        rejected, message = parse_partial_success(content)
        return Result(verdict, str(status_code), message, rejected_spans=rejected, sent_bytes=sent_bytes)
    message = shorten_message(content.decode("utf-8", "replace"))
    return Result(verdict, str(status_code), message, parse_retry_after(retry_after, time.time()), sent_bytes=sent_bytes)
