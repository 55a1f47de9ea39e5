"""TLS from files that change, with certificates of a real (throw-away) authority."""

import ssl
from pathlib import Path

import pytest
import trustme

from haproxy_telemetry_agent.export.tls import TlsError, TlsFiles


def issue(folder: Path, authority: trustme.CA, name: str = "agent@example.org") -> None:
    """Writes ca.pem, cert.pem and key.pem."""
    certificate = authority.issue_cert(name)
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def folder(tmp_path: Path, authority: trustme.CA) -> Path:
    issue(tmp_path, authority)
    return tmp_path


def files(folder: Path) -> TlsFiles:
    return TlsFiles(
        "exporter.tls",
        ca_file=str(folder / "ca.pem"),
        certificate_file=str(folder / "cert.pem"),
        key_file=str(folder / "key.pem"),
    )


def test_the_own_authority_is_the_only_one(folder: Path) -> None:
    context = files(folder).context()
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1


def test_no_proof_may_be_asked_for() -> None:
    context = TlsFiles("f", ca_file=None, certificate_file=None, key_file=None, verify=False).context()
    assert (context.verify_mode, context.check_hostname) == (ssl.CERT_NONE, False)


def test_what_grpc_is_given(folder: Path) -> None:
    pem = files(folder).pem()
    assert pem.authorities == (folder / "ca.pem").read_bytes()
    assert pem.certificates == (folder / "cert.pem").read_bytes()
    assert pem.key == (folder / "key.pem").read_bytes()


def test_grpc_trusts_whom_the_system_trusts(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    pem = TlsFiles("f", ca_file=None, certificate_file=None, key_file=None).pem()
    assert (pem.authorities, pem.key, pem.certificates) == ((folder / "ca.pem").read_bytes(), None, None)


@pytest.mark.parametrize("take", [TlsFiles.context, TlsFiles.pem])
@pytest.mark.parametrize(
    ("name", "content", "error"),
    [
        ("ca.pem", None, "exporter.tls.caFile: '{folder}/ca.pem': can't be used: No such file or directory"),
        ("ca.pem", "no certificate", "exporter.tls.caFile: '{folder}/ca.pem': can't be used: "),
        (
            "key.pem",
            None,
            "exporter.tls.certificateFile: '{folder}/cert.pem' with keyFile '{folder}/key.pem': can't be used: No such file",
        ),
        ("cert.pem", "", "exporter.tls.certificateFile: '{folder}/cert.pem' with keyFile '{folder}/key.pem': can't be used: "),
    ],
)
def test_a_file_that_cannot_be_used_is_named(folder: Path, take: object, name: str, content: str | None, error: str) -> None:
    assert callable(take)
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(TlsError) as raised:
        take(files(folder))
    assert str(raised.value).startswith(error.format(folder=folder))
    assert "\n" not in str(raised.value)


def test_a_new_certificate_needs_its_key(folder: Path, authority: trustme.CA) -> None:
    watched = files(folder)
    key = (folder / "key.pem").read_bytes()
    issue(folder, authority)
    new_key = (folder / "key.pem").read_bytes()
    (folder / "key.pem").write_bytes(key)
    assert watched.changed()
    with pytest.raises(TlsError):
        watched.context()
    assert not watched.changed()
    (folder / "key.pem").write_bytes(new_key + b"\n")
    assert watched.changed()
    watched.context()
