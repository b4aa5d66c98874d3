"""Records whose values only hosts know: they are published once the hosts have been asked. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mailfleet.dns.records import dane
from mailfleet.dns.records.dkim import DkimPublicKey
from mailfleet.model import Fleet


@dataclass(frozen=True, order=True)
class HostValue:
    """A record's name and type, and the host that knows its value."""

    name: str
    type: str
    host: str
    text: str
    """What the value is."""


def host_values(fleet: Fleet) -> Iterator[HostValue]:
    """DKIM keys, which never leave the host that made them, and TLSA records of certificates.

    A TLSA record is only published in a zone that is signed (RFC 7672 §2.2.1), which DNS has to be
    asked for.
    """
    for host in fleet.hosts:
        for domain in fleet.signing_domains(host):
            name = DkimPublicKey(domain, fleet.selector(host, domain), "").name
            yield HostValue(name, "TXT", host.name, "DKIM public key")
    for host, _ in dane.zones(fleet):
        text = "its certificate, where the zone is signed"
        yield HostValue(dane.tlsa_name(host.name), "TLSA", host.name, text)
