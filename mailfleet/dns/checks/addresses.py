"""Forward-confirmed reverse DNS of every address, which every large mailbox provider demands."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address

from mailfleet.dns.checks.finding import Finding, Scope, Task
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.rrset import RRset
from mailfleet.model import Address


def tasks(scope: Scope) -> Iterator[Task]:
    """One for each address and resolver."""
    served = {a: bool(h.reverse_dns) for h in scope.fleet.hosts for a in h.all_addresses}
    for address, record in scope.desired.reverse.items():
        if scope.includes(record.values[0].rstrip(".")):
            for resolver in scope.resolvers:
                yield partial(_confirmed, scope, served[address], address, record, resolver)


def _confirmed(
    scope: Scope, served: bool, address: Address, record: RRset, resolver: Resolver
) -> Iterator[Finding]:
    name = record.values[0].rstrip(".")
    subject = str(address)
    reverse_names = resolver(record.name, "PTR")
    if list(reverse_names) != list(record.values):
        shown = ", ".join(reverse_names) or "no PTR record"
        asked = f"{record.name}. PTR {record.values[0]}"
        remedy = (
            f"{scope.push}; where its reverse zone is another company's, ask that for: {asked}"
            if served
            else f"ask the company that the address comes from for: {asked}"
        )
        yield Finding(subject, f"has {shown}, and needs PTR {name}", remedy)
    forward = resolver(name, "A" if address.version == 4 else "AAAA")
    if address not in {ip_address(text) for text in forward}:
        shown = ", ".join(forward) or "no address"
        yield Finding(subject, f"its name {name} has {shown}, not this address", scope.push)
