"""SPF records (RFC 7208): who may send as a domain, and as a HELO name."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, collapse_addresses

from mailfleet.model import Address, Fleet, SendingAddress, Spf, Stream

# RFC 7208 §2.3 recommends a record for HELO names too: with an empty MAIL FROM it is the only one.
HELO = "v=spf1 a -all"
PARKED = "v=spf1 -all"

# RFC 7208 §3.4: so that the answer, with what else stands at the name, fits into 512 octets.
LONGEST = 450


def sender_records(name: str, spf: Spf, addresses: Iterable[Address]) -> dict[str, str]:
    """The record of a From or return-path domain, by name: these addresses, the includes, nobody else.

    One record where it stays within 450 octets. Else the addresses stand at `_spf.<name>`,
    `_spf2.<name>` and so on, in order, each of which costs receivers one look-up.
    """
    terms = address_terms(addresses)
    includes = [f"include:{include}" for include in spf.includes]
    whole = _record([*terms, *includes], spf.all)
    if len(whole) <= LONGEST or not terms:
        return {name: whole}
    records = {}
    for number, part in enumerate(_parts(terms), start=1):
        records[f"_spf{number if number > 1 else ''}.{name}"] = _record(part, "-all")
    return {
        name: _record([*(f"include:{part_name}" for part_name in records), *includes], spf.all),
        **records,
    }


def address_terms(addresses: Iterable[Address]) -> list[str]:
    """`ip4:` and `ip6:` terms for exactly these addresses, as few as possible.

    Neighbours become a block only where every address of the block is among them: a wider one would
    let streams of other domains, or strangers, pass.
    """
    unique = set(addresses)
    v4 = collapse_addresses(IPv4Network(a) for a in unique if isinstance(a, IPv4Address))
    v6 = collapse_addresses(IPv6Network(a) for a in unique if isinstance(a, IPv6Address))
    blocks: list[IPv4Network | IPv6Network] = [*v4, *v6]
    return [
        f"ip{block.version}:{block.network_address if block.num_addresses == 1 else block}"
        for block in blocks
    ]


def senders(fleet: Fleet) -> dict[str, tuple[Address, ...]]:
    """The addresses that send as each From domain and each return-path domain.

    From domains are listed although SPF checks MAIL FROM only: docomo asks for it. So is the domain
    of a file whose streams are all below it, without addresses: only its includes send as the domain
    itself. Not where its mail servers are elsewhere (they send too) and no include says who does,
    nor where it is the name of a host, whose HELO name it then is.
    """
    by_name: dict[str, dict[Address, None]] = {}
    for stream in fleet.streams:
        addresses = _addresses(fleet, stream)
        for name in (stream.from_domain, stream.return_path):
            by_name.setdefault(name, {}).update(dict.fromkeys(addresses))
    hosts = {name for host in fleet.hosts for name in host.names}
    for domain in fleet.domains:
        ours = domain.mx is None or domain.spf.includes
        if domain.streams and ours and domain.name not in hosts:
            by_name.setdefault(domain.name, {})
    return {name: tuple(addresses) for name, addresses in by_name.items()}


def _addresses(fleet: Fleet, stream: Stream) -> list[Address]:
    sending: Iterable[SendingAddress] = fleet.sending_addresses(stream.name)
    return [address for entry in sending for address in entry.addresses]


def _record(terms: Sequence[str], end: str) -> str:
    return " ".join(["v=spf1", *terms, end])


def _parts(terms: Sequence[str]) -> list[list[str]]:
    parts: list[list[str]] = [[]]
    for term in terms:
        if len(_record([*parts[-1], term], "-all")) > LONGEST:
            parts.append([])
        parts[-1].append(term)
    return parts
