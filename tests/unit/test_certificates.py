"""When a certificate is good enough to stay, and what the lab's authority issues."""

from __future__ import annotations

import datetime as dt

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.certificates import LIFETIME, RENEW_BEFORE, Authority, is_good, sign

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
NAMES = ("mta1.shop.example", "smtp.shop.example")
KEY = ec.generate_private_key(ec.SECP256R1())


def pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode()


def authority(name: str = "lab") -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW - dt.timedelta(days=1))
        .not_valid_after(NOW + dt.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    return Authority(certificate.public_bytes(serialization.Encoding.PEM).decode(), private(key))


LAB = authority()
REQUEST = (
    x509.CertificateSigningRequestBuilder()
    .subject_name(x509.Name([]))
    .sign(KEY, hashes.SHA256())
    .public_bytes(serialization.Encoding.PEM)
    .decode()
)


def test_what_the_authority_issues_is_good() -> None:
    issued = sign(REQUEST, NAMES, LAB, NOW)
    assert is_good(issued, pem(KEY), NAMES, LAB.certificate, NOW)
    assert is_good(issued, pem(KEY), NAMES[::-1], None, NOW)
    found = x509.load_pem_x509_certificate(issued.encode())
    assert found.subject.rfc4514_string() == f"CN={NAMES[0]}"
    usage = found.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.SERVER_AUTH]
    constraints = found.extensions.get_extension_for_class(x509.BasicConstraints).value
    assert constraints.ca is False


def test_a_long_name_stands_among_the_alternatives_only() -> None:
    long = f"{'a' * 40}.{'b' * 40}.example"
    found = x509.load_pem_x509_certificate(sign(REQUEST, (long,), LAB, NOW).encode())
    assert found.subject.rfc4514_string() == ""
    assert is_good(sign(REQUEST, (long,), LAB, NOW), pem(KEY), (long,), LAB.certificate, NOW)


@pytest.mark.parametrize(
    ("moment", "good"),
    [
        (NOW - dt.timedelta(hours=1), False),
        (NOW, True),
        (NOW + LIFETIME - RENEW_BEFORE - dt.timedelta(seconds=1), True),
        (NOW + LIFETIME - RENEW_BEFORE, False),
        (NOW + LIFETIME + dt.timedelta(days=1), False),
    ],
)
def test_it_is_renewed_in_time(moment: dt.datetime, good: bool) -> None:
    issued = sign(REQUEST, NAMES, LAB, NOW)
    assert is_good(issued, pem(KEY), NAMES, LAB.certificate, moment) == good


@pytest.mark.parametrize(
    "names",
    [NAMES[:1], (*NAMES, "new.shop.example"), ("mta2.shop.example", NAMES[1]), ()],
    ids=["one fewer", "one more", "another", "none"],
)
def test_other_names_need_another_certificate(names: tuple[str, ...]) -> None:
    issued = sign(REQUEST, NAMES, LAB, NOW)
    assert not is_good(issued, pem(KEY), names, LAB.certificate, NOW)


@pytest.mark.parametrize(
    "other",
    [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)],
    ids=["elliptic curve", "RSA"],
)
def test_it_must_fit_the_key(other: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    issued = sign(REQUEST, NAMES, LAB, NOW)
    assert not is_good(issued, pem(other), NAMES, LAB.certificate, NOW)


def test_a_foreign_issuer_is_seen_even_under_the_same_name() -> None:
    issued = sign(REQUEST, NAMES, authority("lab"), NOW)
    assert not is_good(issued, pem(KEY), NAMES, LAB.certificate, NOW)
    assert is_good(issued, pem(KEY), NAMES, None, NOW)


def test_a_certificate_without_alternative_names() -> None:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAMES[0])])
    bare = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + LIFETIME)
        .sign(KEY, hashes.SHA256())
        .public_bytes(serialization.Encoding.PEM)
        .decode()
    )
    assert not is_good(bare, pem(KEY), (NAMES[0],), None, NOW)


@given(st.text(), st.text())
def test_garbage_is_not_good(certificate: str, key: str) -> None:
    issued = sign(REQUEST, NAMES, LAB, NOW)
    assert not is_good(certificate, pem(KEY), NAMES, None, NOW)
    assert not is_good(issued, key, NAMES, None, NOW)
    begin, end = "-----BEGIN CERTIFICATE-----\n", "\n-----END CERTIFICATE-----\n"
    assert not is_good(begin + certificate + end, pem(KEY), NAMES, None, NOW)


def test_an_authority_with_an_rsa_key_is_refused() -> None:
    key = private(rsa.generate_private_key(65537, 2048))
    with pytest.raises(TypeError, match="not an elliptic curve key"):
        sign(REQUEST, NAMES, Authority(LAB.certificate, key), NOW)
