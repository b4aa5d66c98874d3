"""The lab's DNS as text: a root of its own, and every zone below it signed from that root.

Pure. A zone starts with what a registry and a provider put in it (SOA, NS, delegations with DS);
the zones of the lab itself are complete. The time to live is so short that no test waits for it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import dns.dnssec
import dns.name
from cryptography.hazmat.primitives.asymmetric import ec
from dns.rdtypes.ANY.DNSKEY import DNSKEY

from mailfleet.lab import addresses
from mailfleet.lab.ca import private_pem

ROOT = "."
TTL = 5
# A list of domains in spam with its test entry and one more, as Spamhaus' DBL answers.
_LISTED = """\
dbltest.com.dbl.lists A 127.0.1.2
listed-shop.com.dbl.lists A 127.0.1.2
"""
_ALGORITHM = "ECDSAP256SHA256"
_ZONE_KEY_AND_ENTRY_POINT = 257


@dataclass(frozen=True)
class ZoneKey:
    """The one key that signs a zone."""

    private: str = field(repr=False)
    public: DNSKEY

    def ds(self, zone: str) -> str:
        """The data of the DS record that the parent publishes."""
        return dns.dnssec.make_ds(_absolute(zone), self.public, "SHA256").to_text()


def new_zone_key() -> ZoneKey:
    """A new ECDSA P-256 key."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = dns.dnssec.make_dnskey(key.public_key(), _ALGORITHM, _ZONE_KEY_AND_ENTRY_POINT)
    return ZoneKey(private=private_pem(key), public=public)


def all_zones(forward: Iterable[str]) -> tuple[str, ...]:
    """Every zone of the lab: the root, those asked for, the lab's own, and the reverse zones."""
    own = (addresses.CORE_ZONE, addresses.INBOX_ZONE)
    return (ROOT, *dict.fromkeys(forward), *own, *addresses.REVERSE_ZONES)


def zone_texts(keys: Mapping[str, ZoneKey], receiver_spki_sha256: str) -> dict[str, str]:
    """The zone file of every zone in `keys`; all of them have a parent there, at least the root."""
    texts = {zone: _head(zone) for zone in keys}
    for zone, key in keys.items():
        if zone != ROOT:
            name = _fqdn(zone)
            texts[parent_of(zone, keys)] += (
                f"{name} NS {_fqdn(addresses.NAMESERVER_NAME)}\n{name} DS {key.ds(zone)}\n"
            )
    texts[ROOT] += _addresses(addresses.NAMESERVER_NAME, addresses.NAMESERVER)
    texts[addresses.CORE_ZONE] += _addresses(addresses.NAMESERVER_NAME, addresses.NAMESERVER)
    texts[addresses.CORE_ZONE] += _addresses(addresses.RESOLVER_NAME, addresses.RESOLVER)
    texts[addresses.CORE_ZONE] += _addresses(addresses.ACME_NAME, addresses.ACME)
    texts[addresses.CORE_ZONE] += _LISTED
    texts[addresses.INBOX_ZONE] += _inbox(receiver_spki_sha256)
    for name, of_name in (
        (addresses.NAMESERVER_NAME, addresses.NAMESERVER),
        (addresses.RESOLVER_NAME, addresses.RESOLVER),
        (addresses.ACME_NAME, addresses.ACME),
        (addresses.RECEIVER_NAME, addresses.RECEIVER),
    ):
        for address in of_name:
            zone = parent_of(address.reverse_pointer, keys)
            texts[zone] += f"{_fqdn(address.reverse_pointer)} PTR {_fqdn(name)}\n"
    return texts


def parent_of(name: str, zones: Iterable[str]) -> str:
    """The closest of `zones` strictly above `name`."""
    above = dns.name.from_text(name)
    known = {_absolute(zone): zone for zone in zones}
    while above != dns.name.root:
        above = above.parent()
        if above in known:
            return known[above]
    raise ValueError(f"no zone above {name}")


def root_hints() -> str:
    """A resolver's hints file: the lab's only root server."""
    head = f". {TTL} NS {_fqdn(addresses.NAMESERVER_NAME)}\n"
    v4, v6 = addresses.NAMESERVER
    name = _fqdn(addresses.NAMESERVER_NAME)
    return f"{head}{name} {TTL} A {v4}\n{name} {TTL} AAAA {v6}\n"


def trust_anchor(root: ZoneKey) -> str:
    """A resolver's trust anchor file: the public key of the lab's root."""
    return f". {TTL} IN DNSKEY {root.public.to_text()}\n"


def _head(zone: str) -> str:
    server, mailbox = _fqdn(addresses.NAMESERVER_NAME), _fqdn(f"hostmaster.{addresses.CORE_ZONE}")
    return (
        f"$ORIGIN {_fqdn(zone)}\n$TTL {TTL}\n"
        f"@ 1 SOA {server} {mailbox} 1 3600 600 86400 1\n"
        f"@ NS {server}\n"
    )


def _inbox(spki_sha256: str) -> str:
    v4, v6 = addresses.RECEIVER
    both, only_v4, only_v6 = addresses.INBOX_DOMAINS
    lines = [
        f"{_fqdn(both)} MX 10 {_fqdn(addresses.RECEIVER_NAME)}",
        f"{_fqdn(only_v4)} MX 10 {_fqdn(addresses.RECEIVER_V4_NAME)}",
        f"{_fqdn(only_v6)} MX 10 {_fqdn(addresses.RECEIVER_V6_NAME)}",
        f"{_fqdn(addresses.RECEIVER_NAME)} A {v4}",
        f"{_fqdn(addresses.RECEIVER_NAME)} AAAA {v6}",
        f"{_fqdn(addresses.RECEIVER_V4_NAME)} A {v4}",
        f"{_fqdn(addresses.RECEIVER_V6_NAME)} AAAA {v6}",
        f'{_fqdn(addresses.RECEIVER_NAME)} TXT "v=spf1 a -all"',
    ]
    lines += [f'{_fqdn(domain)} TXT "v=spf1 mx -all"' for domain in addresses.INBOX_DOMAINS]
    lines += [
        f"_25._tcp.{_fqdn(name)} TLSA 3 1 1 {spki_sha256}"
        for name in (
            addresses.RECEIVER_NAME,
            addresses.RECEIVER_V4_NAME,
            addresses.RECEIVER_V6_NAME,
        )
    ]
    return "".join(f"{line}\n" for line in lines)


def _addresses(name: str, of_name: Iterable[addresses.Address]) -> str:
    return "".join(
        f"{_fqdn(name)} {'A' if address.version == 4 else 'AAAA'} {address}\n"
        for address in of_name
    )


def _fqdn(name: str) -> str:
    return name if name.endswith(".") else f"{name}."


def _absolute(zone: str) -> dns.name.Name:
    return dns.name.from_text(zone)
