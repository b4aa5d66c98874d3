"""Judging and issuing certificates. The private keys stay where they were born: on the hosts."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# CA/Browser Forum ballot SC-081 shortens lifetimes year by year; 90 days is what Let's Encrypt gives.
LIFETIME = dt.timedelta(days=90)
RENEW_BEFORE = dt.timedelta(days=30)


@dataclass(frozen=True)
class Authority:
    """A certificate authority whose key is at hand: PEM texts."""

    certificate: str
    key: str


def is_good(
    certificate: str, public_key: str, names: tuple[str, ...], issuer: str | None, now: dt.datetime
) -> bool:
    """Whether a certificate covers exactly `names`, fits the key and is not due for renewal.

    `issuer` is the PEM certificate of the authority that must have signed it; None accepts any.
    """
    if not certificate or not public_key:
        return False
    try:
        found = x509.load_pem_x509_certificate(certificate.encode())
        key = serialization.load_pem_public_key(public_key.encode())
        alternatives = found.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        if issuer is not None:
            found.verify_directly_issued_by(x509.load_pem_x509_certificate(issuer.encode()))
    except Exception:  # noqa: BLE001 - whatever is wrong with it, it is not good
        return False
    return (
        set(alternatives.value.get_values_for_type(x509.DNSName)) == set(names)
        and found.public_key() == key
        and found.not_valid_before_utc <= now < found.not_valid_after_utc - RENEW_BEFORE
    )


def sign(request: str, names: tuple[str, ...], authority: Authority, now: dt.datetime) -> str:
    """A server certificate for the key in `request` (PEM), valid for `names`; PEM.

    The first name becomes the common name where it fits into 64 characters (RFC 5280, A.1).
    """
    csr = x509.load_pem_x509_csr(request.encode())
    issuer = x509.load_pem_x509_certificate(authority.certificate.encode())
    key = serialization.load_pem_private_key(authority.key.encode(), password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not an elliptic curve key")
    common = [x509.NameAttribute(NameOID.COMMON_NAME, names[0])] if len(names[0]) <= 64 else []
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name(common))
        .issuer_name(issuer.subject)
        .public_key(csr.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(minutes=5))
        .not_valid_after(now + LIFETIME)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
