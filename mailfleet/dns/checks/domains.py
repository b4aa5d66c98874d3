"""What receivers look up about a sender's domain before they read the mail: SOA, MX, A."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mailfleet.dns.checks.finding import Finding, Scope, Task
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.records.mx import NULL_MX, mail_names


def tasks(scope: Scope) -> Iterator[Task]:
    """One for each From and return-path domain and each resolver."""
    for domain in scope.fleet.domains:
        for name in mail_names(domain):
            if scope.includes(name):
                for resolver in scope.resolvers:
                    yield partial(_zone, scope, name, resolver)
                    yield partial(_reachable, scope, name, resolver)


def _zone(scope: Scope, name: str, resolver: Resolver) -> Iterator[Finding]:
    """A start of authority at the name or above it within its zone: Yahoo asks for it."""
    owner = scope.fleet.domain_of(name)
    zone = owner.zone if owner else name
    if not resolver(zone, "SOA"):
        remedy = f"delegate {zone} to its name servers in the zone above it"
        yield Finding(name, f"its zone {zone} has no SOA at {resolver.label}", remedy)


def _reachable(scope: Scope, name: str, resolver: Resolver) -> Iterator[Finding]:
    """Somewhere to answer to (RFC 5321 §5.1): an MX whose names have addresses, or an address."""
    mx_hosts = [value.split()[1].rstrip(".") for value in resolver(name, "MX")]
    if not mx_hosts:
        if not _addresses(resolver, name):
            problem = (
                f"has neither MX nor address at {resolver.label}, so receivers refuse its mail"
            )
            yield Finding(name, problem, scope.push)
        return
    if NULL_MX.split()[1].rstrip(".") in mx_hosts:
        yield Finding(name, f"has a null MX at {resolver.label}, so nobody can answer", scope.push)
        return
    for mx_host in mx_hosts:
        if not _addresses(resolver, mx_host):
            remedy = (
                scope.push
                if scope.fleet.domain_of(mx_host)
                else "correct mx in its domain file, and push"
            )
            yield Finding(name, f"its MX {mx_host} has no address at {resolver.label}", remedy)


def _addresses(resolver: Resolver, name: str) -> bool:
    return bool(resolver(name, "A") or resolver(name, "AAAA"))
