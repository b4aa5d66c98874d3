"""Forward-confirmed reverse DNS of every address, which every large mailbox provider demands."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from ipaddress import ip_address

from mailfleet.dns.checks.finding import Finding, Scope, Task
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.records.ptr import PtrRecord, ptr_records


def tasks(scope: Scope) -> Iterator[Task]:
    """One for each address and resolver."""
    served = {a: bool(h.reverse_dns) for h in scope.fleet.hosts for a in h.all_addresses}
    for address, record in ptr_records(scope.fleet).items():
        if scope.includes(record.name):
            for resolver in scope.resolvers:
                yield partial(_confirmed, scope, served[address], record, resolver)


def _confirmed(
    scope: Scope, served: bool, record: PtrRecord, resolver: Resolver
) -> Iterator[Finding]:
    address, name = record.address, record.name
    subject = str(address)
    reverse_names = resolver(record.owner, "PTR")
    if list(reverse_names) != [f"{name}."]:
        shown = ", ".join(reverse_names) or "no PTR record"
        asked = f"{record.owner}. PTR {name}."
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
