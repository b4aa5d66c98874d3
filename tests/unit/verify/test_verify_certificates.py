"""How certificates are judged, installed and served ones: each flaw is named, of each of them."""

from __future__ import annotations

import base64
import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from mailfleet.verify import chains
from mailfleet.verify.ports import Look, Port, ports_of
from tests.unit.host.test_scanning import NAME, fleet

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 5, 1, 12, tzinfo=dt.UTC)
DAY = dt.timedelta(days=1)
KEYS: dict[str, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey] = {
    "ECDSA": ec.generate_private_key(ec.SECP256R1()),
    "RSA": rsa.generate_private_key(65537, 2048),
}
AUTHORITY = ec.generate_private_key(ec.SECP256R1())
FLEET = fleet()
PORT: Port = next(port for port in ports_of(FLEET, FLEET.host(NAME)) if port.stream)
NAMES = PORT.names()


def certificate(
    kind: str = "ECDSA",
    names: tuple[str, ...] = NAMES,
    *,
    age: int = 10,
    left: int = 80,
    issuer: str = "An authority",
    subject: str = "us",
) -> x509.Certificate:
    """A certificate that is `age` days old and ends in `left` days."""
    name, by = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (subject, issuer)
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by)
        .public_key(KEYS[kind].public_key())
        .serial_number(1)
        .not_valid_before(NOW - age * DAY)
        .not_valid_after(NOW + left * DAY)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternatives, critical=False)
    return builder.sign(AUTHORITY, hashes.SHA256())


def pem(*chain: x509.Certificate) -> str:
    return "".join(one.public_bytes(serialization.Encoding.PEM).decode() for one in chain)


def authority(subject: str = "An authority") -> x509.Certificate:
    """The certificate of who signs all others, unless it is of another name."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(2)
    builder = builder.not_valid_before(NOW - 900 * DAY).not_valid_after(NOW + 900 * DAY)
    return builder.public_key(AUTHORITY.public_key()).sign(AUTHORITY, hashes.SHA256())


def installed(*texts: str, kinds: tuple[str, ...] = ("ECDSA", "RSA")) -> list[str]:
    return chains.installed_problems(texts, kinds, NAMES, NOW)


GOOD = pem(certificate(), authority())


def test_a_good_certificate_of_each_planned_kind_is_no_problem() -> None:
    assert installed(GOOD, kinds=("ECDSA",)) == []
    assert installed(GOOD, pem(certificate("RSA"), authority())) == []


def test_an_rsa_certificate_that_has_ended_shows_behind_a_good_one() -> None:
    assert installed(GOOD, pem(certificate("RSA", left=-9, age=99))) == [
        "the installed RSA certificate ended on 2026-04-22 12:00 UTC"
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"left": 0}, "ended on 2026-05-01 12:00 UTC"),
        ({"age": -1}, "is not valid before 2026-05-02 12:00 UTC"),
        # Of ninety days fewer than fifteen: the renewal after sixty did not come.
        ({"age": 76, "left": 14}, "ends on 2026-05-15 12:00 UTC, and should have been renewed"),
        ({"names": NAMES[:-1]}, f"does not cover {NAMES[-1]}"),
        ({"names": ()}, f"does not cover {', '.join(sorted(NAMES))}"),
        ({"issuer": "us"}, "is signed by the host itself"),
    ],
)
@pytest.mark.parametrize("kind", ["ECDSA", "RSA"])
def test_each_flaw_of_an_installed_certificate(
    kind: str, change: dict[str, Any], said: str
) -> None:
    other = "RSA" if kind == "ECDSA" else "ECDSA"
    texts = (pem(certificate(kind, **change)), pem(certificate(other)))
    assert installed(*texts) == [f"the installed {kind} certificate {said}"]
    assert installed(*reversed(texts)) == [f"the installed {kind} certificate {said}"]


def test_shortly_before_its_renewal_a_certificate_is_good() -> None:
    assert installed(pem(certificate(age=74, left=16)), kinds=("ECDSA",)) == []


def test_issuers_of_another_certificate() -> None:
    assert installed(GOOD, pem(certificate("RSA"), authority("Another"))) == [
        "the installed RSA certificate is followed by certificates that did not issue it"
    ]


@pytest.mark.parametrize(
    ("texts", "kinds", "said"),
    [
        ([GOOD], ("ECDSA", "RSA"), "0 RSA certificates are installed, expected 1"),
        ([], ("ECDSA",), "0 ECDSA certificates are installed, expected 1"),
        ([GOOD, pem(certificate("RSA"))], ("ECDSA",),
         "1 RSA certificates are installed, expected 0"),
        ([GOOD, GOOD], ("ECDSA",), "2 ECDSA certificates are installed, expected 1"),
    ],
)  # fmt: skip
def test_as_many_as_planned(texts: list[str], kinds: tuple[str, ...], said: str) -> None:
    assert installed(*texts, kinds=kinds) == [said]


def test_what_is_no_certificate() -> None:
    text = "-----BEGIN CERTIFICATE-----\nQQ==\n-----END CERTIFICATE-----\n"
    assert installed(GOOD, text, kinds=("ECDSA",)) == ["an installed certificate cannot be read"]


def served(one: x509.Certificate | None, on_disk: tuple[str, ...] = (), **found: str) -> list[str]:
    """What is said of a port that serves `one`, which is the installed one unless `on_disk` is given."""
    der = one.public_bytes(serialization.Encoding.DER) if one else b""
    look = {"error": "", "untrusted": "", "certificate": base64.b64encode(der).decode(), **found}
    texts = on_disk or ((pem(one),) if one else ())
    return chains.served_problems([Look(PORT, look)], texts, NOW)


def test_any_of_the_installed_certificates_may_be_served() -> None:
    assert served(certificate()) == []
    other = certificate("RSA")
    assert served(other, (GOOD, pem(other))) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"left": -1}, "ended on 2026-04-30 12:00 UTC"),
        ({"age": -1}, "is not valid before 2026-05-02 12:00 UTC"),
        ({"age": 76, "left": 14}, "ends on 2026-05-15 12:00 UTC, and should have been renewed"),
        ({"names": NAMES[1:]}, f"does not cover {NAMES[0]}"),
    ],
)
def test_each_flaw_of_a_served_certificate(change: dict[str, Any], said: str) -> None:
    assert served(certificate(**change)) == [f"{PORT}: the certificate {said}"]


def test_a_certificate_that_nobody_trusts() -> None:
    said = "unable to get local issuer certificate"
    assert served(certificate(), untrusted=said) == [
        f"{PORT}: the certificate is not trusted: {said}"
    ]


@pytest.mark.parametrize("on_disk", [(pem(certificate(age=11)),), ("",)])
def test_another_certificate_than_those_installed(on_disk: tuple[str, ...]) -> None:
    said = f"{PORT} serves another certificate than those that are installed"
    assert served(certificate(), on_disk) == [said]


def test_a_port_without_a_certificate() -> None:
    assert served(None) == [f"{PORT} serves no certificate"]


def test_a_port_that_could_not_be_looked_at_is_for_another_line() -> None:
    assert served(None, error="no answer within 10 s") == []
