"""The lab's certificate authority, SSH keys and TSIG key. All are made anew by `up`."""

from __future__ import annotations

import base64
import datetime
import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_VALID = datetime.timedelta(days=3650)
_CLOCK_SLACK = datetime.timedelta(days=1)


@dataclass(frozen=True)
class SshKey:
    """An Ed25519 key: `public` is one line without a comment."""

    private: str = field(repr=False)
    public: str


@dataclass(frozen=True)
class Certificate:
    """A certificate and its key, PEM; `spki_sha256` is what a TLSA 3 1 1 record holds."""

    certificate: str
    key: str = field(repr=False)
    spki_sha256: str


@dataclass(frozen=True)
class Authority:
    """A certificate authority that signs for the hosts of one lab."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    @property
    def certificate_pem(self) -> str:
        return self.certificate.public_bytes(Encoding.PEM).decode()

    def issue(self, names: Sequence[str]) -> Certificate:
        """A server certificate for `names`, with a new key."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = (
            _builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), key)
            .issuer_name(self.certificate.subject)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), False
            )
        )
        certificate = builder.sign(self.key, hashes.SHA256())
        spki = key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return Certificate(
            certificate=certificate.public_bytes(Encoding.PEM).decode(),
            key=private_pem(key),
            spki_sha256=hashlib.sha256(spki).hexdigest(),
        )


def new_authority(common_name: str) -> Authority:
    """A new self-signed authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    certificate = (
        _builder(name, key)
        .issuer_name(name)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .add_extension(usage, True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate, key)


def new_ssh_key() -> SshKey:
    """A new key in OpenSSH's format, without a passphrase."""
    key = ed25519.Ed25519PrivateKey.generate()
    return SshKey(
        private=key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()).decode(),
        public=key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode(),
    )


def new_tsig_secret() -> str:
    """A secret for hmac-sha256, base64."""
    return base64.b64encode(secrets.token_bytes(32)).decode()


def private_pem(key: ec.EllipticCurvePrivateKey) -> str:
    """A private key in PKCS #8, not encrypted."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _builder(name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _CLOCK_SLACK)
        .not_valid_after(now + _VALID)
    )
