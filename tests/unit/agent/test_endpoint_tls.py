"""TLS of the endpoint, by real handshakes in memory with certificates of real (throw-away) authorities."""

import logging
import os
import ssl
from pathlib import Path

import pytest
import trustme

from haproxy_telemetry_agent.endpoint_tls import EndpointTls, make_endpoint_tls
from haproxy_telemetry_agent.export.tls import TlsError
from haproxy_telemetry_agent.settings import SettingsError
from haproxy_telemetry_agent.settings.http_tls import HttpTls

FIELD = "listen.httpTls"


def write(folder: Path, authority: trustme.CA, *, clients: trustme.CA | None = None) -> None:
    """The agent's certificate and key, and the authority of its clients."""
    certificate = authority.issue_cert("agent.example")
    certificate.private_key_pem.write_to_path(str(folder / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(folder / "cert.pem"))
    (clients or authority).cert_pem.write_to_path(str(folder / "ca.pem"))


def endpoint_tls(folder: Path, *, ca: bool = True) -> EndpointTls:
    return EndpointTls(
        FIELD,
        certificate_file=str(folder / "cert.pem"),
        key_file=str(folder / "key.pem"),
        client_ca_file=str(folder / "ca.pem") if ca else None,
    )


def client_of(authority: trustme.CA, *, own: trustme.CA | None = None) -> ssl.SSLContext:
    """A client that trusts `authority`, with a certificate of `own`."""
    context = ssl.create_default_context()
    authority.configure_trust(context)
    if own is not None:
        own.issue_cert("client@example.org").configure_cert(context)
    return context


def shake_hands(tls: EndpointTls, client: ssl.SSLContext, *, server_name: str | None = "agent.example") -> object:
    """The client's certificate, as the server has verified it; SSLError if one does not believe the other."""
    client.check_hostname = server_name is not None
    ends = [(ssl.MemoryBIO(), ssl.MemoryBIO()) for _ in range(2)]
    (to_server, to_client), _ = ends
    server = tls.context.wrap_bio(to_server, to_client, server_side=True)
    caller = client.wrap_bio(to_client, to_server, server_hostname=server_name)
    pending = [caller, server]
    for _ in range(20):
        for end in list(pending):
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
            pending.remove(end)
    assert not pending
    return server.getpeercert()


def test_clients_may_come_with_a_certificate_or_without(tmp_path: Path) -> None:
    authority, clients = trustme.CA(), trustme.CA()
    write(tmp_path, authority, clients=clients)
    tls = endpoint_tls(tmp_path)
    assert tls.asks_for_certificates
    assert shake_hands(tls, client_of(authority, own=clients))
    assert not shake_hands(tls, client_of(authority))
    with pytest.raises(ssl.SSLError):
        shake_hands(tls, client_of(authority, own=trustme.CA()))


def test_nobody_is_asked_for_one_without_need(tmp_path: Path) -> None:
    authority = trustme.CA()
    write(tmp_path, authority)
    tls = endpoint_tls(tmp_path, ca=False)
    assert not tls.asks_for_certificates
    assert not shake_hands(tls, client_of(authority, own=authority))


@pytest.mark.parametrize("server_name", ["agent.example", None])
def test_files_that_change_are_used_with_the_next_connection(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, server_name: str | None
) -> None:
    caplog.set_level(logging.INFO)
    old, new, old_clients, new_clients = (trustme.CA() for _ in range(4))
    write(tmp_path, old, clients=old_clients)
    tls = endpoint_tls(tmp_path)
    shake_hands(tls, client_of(old, own=old_clients), server_name=server_name)
    assert caplog.messages == []
    write(tmp_path, new, clients=new_clients)
    assert shake_hands(tls, client_of(new, own=new_clients), server_name=server_name)
    assert caplog.messages == ["listen.httpTls: the certificates were read again"]
    for client in (client_of(old), client_of(new, own=old_clients)):
        with pytest.raises(ssl.SSLError):
            shake_hands(tls, client, server_name=server_name)


def test_files_that_do_not_go_together_change_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    old, new = trustme.CA(), trustme.CA()
    write(tmp_path, old)
    tls = endpoint_tls(tmp_path)
    key = (tmp_path / "key.pem").read_bytes()
    write(tmp_path, new)
    (new_key := tmp_path / "new-key.pem").write_bytes((tmp_path / "key.pem").read_bytes())
    (tmp_path / "key.pem").write_bytes(key)
    shake_hands(tls, client_of(old))
    shake_hands(tls, client_of(old))
    (warning,) = caplog.messages
    assert warning.startswith("listen.httpTls.certificateFile: ")
    assert warning.endswith("; the certificates stay as they were")
    os.replace(new_key, tmp_path / "key.pem")  # noqa: PTH105 - what a renewal does
    shake_hands(tls, client_of(new))


def test_a_session_is_not_resumed(tmp_path: Path) -> None:
    authority = trustme.CA()
    write(tmp_path, authority)
    context = endpoint_tls(tmp_path).context
    assert context.num_tickets == 0
    assert ssl.OP_NO_TICKET in context.options
    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("broken", "field", "reason"),
    [
        ("cert.pem", "certificateFile", "can't be used: "),
        ("key.pem", "certificateFile", "can't be used: "),
        ("ca.pem", "clientCaFile", "can't be used: "),
    ],
)
@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_wrong_file_is_named(tmp_path: Path, broken: str, field: str, reason: str, content: bytes | None) -> None:
    write(tmp_path, trustme.CA())
    if content is None:
        (tmp_path / broken).unlink()
    else:
        (tmp_path / broken).write_bytes(content)
    with pytest.raises(TlsError) as raised:
        endpoint_tls(tmp_path)
    text = str(raised.value)
    assert text.startswith(f"{FIELD}.{field}: ")
    assert str(tmp_path / broken) in text
    assert reason in text
    assert "\n" not in text


def test_settings_become_it(tmp_path: Path) -> None:
    write(tmp_path, trustme.CA())
    assert make_endpoint_tls(HttpTls()) is None
    names = {"certificate_file": str(tmp_path / "cert.pem"), "key_file": str(tmp_path / "key.pem")}
    made = make_endpoint_tls(HttpTls(**names))
    assert made is not None
    with pytest.raises(SettingsError, match=r"^listen\.httpTls\.clientCaFile: '/none': can't be used: No such file or directory$"):
        make_endpoint_tls(HttpTls(**names, client_ca_file="/none"))
