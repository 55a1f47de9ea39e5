"""``haproxy-telemetry-agent tail``: follows a running agent, and writes what it sees to standard output.

A plain HTTP client without a loop: it has nothing to do but to wait for the next line. The agent sends an empty one when nothing
happens, so that silence means that it is gone.
"""

import http.client
import shutil
import socket
import ssl
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TextIO
from urllib.parse import urlencode, urlsplit

import msgspec

from .debug.tail_event import TailEvent, decode_event
from .debug.tail_text import exchange_lines
from .version import VERSION

__all__ = ["TailError", "Target", "TlsOptions", "follow", "target_of_address", "target_of_url", "write_events"]

_PATH = "/debug/tail"
_CONNECT_SECONDS = 5.0
_SILENCE_SECONDS = 30.0
"""Three times as long as the agent is ever silent."""
_MAX_LINE_BYTES = 16 * 1024 * 1024
_MAX_REASON_BYTES = 2_000
_COLUMNS_WITHOUT_TERMINAL = 120
_EVERYWHERE = {"": "127.0.0.1", "*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}


class TailError(Exception):
    """The agent can't be followed, or not any longer: why, in one line."""


class Target(NamedTuple):
    """Where an agent is."""

    name: str
    """As the user knows it."""
    host: str
    port: int
    path: str = _PATH
    secure: bool = False
    unix_path: str | None = None
    pinned_file: str | None = None
    """A file with the very certificate it must show, whatever name is in it."""


class TlsOptions(NamedTuple):
    """What the user says of TLS."""

    ca_file: str | None = None
    """Whose certificates agents have; None: the system's authorities, or the file of the settings."""
    certificate_file: str | None = None
    """Ours, for an agent that asks for one."""
    key_file: str | None = None


_NO_OPTIONS = TlsOptions()


def target_of_address(address: str, certificate_file: str | None = None) -> Target:
    """Where the agent is that listens on an address of the settings (``host:port`` or ``unix:/path``), with this certificate."""
    secure = certificate_file is not None
    if address.startswith("unix:"):
        path = address.removeprefix("unix:")
        return Target(address, "localhost", 80, secure=secure, unix_path=path, pinned_file=certificate_file)
    host, _, port = address.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    return Target(address, _EVERYWHERE.get(host, host), int(port), secure=secure, pinned_file=certificate_file)


def target_of_url(url: str) -> Target:
    """Where the agent is that a user names.

    Raises:
        ValueError: this is no such URL.
    """
    if url.startswith("unix:/"):
        return target_of_address(url)
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None:
        raise ValueError(f"{url!r}: expected a URL such as http://127.0.0.1:9464, or unix:/path")
    secure = parts.scheme == "https"
    path = parts.path.rstrip("/")
    return Target(
        url, parts.hostname, parts.port or (443 if secure else 80), path if path.endswith(_PATH) else path + _PATH, secure
    )


def follow(target: Target, query: Mapping[str, str], tls: TlsOptions = _NO_OPTIONS) -> Iterator[bytes]:
    """Lines of an agent, as they come; ends when the agent does.

    Args:
        target: where it is.
        query: what is wanted, see ``debug.tails.TailFilter``.
        tls: what the user says of TLS.

    Raises:
        TailError: it is not there, refuses, or has gone without a word.
    """
    connection = _connection(target, tls)
    try:
        response = _request(connection, target, query)
        while True:
            try:
                line = response.readline(_MAX_LINE_BYTES)
            except TimeoutError:
                raise TailError(f"{target.name} has been silent for {_SILENCE_SECONDS:g} s") from None
            except (OSError, http.client.HTTPException, ValueError):
                raise TailError(f"{target.name} has gone away") from None
            if not line:
                return
            yield line
    finally:
        connection.close()


def _request(connection: http.client.HTTPConnection, target: Target, query: Mapping[str, str]) -> http.client.HTTPResponse:
    try:
        connection.connect()
        connection.sock.settimeout(_SILENCE_SECONDS)
        path = f"{target.path}?{urlencode(query)}" if query else target.path
        connection.request("GET", path, headers={"User-Agent": f"haproxy-telemetry-agent/{VERSION}"})
        response = connection.getresponse()
        if response.status != http.HTTPStatus.OK:
            reason = " ".join(response.read(_MAX_REASON_BYTES).decode("utf-8", "replace").split())
            raise TailError(f"{target.name} refuses ({response.status}): {reason or response.reason}")
        if not response.getheader("Content-Type", "").startswith("application/x-ndjson"):
            raise TailError(f"{target.name} answers, but is no agent that can be followed")
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        raise TailError(f"{target.name} can't be reached: {reason}: does the agent run, and is this its listen.http?") from None
    except http.client.HTTPException as error:
        raise TailError(f"{target.name} does not speak HTTP: {type(error).__name__}: is this the agent's listen.http?") from None
    return response


def _connection(target: Target, tls: TlsOptions) -> http.client.HTTPConnection:
    context = _context(target, tls) if target.secure else None
    if target.unix_path is not None:
        return _UnixConnection(target.unix_path, context)
    if context is not None:
        return http.client.HTTPSConnection(target.host, target.port, timeout=_CONNECT_SECONDS, context=context)
    return http.client.HTTPConnection(target.host, target.port, timeout=_CONNECT_SECONDS)


def _context(target: Target, tls: TlsOptions) -> ssl.SSLContext:
    pinned = tls.ca_file is None and target.pinned_file is not None
    try:
        context = ssl.create_default_context(cafile=target.pinned_file if pinned else tls.ca_file)
        if tls.certificate_file is not None:
            # A key with a passphrase would make OpenSSL ask for it on the terminal.
            context.load_cert_chain(tls.certificate_file, tls.key_file, password="")
    except OSError as error:
        files = ", ".join(str(name) for name in (tls.ca_file or target.pinned_file, tls.certificate_file, tls.key_file) if name)
        raise TailError(f"TLS: {files}: can't be used: {error.strerror or error}") from None
    if pinned:
        # Who has its key is who we want to speak to: this machine's address is in few certificates.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        context.check_hostname = False
    return context


class _UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, context: ssl.SSLContext | None) -> None:
        super().__init__("localhost", timeout=_CONNECT_SECONDS)
        self._path = path
        self._context = context

    def connect(self) -> None:
        """See ``HTTPConnection``."""
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
        if self._context is not None:
            self.sock = self._context.wrap_socket(self.sock, server_hostname="localhost")


def write_events(lines: Iterator[bytes], out: TextIO, tell: TextIO, *, as_json: bool, environ: Mapping[str, str]) -> None:
    """Write what an agent sends, until it ends.

    Args:
        lines: see ``follow``.
        out: exchanges go here.
        tell: what is about the tail itself goes here.
        as_json: a line of JSON for each exchange, instead of waterfalls.
        environ: ``NO_COLOR`` and ``TERM`` are looked at.

    Raises:
        TailError: what comes is not from an agent, or ends without a word.
    """
    on_terminal = out.isatty()
    colored = on_terminal and not environ.get("NO_COLOR") and environ.get("TERM") != "dumb"
    for line in lines:
        try:
            event = decode_event(line)
        except ValueError as error:
            raise TailError(f"this is not from an agent of version {VERSION}: {error}") from None
        if event is None:
            continue
        if event.exchange is not None and as_json:
            out.write(msgspec.json.encode(event.exchange).decode() + "\n")
        elif event.exchange is not None:
            columns = shutil.get_terminal_size().columns if on_terminal else _COLUMNS_WITHOUT_TERMINAL
            text = "\n".join(exchange_lines(event.exchange, columns=columns, colored=colored))
            out.write(text + ("\n\n" if event.exchange.spans else "\n"))
        out.flush()
        _tell(event, tell)
        if event.end is not None:
            return
    raise TailError("the agent has gone away without a word")


def _tell(event: TailEvent, tell: TextIO) -> None:
    if event.agent is not None and tell.isatty():
        tell.write(f"following {event.agent.service_name} (agent {event.agent.version}), Ctrl-C ends\n")
    if event.lost:
        tell.write(f"{event.lost} exchanges were lost here: they came faster than they were read\n")
    if event.end is not None:
        tell.write(f"the end: {event.end}\n")
    tell.flush()
