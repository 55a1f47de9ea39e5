"""TLS of the HTTP endpoint, from files that may change while the agent runs.

They are looked at with each new connection, so nothing has to poll. Files that can't be used, or do not go together (a new
certificate, and its key not there yet), are refused, and the old ones stay in use.

Whoever asks for clients' certificates still has to let probes in: a kubelet has none. So clients may come without one, and what
they may see then is for the endpoint to say; one that can't be verified ends the handshake.
"""

import logging
import ssl

from .export.tls import TlsError, load_certificate
from .export.watched_files import WatchedFiles
from .settings import SettingsError
from .settings.http_tls import HttpTls

__all__ = ["EndpointTls", "make_endpoint_tls"]

_logger = logging.getLogger(__name__)


class EndpointTls:
    """The files of the endpoint.

    Args:
        field: the setting they are from; for errors.
        certificate_file, key_file: who we are.
        client_ca_file: whose certificates clients must have; None: they need none.

    Raises:
        TlsError: one of the files can't be used.
    """

    __slots__ = ("_certificate_file", "_client_ca_file", "_current", "_field", "_key_file", "_watched", "context")

    def __init__(self, field: str, *, certificate_file: str, key_file: str, client_ca_file: str | None) -> None:
        self._field = field
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._client_ca_file = client_ca_file
        self._watched = WatchedFiles(path for path in (certificate_file, key_file, client_ca_file) if path is not None)
        self._current = self._load()
        self.context = self._load()
        """What to listen with, for good: each handshake goes on with what the files say by then."""
        # Called with every ClientHello, one without a server name too.
        self.context.sni_callback = self._choose

    @property
    def asks_for_certificates(self) -> bool:
        """Whether clients need a certificate."""
        return self._client_ca_file is not None

    def _choose(self, connection: ssl.SSLObject, _server_name: str | None, _context: ssl.SSLContext) -> None:
        if self._watched.changed():
            try:
                self._current = self._load()
                _logger.info("%s: the certificates were read again", self._field)
            except TlsError as error:
                _logger.warning("%s; the certificates stay as they were", error)
        connection.context = self._current

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        # A resumed session would go on with a certificate that is trusted no more.
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
        load_certificate(context, self._field, self._certificate_file, self._key_file)
        if self._client_ca_file is not None:
            context.verify_mode = ssl.CERT_OPTIONAL
            try:
                context.load_verify_locations(self._client_ca_file)
            except OSError as error:
                raise TlsError(
                    f"{self._field}.clientCaFile: {self._client_ca_file!r}: can't be used: {error.strerror or error}"
                ) from None
        return context


def make_endpoint_tls(settings: HttpTls) -> EndpointTls | None:
    """What checked settings describe; None without TLS.

    Raises:
        SettingsError: a file can't be used.
    """
    if settings.certificate_file is None or settings.key_file is None:
        return None
    try:
        return EndpointTls(
            "listen.httpTls",
            certificate_file=settings.certificate_file,
            key_file=settings.key_file,
            client_ca_file=settings.client_ca_file,
        )
    except TlsError as error:
        raise SettingsError(str(error)) from None
