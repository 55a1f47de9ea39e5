import asyncio
import datetime
import logging
import ssl
from collections import Counter
from pathlib import Path

import pytest

from haproxy_telemetry_operator import serving_tls
from haproxy_telemetry_operator.certificate_secret import secret_body
from haproxy_telemetry_operator.certificates import Pair, dns_names, join_bundle, make_pair
from haproxy_telemetry_operator.serving_tls import CertificateFiles, SecretSink, ServingTls
from support.ports import ADDRESS, free_port

NAMES = dns_names("injector", "telemetry")
NOW = datetime.datetime.now(datetime.UTC)
FIRST, SECOND = make_pair(NAMES, NOW), make_pair(NAMES, NOW)


class Reads:
    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()

    def certificate_read(self, result: str) -> None:
        self.counts[result] += 1


async def served(tls: ServingTls) -> bytes | None:
    """The certificate that a client gets to see; None: the handshake fails."""
    port = free_port()
    server = await asyncio.start_server(lambda _, writer: writer.close(), ADDRESS, port, ssl=tls.context)
    context = ssl.create_default_context(cadata=join_bundle(FIRST.authority, SECOND.authority).decode())
    async with server:
        try:
            _, writer = await asyncio.open_connection(ADDRESS, port, ssl=context, server_hostname=NAMES[0])
        except (ssl.SSLError, ConnectionError):
            return None
        seen = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        writer.close()
        return ssl.DER_cert_to_PEM_cert(seen).encode()


async def test_without_a_certificate_there_is_no_handshake() -> None:
    tls = ServingTls(Reads())
    assert await served(tls) is None
    assert tls.not_after is None


@pytest.mark.parametrize("memory_files", [True, False])
async def test_the_next_handshake_has_the_new_one(monkeypatch: pytest.MonkeyPatch, *, memory_files: bool) -> None:
    if not memory_files:
        monkeypatch.delattr(serving_tls.os, "memfd_create")  # type: ignore[attr-defined]
    reads = Reads()
    tls = ServingTls(reads)
    for pair in (FIRST, SECOND, SECOND):
        tls.use(pair.certificate, pair.key)
        assert await served(tls) == pair.certificate
    assert tls.not_after == SECOND.not_after
    assert reads.counts == {"ok": 2}


@pytest.mark.parametrize("pair", [(b"", b""), (SECOND.certificate, FIRST.key), (SECOND.certificate, b"")])
async def test_one_that_can_not_be_used_is_refused_once_and_the_old_one_stays(
    pair: tuple[bytes, bytes], caplog: pytest.LogCaptureFixture
) -> None:
    reads = Reads()
    tls = ServingTls(reads)
    tls.use(FIRST.certificate, FIRST.key)
    with caplog.at_level(logging.WARNING):
        tls.use(*pair)
        tls.use(*pair)
    assert reads.counts == {"ok": 1, "refused": 1}
    assert "can't be used" in caplog.text
    assert await served(tls) == FIRST.certificate
    assert tls.not_after == FIRST.not_after


async def test_from_a_secret() -> None:
    tls = ServingTls(Reads())
    sink = SecretSink(tls)
    sink.replace([])
    sink.replace([_secret(FIRST)])
    assert await served(tls) == FIRST.certificate
    sink.apply("MODIFIED", _secret(SECOND))
    sink.apply("DELETED", _secret(FIRST))
    sink.apply("MODIFIED", {"metadata": {}})
    assert await served(tls) == SECOND.certificate


async def test_from_files(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tls = ServingTls(Reads())
    files = CertificateFiles(tmp_path, tls)
    files.look()
    assert "can't be read" in caplog.text
    for pair in (FIRST, SECOND):
        (tmp_path / "tls.crt").write_bytes(pair.certificate)
        files.look()
        (tmp_path / "tls.key").write_bytes(pair.key)
        files.look()
        assert await served(tls) == pair.certificate


def _secret(pair: Pair) -> dict[str, object]:
    return secret_body("telemetry", "tls", {"tls.crt": pair.certificate, "tls.key": pair.key}, None)
