"""TLS to a collector, from files that may change while the agent runs.

Certificates that live for a day are renewed under a running agent. Files that do not go together (a new certificate, and its key
not there yet) are refused, and the old ones stay in use until both are there.
"""

import ssl
from pathlib import Path
from typing import NamedTuple

from .watched_files import WatchedFiles

__all__ = ["Pem", "TlsError", "TlsFiles", "load_certificate"]


class TlsError(Exception):
    """A file can't be used: which setting, which file, why."""


class Pem(NamedTuple):
    """What gRPC wants to be given instead of files; None is its own default."""

    authorities: bytes | None
    key: bytes | None
    certificates: bytes | None


class TlsFiles:
    """The files of one destination.

    Args:
        field: the setting they are from, such as ``exporter.tls``; for errors.
        ca_file: whom to trust; None for the system's authorities.
        certificate_file, key_file: who we are, both or neither.
        verify: whether the collector has to prove who it is.
    """

    __slots__ = ("_ca_file", "_certificate_file", "_field", "_key_file", "_verify", "_watched")

    def __init__(
        self, field: str, *, ca_file: str | None, certificate_file: str | None, key_file: str | None, verify: bool = True
    ) -> None:
        self._field = field
        self._ca_file = ca_file
        self._certificate_file = certificate_file
        self._key_file = key_file
        self._verify = verify
        self._watched = WatchedFiles(path for path in (ca_file, certificate_file, key_file) if path is not None)

    def changed(self) -> bool:
        """Whether the files are others than when last asked: ``context`` and ``pem`` give something new then."""
        return self._watched.changed()

    def context(self) -> ssl.SSLContext:
        """What the files say now.

        Raises:
            TlsError: one of them can't be used.
        """
        try:
            context = ssl.create_default_context(cafile=self._ca_file)
        except OSError as error:
            raise TlsError(f"{self._field}.caFile: {self._ca_file!r}: can't be used: {error.strerror or error}") from None
        if not self._verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        if self._certificate_file is not None:
            load_certificate(context, self._field, self._certificate_file, self._key_file)
        return context

    def pem(self) -> Pem:
        """The files' content, checked as ``context`` does: gRPC itself only says that no connection can be made.

        Raises:
            TlsError: one of them can't be used.
        """
        self.context()
        authorities = self._ca_file or ssl.get_default_verify_paths().cafile
        return Pem(self._read(authorities), self._read(self._key_file), self._read(self._certificate_file))

    def _read(self, path: str | None) -> bytes | None:
        if path is None:
            return None
        try:
            return Path(path).read_bytes()
        except OSError as error:
            raise TlsError(f"{self._field}: {path!r}: can't be read: {error.strerror}") from None


def load_certificate(context: ssl.SSLContext, field: str, certificate_file: str, key_file: str | None) -> None:
    """Load who we are; ``field`` is the setting the files are from.

    Raises:
        TlsError: they can't be used, or do not go together.
    """
    try:
        # A key with a passphrase would make OpenSSL ask for it on the terminal.
        context.load_cert_chain(certificate_file, key_file, password="")
    except OSError as error:
        raise TlsError(
            f"{field}.certificateFile: {certificate_file!r} with keyFile {key_file!r}: can't be used: {error.strerror or error}"
        ) from None
