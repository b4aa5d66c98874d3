"""PTR records: which name each address of a fleet has (RFC 1035 §3.5, RFC 3596 §2.5)."""

from __future__ import annotations

from dataclasses import dataclass

from mailfleet.dns.rrset import RRset, rrset
from mailfleet.model import Address, Fleet


@dataclass(frozen=True)
class PtrRecord:
    """The name of one address, and where DNS keeps it."""

    address: Address
    name: str
    """What the address is called, e.g. orders.mta1.eu.shop.example."""
    ttl: int
    owner: str
    """Where the record lies: the address's name in the reverse tree, or what that is an alias of."""

    @property
    def is_aliased(self) -> bool:
        """Whether the record lies in a zone that aliases delegate (RFC 2317)."""
        return self.owner != reverse_name(self.address)

    @property
    def rrset(self) -> RRset:
        return rrset(self.owner, "PTR", self.ttl, f"{self.name}.")


def ptr_records(fleet: Fleet) -> dict[Address, PtrRecord]:
    """The PTR record of each address of the fleet."""
    records: dict[Address, PtrRecord] = {}
    for host in fleet.hosts:
        domain = fleet.domain_of(host.name)
        ttl = domain.ttl if domain else 3600
        for address, name in host.reverse_names.items():
            records[address] = PtrRecord(address, name, ttl, reverse_name(address))
    return records


def reverse_name(address: Address) -> str:
    """The name of an address in the reverse tree."""
    return address.reverse_pointer
