"""DANE: senders that ask for TLSA records find the key of the host's certificate (RFC 7672)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mailfleet.dns.checks.finding import Finding, Scope, Task
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.records import dane
from mailfleet.dns.records.transport import tlsa


def missing_certificates(scope: Scope) -> Iterator[Finding]:
    """The receiving hosts in signed zones that were read and have no certificate."""
    for host in _hosts(scope):
        if host in scope.keys and host not in scope.certificates:
            remedy = f"run: pyinfra {scope.fleet.source} deploys/mta.py"
            yield Finding(host, "has no certificate: its TLSA records are unchecked", remedy)


def tasks(scope: Scope) -> Iterator[Task]:
    """One for each receiving host in a signed zone, whose certificate is known, and resolver."""
    for host in _hosts(scope):
        if host in scope.certificates:
            for resolver in scope.resolvers:
                yield partial(_matches, scope, host, resolver)


def _hosts(scope: Scope) -> Iterator[str]:
    for host, zone in dane.zones(scope.fleet):
        if zone in scope.signed and scope.includes(host.name):
            yield host.name


def _matches(scope: Scope, host: str, resolver: Resolver) -> Iterator[Finding]:
    name = dane.tlsa_name(host)
    values = resolver(name, "TLSA")
    if not values:
        yield Finding(name, f"has no TLSA record at {resolver.label}", scope.push)
    # One that matches is enough (RFC 6698 §2.1); others may be for the key before or after it.
    elif not set(values) & set(map(tlsa, scope.certificates[host])):
        problem = f"no TLSA record at {resolver.label} is of the key of the host's certificate"
        yield Finding(name, f"{problem}, so senders with DANE keep their mail", scope.push)
