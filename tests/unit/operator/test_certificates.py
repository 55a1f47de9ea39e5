"""Certificates."""

import ssl
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.x509.verification import PolicyBuilder, Store, VerificationError

from haproxy_telemetry_operator.certificates import (
    LIFE,
    ServingCertificate,
    expiry_of,
    is_due,
    make_certificate,
    names_of,
    service_names,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)
NAMES = service_names("injector", "system")
DAY = timedelta(days=1)


@pytest.fixture(scope="module")
def first() -> ServingCertificate:
    return make_certificate(NAMES, NOW)


def trusts(authorities: bytes, certificate: bytes, now: datetime = NOW, name: str = NAMES[0]) -> bool:
    """As a TLS client does."""
    store = Store(x509.load_pem_x509_certificates(authorities))
    verifier = PolicyBuilder().store(store).time(now).build_server_verifier(x509.DNSName(name))
    try:
        verifier.verify(x509.load_pem_x509_certificate(certificate), [])
    except VerificationError:
        return False
    return True


def test_names() -> None:
    assert NAMES == ["injector.system.svc", "injector.system.svc.cluster.local", "injector.system"]


def test_a_client_that_trusts_the_bundle_trusts_the_certificate(first: ServingCertificate) -> None:
    assert all(trusts(first.authorities, first.certificate, name=name) for name in NAMES)
    assert not trusts(first.authorities, first.certificate, name="other.system.svc")
    assert not trusts(make_certificate(NAMES, NOW).authorities, first.certificate), "another authority"
    assert trusts(first.authorities, first.certificate, NOW - timedelta(minutes=4)), "by a clock that is behind"
    assert not trusts(first.authorities, first.certificate, NOW + LIFE + DAY)


def test_the_key_is_the_certificates(first: ServingCertificate) -> None:
    key = load_pem_private_key(first.key, None)
    assert x509.load_pem_x509_certificate(first.certificate).public_key() == key.public_key()
    assert first.data == {"tls.crt": first.certificate, "tls.key": first.key, "ca.crt": first.authorities}


def test_openssl_takes_the_bundle(first: ServingCertificate) -> None:
    context = ssl.create_default_context(cadata=first.authorities.decode())
    assert len(context.get_ca_certs()) == 1


def test_addresses(first: ServingCertificate) -> None:
    certificate = make_certificate(["injector.example", "127.0.0.1", "::1"], NOW).certificate
    assert names_of(certificate) == ["injector.example", "127.0.0.1", "::1"]
    assert names_of(first.certificate) == NAMES


def test_a_long_name_is_no_longer_than_a_subject_may_be() -> None:
    name = f"{'a' * 63}.{'b' * 63}.svc"
    assert names_of(make_certificate([name], NOW).certificate) == [name]


@pytest.mark.parametrize(
    ("names", "now", "due"),
    [
        (NAMES, NOW, False),
        (NAMES[:1], NOW, False),
        (NAMES, NOW + LIFE * 0.66, False),
        (NAMES, NOW + LIFE * 0.67, True),
        (NAMES, NOW + LIFE * 2, True),
        (NAMES, NOW - DAY, True),
        ([*NAMES, "another.name"], NOW, True),
    ],
)
def test_when_it_is_time(first: ServingCertificate, names: list[str], now: datetime, due: bool) -> None:
    assert is_due(first.certificate, names, now) is due


def test_until_an_authority_ends_it_is_in_the_bundle(first: ServingCertificate) -> None:
    later = NOW + LIFE * 0.67
    second = make_certificate(NAMES, later, before=first.authorities)
    assert trusts(second.authorities, second.certificate, later), "the new one"
    assert trusts(second.authorities, first.certificate, later), "the one that is still served"
    assert not trusts(first.authorities, second.certificate, later)
    third = make_certificate(NAMES, NOW + LIFE + DAY, before=second.authorities)
    assert len(x509.load_pem_x509_certificates(third.authorities)) == 2, "the first one has ended"


def test_the_bundle_has_a_bound(first: ServingCertificate) -> None:
    bundle = first.authorities
    for _ in range(5):
        bundle = make_certificate(NAMES, NOW, before=bundle).authorities
    assert len(x509.load_pem_x509_certificates(bundle)) == 3


@pytest.mark.parametrize("text", [b"", b"no PEM", b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"])
def test_what_can_not_be_read(text: bytes) -> None:
    assert is_due(text, NAMES, NOW)
    assert expiry_of(text) is None
    assert names_of(text) == []
    assert len(x509.load_pem_x509_certificates(make_certificate(NAMES, NOW, before=text).authorities)) == 1


def test_expiry(first: ServingCertificate) -> None:
    assert expiry_of(first.certificate) == NOW + LIFE


def test_an_authoritys_own_certificate_has_no_names(first: ServingCertificate) -> None:
    assert names_of(first.authorities) == []
