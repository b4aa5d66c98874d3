"""Judging certificates: each that a host has installed, and those that its SMTP ports serve.

A client is served one of them, by what it can do: with a good one first, the others are seen by none.
"""

from __future__ import annotations

import base64
import datetime as dt
from collections import Counter
from collections.abc import Iterable, Sequence
from itertools import pairwise

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from mailfleet.verify.ports import Look

# A certificate is renewed with a third of its life left; less than half of that means nobody did.
_LEAST_LEFT = 1 / 6


def installed_problems(
    chains: Sequence[str], kinds: Sequence[str], names: Iterable[str], now: dt.datetime
) -> list[str]:
    """What is wrong with installed certificates, each chain for itself, and whether one is missing.

    `chains` are PEM texts, each the certificate of one key first. `kinds` are the planned ones, "ECDSA"
    or "RSA", and `names` are those that each has to cover. Whether an authority is trusted is not
    asked here.
    """
    problems, have = [], Counter[str]()
    for chain in chains:
        try:
            first, *rest = x509.load_pem_x509_certificates(chain.encode())
        except ValueError:
            problems.append("an installed certificate cannot be read")
            continue
        kind = _kind(first)
        have[kind] += 1
        what = f"the installed {kind} certificate"
        if first.issuer == first.subject:
            problems.append(f"{what} is signed by the host itself")
        if not all(_issued(certificate, by) for certificate, by in pairwise((first, *rest))):
            problems.append(f"{what} is followed by certificates that did not issue it")
        if missing := sorted(set(names) - set(_names(first))):
            problems.append(f"{what} does not cover {', '.join(missing)}")
        problems += _date_problems(what, first, now)
    planned = Counter(kinds)
    problems += [
        f"{have[kind]} {kind} certificates are installed, expected {planned[kind]}"
        for kind in dict.fromkeys((*planned, *have))
        if have[kind] != planned[kind]
    ]
    return problems


def served_problems(looks: Iterable[Look], installed: Sequence[str], now: dt.datetime) -> list[str]:
    """Certificates that clients would not accept, or that none of the `installed` chains (PEM) has.

    Ports that could not be looked at to the end are left out.
    """
    problems = []
    on_disk = [first for chain in installed if (first := _first(chain))]
    for look in looks:
        if look.error:
            continue
        if not look.result["certificate"]:
            problems.append(f"{look.port} serves no certificate")
            continue
        served = x509.load_der_x509_certificate(base64.b64decode(look.result["certificate"]))
        what = f"{look.port}: the certificate"
        if look.result["untrusted"]:
            problems.append(f"{what} is not trusted: {look.result['untrusted']}")
        if served not in on_disk:
            problems.append(f"{look.port} serves another certificate than those that are installed")
        if missing := sorted(set(look.port.names()) - set(_names(served))):
            problems.append(f"{what} does not cover {', '.join(missing)}")
        problems += _date_problems(what, served, now)
    return problems


def _date_problems(what: str, certificate: x509.Certificate, now: dt.datetime) -> list[str]:
    start, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if until <= now:
        return [f"{what} ended on {until:%Y-%m-%d %H:%M} UTC"]
    if start > now:
        return [f"{what} is not valid before {start:%Y-%m-%d %H:%M} UTC"]
    if until - now < (until - start) * _LEAST_LEFT:
        return [f"{what} ends on {until:%Y-%m-%d %H:%M} UTC, and should have been renewed"]
    return []


def _first(chain: str) -> x509.Certificate | None:
    try:
        return x509.load_pem_x509_certificate(chain.encode())
    except ValueError:
        return None


def _kind(certificate: x509.Certificate) -> str:
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        return "ECDSA"
    return "RSA" if isinstance(key, rsa.RSAPublicKey) else "other"


def _issued(certificate: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except x509.ExtensionNotFound:
        return []
    return alternatives.value.get_values_for_type(x509.DNSName)
