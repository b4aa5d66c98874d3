"""What a host's certificate has to cover, who issues it, and whether it is as it should be."""

from __future__ import annotations

import datetime as dt

from cryptography import x509
from cryptography.hazmat.primitives import serialization

from mailfleet.dns.records.identity import policies
from mailfleet.model import Fleet, Host
from mailfleet.model.authorities import DIRECTORIES

PRODUCTION = DIRECTORIES["production"]


def directory(fleet: Fleet) -> str:
    """The URL of the fleet's ACME directory."""
    return DIRECTORIES.get(fleet.acme, fleet.acme)


def served_policies(fleet: Fleet, host: Host) -> dict[str, str]:
    """The MTA-STS policies that a host serves, by name: its MX hosts are those that serve them."""
    if not host.inbound:
        return {}
    return {
        name: text for domain in fleet.domains for name, text in policies(domain, fleet).items()
    }


def names(fleet: Fleet, host: Host) -> tuple[str, ...]:
    """What the host's certificate has to cover; the host's own name first."""
    return fleet.certificate_names(host)


def peers(fleet: Fleet, host: Host) -> tuple[Host, ...]:
    """The hosts that share one of this host's names, so that a challenge may come to them."""
    own = set(names(fleet, host))
    return tuple(peer for peer in fleet.hosts if peer is not host and own & set(names(fleet, peer)))


def needs_rsa(fleet: Fleet, host: Host) -> bool:
    """Whether a domain of one of the host's names asks for an RSA certificate too."""
    domains = (fleet.domain_of(name) for name in names(fleet, host))
    return any(domain is not None and domain.rsa for domain in domains)


def fits(certificate: str, public_key: str) -> bool:
    """Whether a certificate belongs to a key; both are PEM."""
    try:
        loaded = x509.load_pem_x509_certificate(certificate.encode())
        return loaded.public_key() == serialization.load_pem_public_key(public_key.encode())
    except Exception:  # noqa: BLE001 - whatever is wrong with them, they do not fit
        return False


def is_good(certificate: str, public_key: str, names: tuple[str, ...], now: dt.datetime) -> bool:
    """Whether an authority's certificate covers exactly `names`, fits the key and has not ended."""
    if not fits(certificate, public_key):
        return False
    loaded = x509.load_pem_x509_certificate(certificate.encode())
    try:
        alternatives = loaded.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (ValueError, x509.ExtensionNotFound):
        return False
    return (
        set(alternatives.value.get_values_for_type(x509.DNSName)) == set(names)
        and loaded.issuer != loaded.subject
        and loaded.not_valid_before_utc <= now < loaded.not_valid_after_utc
    )
