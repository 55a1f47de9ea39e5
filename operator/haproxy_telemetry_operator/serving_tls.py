"""The certificate that the injector serves with, changed while it serves.

A handshake that has begun ends with the certificate it began with; the next one has the new one. A certificate that can't be used
is refused, and the one before stays.
"""

import datetime
import logging
import os
import ssl
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Protocol

from .certificate_secret import CERTIFICATE, KEY, read_data
from .certificates import CertificateProblem, read_not_after

__all__ = ["CertificateFiles", "CertificateObserver", "SecretSink", "ServingTls"]

_logger = logging.getLogger(__name__)


class CertificateObserver(Protocol):
    """Who counts."""

    def certificate_read(self, result: str) -> None:
        """``ok`` or ``refused``."""
        ...


class ServingTls:
    """What to listen with."""

    def __init__(self, observer: CertificateObserver) -> None:
        self._observer = observer
        self._current: ssl.SSLContext | None = None
        self._seen: tuple[bytes, bytes] | None = None
        self.not_after: datetime.datetime | None = None
        """When the certificate ends, UTC; None: there is none yet, and every handshake fails."""
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        """For good: each handshake goes on with what is current by then."""
        # Called with every ClientHello, one without a server name too.
        self.context.sni_callback = self._choose

    def use(self, certificate: bytes, key: bytes) -> None:
        """Serve with this from now on, if it can be used; both PEM."""
        if (certificate, key) == self._seen:
            return
        self._seen = (certificate, key)
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            not_after = read_not_after(certificate)
            _load(context, certificate, key)
        except (CertificateProblem, OSError) as problem:
            self._observer.certificate_read("refused")
            _logger.warning("the certificate can't be used: %s; it stays as it was", problem)
            return
        self._current, self.not_after = context, not_after
        self._observer.certificate_read("ok")
        _logger.info("serving with a certificate that ends %s", not_after.isoformat())

    def _choose(self, connection: ssl.SSLObject, _server_name: str | None, _context: ssl.SSLContext) -> int | None:
        if self._current is None:
            return ssl.ALERT_DESCRIPTION_INTERNAL_ERROR
        connection.context = self._current
        return None


class SecretSink:
    """A Secret that is followed (``api_watch.Sink``)."""

    def __init__(self, tls: ServingTls) -> None:
        self._tls = tls

    def replace(self, bodies: Iterable[Mapping[str, Any]]) -> None:
        """The Secret, or nothing."""
        for body in bodies:
            self.apply("MODIFIED", body)

    def apply(self, kind: str, body: Mapping[str, Any]) -> None:
        """It changed. A Secret that is deleted is no reason to stop serving."""
        data = read_data(body) or {}
        if kind != "DELETED" and data.get(CERTIFICATE) and data.get(KEY):
            self._tls.use(data[CERTIFICATE], data[KEY])


class CertificateFiles:
    """Files of a folder, ``tls.crt`` and ``tls.key``: a mounted Secret, most likely."""

    def __init__(self, folder: Path, tls: ServingTls) -> None:
        self._folder = folder
        self._tls = tls

    def look(self) -> None:
        """Read them; to be called again and again. Files that are not there, or not both there yet, are waited for."""
        try:
            certificate, key = (self._folder / CERTIFICATE).read_bytes(), (self._folder / KEY).read_bytes()
        except OSError as problem:
            _logger.warning("the certificate can't be read: %s", problem)
            return
        self._tls.use(certificate, key)


def _load(context: ssl.SSLContext, certificate: bytes, key: bytes) -> None:
    """OpenSSL takes files only: this one has no name, and no disk keeps it.

    Raises:
        OSError: it can't be used (an ``ssl.SSLError`` is one).
    """
    text = certificate + b"\n" + key
    if hasattr(os, "memfd_create"):
        with os.fdopen(os.memfd_create("certificate", os.MFD_CLOEXEC), "wb") as file:
            file.write(text)
            file.flush()
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
    else:
        with tempfile.NamedTemporaryFile() as file:
            file.write(text)
            file.flush()
            context.load_cert_chain(file.name)
