"""When a TLSA record is made, kept or deleted: what DANE needs to know of hosts and zones."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field

from mailfleet.dns.lookup import Lookup, LookupFailedError
from mailfleet.model import Fleet, Host

Certificates = Mapping[str, Collection[str]]
"""For each host that was read and has a certificate: the SHA-256, in hexadecimal, of its public key.

A host may have several, while it changes from one key to the next (RFC 7671 §8.1).
"""

_PORT = "_25._tcp."


@dataclass(frozen=True)
class Signatures:
    """Which zones of receiving hosts resolvers can validate."""

    signed: frozenset[str] = frozenset()
    unknown: Mapping[str, str] = field(default_factory=dict)
    """Zones of which that could not be found out, and why; empty where nobody was asked."""


def tlsa_name(host: str) -> str:
    """Where senders look for the TLSA records of an MX host (RFC 6698 §3, RFC 7672 §2.2.3)."""
    return f"{_PORT}{host}"


def certificates_of(found: Mapping[str, Mapping[str, object]]) -> dict[str, tuple[str, ...]]:
    """Those in what the fact `mailfleet.facts.public_keys.PublicKeys` found, by host name."""
    return {
        host: tuple(public_keys["certificates"])
        for host, public_keys in found.items()
        if isinstance(public_keys["certificates"], list) and public_keys["certificates"]
    }


def zones(fleet: Fleet) -> Iterator[tuple[Host, str]]:
    """Each receiving host whose name lies in a zone of the fleet, and that zone."""
    for host in fleet.inbound_hosts:
        if domain := fleet.domain_of(host.name):
            yield host, domain.zone


def signatures(
    fleet: Fleet,
    lookup: Lookup | None,
    in_scope: Callable[[str], bool] = lambda _: True,
) -> Signatures:
    """Ask for the zones of those receiving hosts whose names are `in_scope`.

    A zone counts as signed where its parent vouches for its keys (RFC 4035 §5.2).
    """
    signed: set[str] = set()
    unknown: dict[str, str] = {}
    for zone in dict.fromkeys(zone for host, zone in zones(fleet) if in_scope(host.name)):
        if lookup is None:
            unknown[zone] = ""
            continue
        try:
            signed |= {zone} if lookup(zone, "DS") else set()
        except LookupFailedError as error:
            unknown[zone] = error.problem
    return Signatures(frozenset(signed), unknown)


def unsure(fleet: Fleet, certificates: Certificates, found: Signatures) -> Callable[[str], bool]:
    """Whether a name's TLSA records must stay as they are, since what they should be is not known.

    A certificate that was not read is in use all the same, and without its record, or with a wrong
    one, senders that trust DNSSEC would go unprotected or keep the mail (RFC 7672 §2.2).
    """
    kept = {
        tlsa_name(host.name)
        for host, zone in zones(fleet)
        if host.name not in certificates or zone in found.unknown
    }
    return kept.__contains__
