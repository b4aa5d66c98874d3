"""What DNS should say about a fleet: every record, from the model and the hosts' public keys."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from mailfleet.dns.records import dane, dmarc, spf, transport
from mailfleet.dns.records.dane import Certificates
from mailfleet.dns.records.dkim import DkimPublicKey, key_records
from mailfleet.dns.records.identity import identity, issuers, policy_hosts
from mailfleet.dns.records.mx import host_mx_values, mail_names, mx_values
from mailfleet.dns.rrset import RRset, rrset, txt
from mailfleet.model import Address, Fleet

Desired = Mapping[str, tuple[RRset, ...]]
"""The records of a fleet by zone."""


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

    def zones(self) -> Desired:
        by_zone: dict[str, list[RRset]] = {domain.zone: [] for domain in self._fleet.domains}
        for (name, rtype), values in self._values.items():
            if domain := self._fleet.domain_of(name):
                by_zone[domain.zone].append(rrset(name, rtype, domain.ttl, *values))
        return {zone: tuple(sorted(records)) for zone, records in by_zone.items()}


def records(
    fleet: Fleet,
    keys: Iterable[DkimPublicKey] = (),
    *,
    certificates: Certificates | None = None,
    signed: Collection[str] = (),
) -> Desired:
    """Every record of the fleet's zones, with these DKIM keys.

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
    return into.zones()


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
