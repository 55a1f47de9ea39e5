"""Certificates of the injector: an authority and a serving certificate of our own, and when it is time for new ones.

Both are made together and live in one Secret. At two thirds of its life a certificate is followed by one of a new authority; until
the old one ends, both authorities are in the bundle, so that no API server and no injector ever meets a stranger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["LIFE", "ServingCertificate", "expiry_of", "is_due", "make_certificate", "names_of", "service_names"]

LIFE = timedelta(days=90)
_BACKDATED = timedelta(minutes=5)
"""For clocks that are behind ours."""
_MAX_AUTHORITIES = 3


@dataclass(frozen=True)
class ServingCertificate:
    """What is in the Secret, as PEM."""

    certificate: bytes
    key: bytes
    authorities: bytes
    """The bundle: our authority first, then those before it that have not ended."""

    @property
    def data(self) -> Mapping[str, bytes]:
        """By the keys of a kubernetes.io/tls Secret."""
        return {"tls.crt": self.certificate, "tls.key": self.key, "ca.crt": self.authorities}


def service_names(service: str, namespace: str) -> list[str]:
    """What the API server may call a Service."""
    return [f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local", f"{service}.{namespace}"]


def make_certificate(names: Sequence[str], now: datetime, *, before: bytes = b"", life: timedelta = LIFE) -> ServingCertificate:
    """A new authority and a certificate of it.

    Args:
        names: DNS names and addresses, the first one is the subject's.
        now: in UTC.
        before: the bundle so far.
        life: how long both are valid.
    """
    authority_key, serving_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"haproxy-telemetry {now:%Y-%m-%d %H:%M}")])
    until = now + life
    authority = (
        x509.CertificateBuilder()
        .subject_name(issuer)
        .issuer_name(issuer)
        .public_key(authority_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])]))
        .issuer_name(issuer)
        .public_key(serving_key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    bundle = [authority, *_still_valid(before, now)][:_MAX_AUTHORITIES]
    return ServingCertificate(
        _pem(certificate),
        serving_key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        b"".join(map(_pem, bundle)),
    )


def is_due(certificate: bytes, names: Sequence[str], now: datetime) -> bool:
    """Whether it is time for a new one: two thirds of its life are over, its names are others, or it can't be read."""
    try:
        found = x509.load_pem_x509_certificate(certificate)
    except ValueError:
        return True
    start, end = found.not_valid_before_utc, found.not_valid_after_utc
    return not set(names) <= set(names_of(certificate)) or now > start + (end - start) * 2 / 3 or now < start


def expiry_of(certificate: bytes) -> datetime | None:
    """When it ends, in UTC; None if it can't be read."""
    try:
        return x509.load_pem_x509_certificate(certificate).not_valid_after_utc
    except ValueError:
        return None


def names_of(certificate: bytes) -> list[str]:
    """Its DNS names and addresses; none if it can't be read."""
    try:
        extension = x509.load_pem_x509_certificate(certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return []
    addresses = extension.value.get_values_for_type(x509.IPAddress)
    return [*extension.value.get_values_for_type(x509.DNSName), *map(str, addresses)]


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _still_valid(bundle: bytes, now: datetime) -> list[x509.Certificate]:
    try:
        found = x509.load_pem_x509_certificates(bundle) if bundle.strip() else []
    except ValueError:
        return []
    return [certificate for certificate in found if certificate.not_valid_after_utc > now]


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)
