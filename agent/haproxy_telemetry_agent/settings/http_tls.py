"""Settings of TLS on the agent's own HTTP endpoint."""

from typing import Annotated

import msgspec

from .explanation import SettingsError
from .types import Struct

__all__ = ["HttpTls", "check_http_tls"]

FilePath = Annotated[str, msgspec.Meta(min_length=1)]


class HttpTls(Struct, frozen=True):
    """TLS of listen.http, by certificateFile and keyFile. The files are read again when they change."""

    certificate_file: FilePath | None = None
    """The certificate, and those between it and its authority."""
    key_file: FilePath | None = None
    client_ca_file: FilePath | None = None
    """Whose certificates a client must have one of, for all but /healthz and /readyz."""


def check_http_tls(tls: HttpTls) -> None:
    """What no field shows by itself.

    Raises:
        SettingsError: names the field and the fix.
    """
    if (tls.certificate_file is None) != (tls.key_file is None):
        raise SettingsError("listen.httpTls: certificateFile and keyFile belong together: set both or neither")
    if tls.client_ca_file is not None and tls.certificate_file is None:
        raise SettingsError(
            f"listen.httpTls.clientCaFile: {tls.client_ca_file!r} without certificateFile and keyFile: without TLS nobody shows a "
            "certificate: set them, or drop it"
        )
