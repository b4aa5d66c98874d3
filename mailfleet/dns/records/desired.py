"""What DNS should say about a fleet: every record, from the model and the hosts' public keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mailfleet.dns.records import dane, dmarc, spf, transport
from mailfleet.dns.records.dane import Certificates
from mailfleet.dns.records.dkim import PublicKey, key_records
from mailfleet.dns.records.identity import identity, issuers, policy_hosts
from mailfleet.dns.records.mx import host_mx_values, mail_names, mx_values
from mailfleet.dns.rrset import RRset, rrset, txt
from mailfleet.model import Address, Fleet


@dataclass(frozen=True)
class Desired:
    """The records of a fleet."""

    zones: dict[str, tuple[RRset, ...]]
    reverse: dict[Address, RRset]
    """PTR records by address: in which zone they lie, only the server knows."""


class _Collector:
    """Gathers values by name and type, each under the zone and TTL of its domain file."""

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._values: dict[tuple[str, str], dict[str, None]] = {}

    def add(self, name: str, rtype: str, *values: str) -> None:
        if values and self._fleet.domain_of(name) is not None:
            self._values.setdefault((name, rtype), {}).update(dict.fromkeys(values))

    def add_addresses(self, name: str, addresses: Iterable[Address]) -> None:
        for address in addresses:
            self.add(name, "A" if address.version == 4 else "AAAA", str(address))

    def zones(self) -> dict[str, tuple[RRset, ...]]:
        found: dict[str, list[RRset]] = {domain.zone: [] for domain in self._fleet.domains}
        for (name, rtype), values in self._values.items():
            if domain := self._fleet.domain_of(name):
                found[domain.zone].append(rrset(name, rtype, domain.ttl, *values))
        return {zone: tuple(sorted(records)) for zone, records in found.items()}


def records(
    fleet: Fleet,
    keys: Iterable[PublicKey] = (),
    *,
    certificates: Certificates | None = None,
    signed: Collection[str] = (),
) -> Desired:
    """Every record of the fleet, with these DKIM keys.

    TLSA records are made of the inbound hosts' `certificates` in the zones of `signed` (DNSSEC).
    """
    into = _Collector(fleet)
    _hosts(fleet, into)
    _endpoints(fleet, into)
    _senders(fleet, into)
    for domain in fleet.domains:
        for entry in identity(fleet, domain):
            into.add(*entry)
    for entry in issuers(fleet):
        into.add(*entry)
    for name in dmarc.authorisations(fleet):
        into.add(name, "TXT", txt(dmarc.AUTHORISATION))
    for name, value in key_records(fleet, keys):
        into.add(name, "TXT", txt(value))
    _certificates(fleet, certificates or {}, signed, into)
    return Desired(into.zones(), reverse_records(fleet))


def _hosts(fleet: Fleet, into: _Collector) -> None:
    senders = spf.senders(fleet)
    for host in fleet.hosts:
        into.add_addresses(host.name, host.addresses)
        for sending in host.sending:
            into.add_addresses(sending.helo, sending.addresses)
        for name in host.names:
            into.add(name, "MX", *host_mx_values(fleet, host))
            # RFC 7208 §3.2: at most one record per name; a sender's record names the host too.
            if name not in senders:
                into.add(name, "TXT", txt(spf.HELO))


def _endpoints(fleet: Fleet, into: _Collector) -> None:
    for host in fleet.hosts:
        for sending, stream in fleet.host_streams(host):
            into.add_addresses(stream.endpoint, sending.addresses)
            into.add_addresses(stream.regional_endpoint(host.region), sending.addresses)


def _senders(fleet: Fleet, into: _Collector) -> None:
    for name, addresses in spf.senders(fleet).items():
        domain = fleet.domain_of(name)
        if domain is not None:
            for at, text in spf.sender_records(name, domain.spf, addresses).items():
                into.add(at, "TXT", txt(text))
    inbound = [address for host in fleet.inbound_hosts for address in host.addresses]
    for domain in fleet.domains:
        for name in mail_names(domain):
            into.add(name, "MX", *mx_values(fleet, domain, name))
        for name in policy_hosts(domain, fleet):
            into.add_addresses(name, inbound)


def _certificates(
    fleet: Fleet, certificates: Certificates, signed: Collection[str], into: _Collector
) -> None:
    for host, zone in dane.zones(fleet):
        # RFC 7672 §2.2.1: without DNSSEC a TLSA record counts for nothing.
        if zone in signed:
            values = map(transport.tlsa, certificates.get(host.name, ()))
            into.add(dane.tlsa_name(host.name), "TLSA", *values)


def reverse_records(fleet: Fleet) -> dict[Address, RRset]:
    """The PTR record of each address of the fleet."""
    found: dict[Address, RRset] = {}
    for host in fleet.hosts:
        names: dict[Address, str] = dict.fromkeys(host.addresses, host.name)
        names |= {address: s.helo for s in host.sending for address in s.addresses}
        domain = fleet.domain_of(host.name)
        ttl = domain.ttl if domain else 3600
        for address, name in names.items():
            found[address] = rrset(reverse_name(address), "PTR", ttl, f"{name}.")
    return found


def reverse_name(address: Address) -> str:
    """The name of an address in the reverse tree (RFC 1035 §3.5, RFC 3596 §2.5)."""
    return address.reverse_pointer
