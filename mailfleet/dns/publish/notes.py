"""What a user should know of hosts and zones that a publication leaves as they are."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mailfleet.dns.publish.reverse import listed
from mailfleet.dns.records import dane
from mailfleet.dns.records.dane import Certificates
from mailfleet.dns.records.dkim import HostDkimKeys
from mailfleet.model import Fleet, Host

Keys = Mapping[str, HostDkimKeys]
"""What each host that could be reached said of its keys."""


def unread_notes(fleet: Fleet, keys: Keys) -> Iterator[str]:
    """Why keys of hosts stay as they are, each reason once."""
    hosts: dict[str, list[str]] = {}
    for host in fleet.hosts:
        if host.name not in keys or not keys[host.name].complete:
            hosts.setdefault(_unread(host, keys), []).append(host.name)
    for reason, names in hosts.items():
        yield f"{listed(names)}: {reason}"


def unsure_notes(
    fleet: Fleet, keys: Keys, certificates: Certificates, dnssec: dane.Signatures
) -> Iterator[str]:
    """Why TLSA records stay as they are."""
    for zone, problem in dnssec.unknown.items():
        if problem:
            yield (
                f"{zone}: whether it is signed is not known, so its TLSA records stay as they are: "
                f"{problem}"
            )
    bare = [
        host.name
        for host, zone in dane.zones(fleet)
        if zone in dnssec.signed and host.name in keys and host.name not in certificates
    ]
    if bare:
        yield f"{listed(bare)}: no certificate that can be read; its TLSA record stays as it is"


def _unread(host: Host, keys: Keys) -> str:
    if host.name not in keys:
        kinds = "DKIM and TLSA records" if host.inbound else "DKIM records"
        return f"was not read; its {kinds} stay as they are"
    if not keys[host.name].keys:
        return "has no DKIM key yet; DKIM records of former keys stay as they are"
    return "has a DKIM key file that cannot be read; none of its DKIM records is deleted"
