"""What a host's certificate covers, who issues it, and when it is good enough to stay."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st

from mailfleet.host import certificates
from mailfleet.host.certificates import fits, is_good
from mailfleet.model import Fleet
from tests.builders import fleet_of

pytestmark = pytest.mark.unit

NOW = dt.datetime(2026, 5, 1, tzinfo=dt.UTC)
NAMES = ("mta1.shop.example", "smtp.shop.example")
KEY = ec.generate_private_key(ec.SECP256R1())
LIFETIME = dt.timedelta(days=90)
EU, US = "mta1.eu.shop.example", "mta1.us.shop.example"


def public_pem(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> str:
    return (
        key.public_key()
        .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
        .decode()
    )


def certificate(
    names: tuple[str, ...] = NAMES, *, issuer: str = "An authority", subject: str = "us"
) -> str:
    """A certificate for KEY, from `issuer` to `subject`."""
    name, by = (
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)]) for text in (subject, issuer)
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(by)
        .public_key(KEY.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + LIFETIME)
    )
    if names:
        alternatives = x509.SubjectAlternativeName([x509.DNSName(one) for one in names])
        builder = builder.add_extension(alternatives, critical=False)
    made = builder.sign(ec.generate_private_key(ec.SECP256R1()), hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_names_in_any_order_are_good() -> None:
    assert is_good(certificate(), public_pem(KEY), NAMES[::-1], NOW)


@pytest.mark.parametrize(
    ("moment", "good"),
    [
        (NOW - dt.timedelta(hours=1), False),
        (NOW, True),
        # The timer renews it; a deploy leaves it alone until it has ended.
        (NOW + LIFETIME - dt.timedelta(days=1), True),
        (NOW + LIFETIME, False),
    ],
)
def test_it_is_good_while_it_is_valid(moment: dt.datetime, good: bool) -> None:
    assert is_good(certificate(), public_pem(KEY), NAMES, moment) == good


@pytest.mark.parametrize(
    "names",
    [NAMES[:1], (*NAMES, "new.shop.example"), ("mta2.shop.example", NAMES[1]), ()],
    ids=["one fewer", "one more", "another", "none"],
)
def test_other_names_need_another_certificate(names: tuple[str, ...]) -> None:
    assert not is_good(certificate(), public_pem(KEY), names, NOW)


@pytest.mark.parametrize(
    "other",
    [ec.generate_private_key(ec.SECP256R1()), rsa.generate_private_key(65537, 2048)],
    ids=["elliptic curve", "RSA"],
)
def test_it_must_fit_the_key(other: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> None:
    assert fits(certificate(), public_pem(KEY))
    assert not fits(certificate(), public_pem(other))
    assert not is_good(certificate(), public_pem(other), NAMES, NOW)


def test_what_the_host_signed_itself_is_no_authoritys() -> None:
    own = certificate(issuer="us", subject="us")
    assert fits(own, public_pem(KEY)), "services can start with it"
    assert not is_good(own, public_pem(KEY), NAMES, NOW)


def test_a_certificate_without_alternative_names() -> None:
    assert not is_good(certificate(()), public_pem(KEY), (), NOW)


@given(st.text(), st.text())
def test_garbage_is_not_good(text: str, key: str) -> None:
    assert not is_good(text, public_pem(KEY), NAMES, NOW)
    assert not is_good(certificate(), key, NAMES, NOW)
    begin, end = "-----BEGIN CERTIFICATE-----\n", "\n-----END CERTIFICATE-----\n"
    assert not is_good(begin + text + end, public_pem(KEY), NAMES, NOW)


def fleet(domain: dict[str, Any] | None = None, **options: Any) -> Fleet:
    """Two hosts; `orders` on both, `news` on eu only."""
    table = {
        "streams": {
            "orders": {"logins": ["shop"]},
            "news": {"from_domain": "news.shop.example", "logins": ["letter"]},
        },
        **(domain or {}),
    }
    eu = {"streams": {"orders": ["192.0.2.11", "2001:db8::11"], "news": ["192.0.2.12"]}}
    us = {"streams": {"orders": ["203.0.113.11"]}, "inbound": options.pop("inbound", True)}
    return fleet_of({EU: eu, US: us}, {"shop.example": table}, **options)


# Who enforces MTA-STS has trusted certificates.
TRUSTED = {"acme": "production"}


def names(of: Fleet, host: str) -> tuple[str, ...]:
    return certificates.names(of, of.host(host))


def test_a_host_is_certified_for_all_that_it_answers_to() -> None:
    assert names(fleet(), US) == (
        US,
        f"orders.{US}",
        "smtp-orders.shop.example",
        "smtp-orders-us.shop.example",
    )


def test_inbound_hosts_are_certified_for_the_policies_that_they_serve() -> None:
    policy = {"mta_sts": {"mode": "enforce"}}
    domains = ("shop.example", "bounce.shop.example", "news.shop.example")
    wanted = {f"mta-sts.{name}" for name in (*domains, "bounce.news.shop.example")}
    assert {name for name in names(fleet(policy, **TRUSTED), US) if "mta-sts" in name} == wanted
    silent = fleet(policy, inbound=False, **TRUSTED)
    assert not [name for name in names(silent, US) if "mta-sts" in name]
    assert certificates.served_policies(silent, silent.host(US)) == {}
    (text,) = {*certificates.served_policies(silent, silent.host(EU)).values()}
    assert text == f"version: STSv1\r\nmode: enforce\r\nmx: {EU}\r\nmax_age: 604800\r\n"


def test_what_cloudflare_stands_before_is_cloudflares() -> None:
    policy = {
        "mta_sts": {"mode": "enforce"},
        "dns": {"provider": "cloudflare", "proxied": ["mta-sts.shop.example"]},
    }
    found = fleet(policy, **TRUSTED)
    assert "mta-sts.shop.example" not in names(found, EU)
    assert "mta-sts.news.shop.example" in names(found, EU)
    assert "mta-sts.shop.example" in certificates.served_policies(found, found.host(EU))


def test_peers_share_a_name() -> None:
    found = fleet()
    assert certificates.peers(found, found.host(EU)) == (found.host(US),)
    alone = fleet({"streams": {"orders": {"logins": ["shop"]}, "news": {"logins": ["letter"]}}})
    assert alone.host(US) in certificates.peers(alone, alone.host(EU))


@pytest.mark.parametrize(
    ("acme", "directory"),
    [
        (None, "https://acme-staging-v02.api.letsencrypt.org/directory"),
        ("staging", "https://acme-staging-v02.api.letsencrypt.org/directory"),
        ("production", "https://acme-v02.api.letsencrypt.org/directory"),
        ("https://ca.example/acme/dir", "https://ca.example/acme/dir"),
    ],
)
def test_nothing_but_production_asks_production(acme: str | None, directory: str) -> None:
    found = fleet(acme=acme) if acme else fleet()
    assert certificates.directory(found) == directory


def test_rsa_is_for_the_hosts_of_the_domain_that_asks() -> None:
    assert not certificates.needs_rsa(fleet(), fleet().host(EU))
    asking = fleet({"tls": {"rsa": True}})
    assert all(certificates.needs_rsa(asking, host) for host in asking.hosts)
