"""SPF records (RFC 7208): who may send as a domain, and as a HELO name."""

from __future__ import annotations

from collections.abc import Iterable

from mailfleet.model import Address, Fleet, SendingAddress, Spf, Stream

# RFC 7208 §2.3 recommends a record for HELO names too: with an empty MAIL FROM it is the only one.
HELO = "v=spf1 a -all"


def sender(spf: Spf, addresses: Iterable[Address]) -> str:
    """The record of a From or return-path domain: these addresses, the includes, nobody else."""
    ordered = sorted(set(addresses), key=lambda address: (address.version, int(address)))
    terms = [f"ip{address.version}:{address}" for address in ordered]
    terms += [f"include:{name}" for name in spf.includes]
    return " ".join(["v=spf1", *terms, spf.all])


def senders(fleet: Fleet) -> dict[str, tuple[Address, ...]]:
    """The addresses that send as each From domain and each return-path domain.

    From domains are listed although SPF checks MAIL FROM only: docomo asks for it.
    """
    found: dict[str, dict[Address, None]] = {}
    for stream in fleet.streams:
        addresses = _addresses(fleet, stream)
        for name in (stream.from_domain, stream.return_path):
            found.setdefault(name, {}).update(dict.fromkeys(addresses))
    return {name: tuple(addresses) for name, addresses in found.items()}


def _addresses(fleet: Fleet, stream: Stream) -> list[Address]:
    sending: Iterable[SendingAddress] = fleet.sending_addresses(stream.name)
    return [address for entry in sending for address in entry.addresses]
