"""Certificates for the injector, made here: an API server talks to a webhook over TLS only, and nothing else has to be installed.

Each serving certificate has a certificate authority (CA) of its own, whose key is forgotten as soon as it has signed: there is no
key of an authority that somebody could steal, and one kind of rotation instead of two. The API server is told the authority's
certificate.
"""

import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

__all__ = ["LIFE", "CertificateProblem", "Pair", "dns_names", "join_bundle", "make_pair", "read_not_after", "split_bundle"]

LIFE = datetime.timedelta(days=90)
_SKEW = datetime.timedelta(hours=1)
"""How far the clock of an API server may be behind ours."""
_PUBLIC_KEY_USE = x509.KeyUsage(
    digital_signature=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
_AUTHORITY_KEY_USE = x509.KeyUsage(
    digital_signature=False,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    key_cert_sign=True,
    crl_sign=True,
    encipher_only=False,
    decipher_only=False,
)


class CertificateProblem(ValueError):
    """PEM that is no certificate, or not what is needed; the message says which."""


@dataclass(frozen=True)
class Pair:
    """A serving certificate, its key and the authority that signed it; each PEM."""

    certificate: bytes
    key: bytes
    authority: bytes

    @classmethod
    def checked(cls, *, certificate: bytes, key: bytes, authority: bytes) -> Self:
        """From PEM that somebody else may have written.

        Raises:
            CertificateProblem: one of them can't be read, the key is another certificate's, or the authority has not signed it.
        """
        pair = cls(certificate=certificate, key=key, authority=authority)
        leaf, signer = _read(certificate), _read(authority)
        try:
            private = serialization.load_pem_private_key(key, password=None)
        except (ValueError, TypeError):
            raise CertificateProblem("the key can't be read") from None
        if private.public_key() != leaf.public_key():
            raise CertificateProblem("the key is another certificate's")
        try:
            leaf.verify_directly_issued_by(signer)
        except (InvalidSignature, ValueError, TypeError):
            raise CertificateProblem("the certificate is from another authority") from None
        return pair

    @property
    def not_before(self) -> datetime.datetime:
        """UTC."""
        return _read(self.certificate).not_valid_before_utc

    @property
    def not_after(self) -> datetime.datetime:
        """When it can be used no more; UTC."""
        return min(_read(self.certificate).not_valid_after_utc, _read(self.authority).not_valid_after_utc)

    @property
    def rotate_at(self) -> datetime.datetime:
        """When two thirds of its life are over."""
        return self.not_before + (self.not_after - self.not_before) * 2 / 3

    def covers(self, names: Sequence[str]) -> bool:
        """Whether it is good for all these names."""
        try:
            alternatives = _read(self.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except x509.ExtensionNotFound:
            return False
        addresses = map(str, alternatives.get_values_for_type(x509.IPAddress))
        return set(names) <= {*alternatives.get_values_for_type(x509.DNSName), *addresses}


def dns_names(service: str, namespace: str) -> tuple[str, ...]:
    """What a Service is called in a cluster; API servers ask for ``<service>.<namespace>.svc``, which comes first."""
    return (f"{service}.{namespace}.svc", f"{service}.{namespace}.svc.cluster.local", f"{service}.{namespace}", service)


def make_pair(names: Sequence[str], now: datetime.datetime, *, life: datetime.timedelta = LIFE) -> Pair:
    """A new authority and a serving certificate of it, ECDSA on P-256.

    Args:
        names: DNS names and addresses, at least one.
        now: UTC.
        life: from now on.
    """
    authority_key = ec.generate_private_key(ec.SECP256R1())
    key = ec.generate_private_key(ec.SECP256R1())
    serial = x509.random_serial_number()
    # The serial number tells authorities apart: of two with one name, a verifier would try the wrong one.
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"haproxy-telemetry {serial:x}")])
    identifier = x509.SubjectKeyIdentifier.from_public_key(authority_key.public_key())
    authority = (
        _builder(authority_name, authority_name, authority_key, serial=serial, now=now, life=life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_AUTHORITY_KEY_USE, critical=True)
        .add_extension(identifier, critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    # A common name has 64 characters at most; the alternative names are what counts.
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "haproxy-telemetry-injector")])
    certificate = (
        _builder(subject, authority_name, key, serial=x509.random_serial_number(), now=now, life=life)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_PUBLIC_KEY_USE, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    return Pair(
        certificate=certificate.public_bytes(serialization.Encoding.PEM),
        key=key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        authority=authority.public_bytes(serialization.Encoding.PEM),
    )


def read_not_after(certificates: bytes) -> datetime.datetime:
    """When the first certificate of a PEM text ends, UTC.

    Raises:
        CertificateProblem: there is none that can be read.
    """
    return _read(certificates).not_valid_after_utc


def split_bundle(bundle: bytes) -> list[bytes]:
    """The certificates of a PEM text, each once, in its order.

    Raises:
        CertificateProblem: there is none, or one can't be read.
    """
    try:
        certificates = x509.load_pem_x509_certificates(bundle)
    except ValueError:
        raise CertificateProblem("there is no certificate in it, or one that can't be read") from None
    return list(dict.fromkeys(certificate.public_bytes(serialization.Encoding.PEM) for certificate in certificates))


def join_bundle(*certificates: bytes) -> bytes:
    """One PEM text of several, each once."""
    return b"".join(dict.fromkeys(certificates))


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _read(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError:
        raise CertificateProblem("the certificate can't be read") from None


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    serial: int,
    now: datetime.datetime,
    life: datetime.timedelta,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + life)
    )
