"""Checking what the world sees of a fleet's DNS, from its authoritative servers and a resolver."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import ip_address

import dns.resolver
from dns.exception import DNSException

from mailfleet.authorities import Authority, ask, authorities
from mailfleet.model import Address, Fleet
from mailfleet.records import Desired, RRset, records
from mailfleet.records.compare import difference
from mailfleet.records.desired import pointer
from mailfleet.records.dkim import HostKeys
from mailfleet.records.rrset import from_rdata

_THREADS = 32


@dataclass(frozen=True, order=True)
class Finding:
    """One thing that is wrong, and what to do about it."""

    subject: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.subject}: {self.problem}; {self.remedy}"


def check(
    fleet: Fleet,
    keys: Mapping[str, HostKeys],
    resolver: dns.resolver.Resolver,
    domain: str | None = None,
) -> tuple[int, tuple[Finding, ...]]:
    """How many things were looked at, and everything that is wrong.

    `keys` are those of the hosts that could be read; a host without is a finding. `domain` limits
    the check to one domain file.
    """
    desired = records(fleet, [key for found in keys.values() for key in found.keys])
    tasks = [
        *_record_tasks(fleet, desired, resolver, domain),
        *_pointer_tasks(fleet, desired, resolver, domain),
    ]
    with ThreadPoolExecutor(_THREADS) as pool:
        results = list(pool.map(lambda task: list(task()), tasks))
    findings = [*_keyless(fleet, keys), *(one for result in results for one in result)]
    return len(tasks), tuple(sorted(set(findings)))


Task = Callable[[], Iterable[Finding]]


def _in_scope(fleet: Fleet, name: str, domain: str | None) -> bool:
    owner = fleet.domain_of(name)
    return domain is None or (owner is not None and owner.name == domain)


def _keyless(fleet: Fleet, keys: Mapping[str, HostKeys]) -> Iterator[Finding]:
    deploy = f"run: pyinfra {fleet.source} deploys/mta.py"
    for host in fleet.hosts:
        if host.name not in keys:
            remedy = f"try: pyinfra {fleet.source} --limit {host.name} exec -- uptime"
            yield Finding(host.name, "could not be read: its DKIM records are unchecked", remedy)
            continue
        have = {(key.domain, key.selector) for key in keys[host.name].keys}
        for name in fleet.signing_domains(host):
            if (name, fleet.selector(host, name)) not in have:
                yield Finding(host.name, f"has no DKIM key for {name}", deploy)


def _push(fleet: Fleet) -> str:
    return f"publish it: mailfleet dns push {fleet.source}"


def _record_tasks(
    fleet: Fleet, desired: Desired, resolver: dns.resolver.Resolver, domain: str | None
) -> Iterator[Task]:
    for zone, wanted in desired.zones.items():
        own = [record for record in wanted if _in_scope(fleet, record.name, domain)]
        if not own:
            continue
        servers, problems = authorities(zone, resolver)
        for problem, remedy in problems:
            yield partial(tuple, [Finding(zone, problem, remedy)])
        for server in servers:
            for record in own:
                yield partial(_record, server, record, _push(fleet))


def _record(server: Authority, record: RRset, push: str) -> Iterator[Finding]:
    subject = f"{record.name} {record.type}"
    try:
        answered = ask(server, record.name, record.type)
    except (DNSException, OSError) as error:
        remedy = "see whether the server is up and reachable from here"
        yield Finding(subject, f"{server} does not answer: {error}", remedy)
        return
    if problem := difference(record, answered):
        yield Finding(subject, f"{server} {problem}", push)


def _pointer_tasks(
    fleet: Fleet, desired: Desired, resolver: dns.resolver.Resolver, domain: str | None
) -> Iterator[Task]:
    push = _push(fleet)
    remedy = push if fleet.reverse_dns else "set it where the address comes from, mostly the hoster"
    for address, record in desired.reverse.items():
        name = record.values[0].rstrip(".")
        if _in_scope(fleet, name, domain):
            yield partial(_confirmed, address, name, resolver, remedy, push)


def _confirmed(
    address: Address, name: str, resolver: dns.resolver.Resolver, remedy: str, push: str
) -> Iterator[Finding]:
    """Forward-confirmed reverse DNS, which every large mailbox provider demands."""
    try:
        pointers = _resolve(resolver, pointer(address), "PTR")
        if pointers != [f"{name}."]:
            shown = ", ".join(pointers) or "no PTR record"
            yield Finding(str(address), f"has {shown}, and needs PTR {name}", remedy)
        forward = _resolve(resolver, name, "A" if address.version == 4 else "AAAA")
        if address not in {ip_address(text) for text in forward}:
            shown = ", ".join(forward) or "no address"
            yield Finding(str(address), f"its name {name} has {shown}, not this address", push)
    except DNSException as error:
        hint = "see whether the resolver is reachable and the zone's DNSSEC chain is whole"
        yield Finding(str(address), f"cannot be looked up: {error}", hint)


def _resolve(resolver: dns.resolver.Resolver, name: str, rtype: str) -> list[str]:
    try:
        return sorted(from_rdata(rdata) for rdata in resolver.resolve(f"{name}.", rtype))
    except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
        return []
