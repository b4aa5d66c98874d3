"""Checking what the world sees of a fleet's DNS, from its authoritative servers and resolvers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor

from mailfleet.dns.checks import addresses, dane, dkim, dmarc, dnssec, domains, served, spf
from mailfleet.dns.checks.finding import Finding, Report, Scope, Task
from mailfleet.dns.lookup import LookupFailedError
from mailfleet.dns.query.authoritative import Authority, authorities
from mailfleet.dns.query.resolver import Resolver
from mailfleet.dns.records.dane import Certificates, signatures
from mailfleet.dns.records.desired import records
from mailfleet.dns.records.dkim import HostDkimKeys
from mailfleet.model import Fleet

__all__ = ["Finding", "Report", "check"]

_THREADS = 32


def check(
    fleet: Fleet,
    keys: Mapping[str, HostDkimKeys],
    resolvers: Sequence[Resolver],
    domain: str | None = None,
    certificates: Certificates | None = None,
) -> Report:
    """Everything that is wrong, and how many things were looked at.

    `keys` and `certificates` are those of the hosts that could be read; a host without is a
    finding. The first of `resolvers` finds the authoritative servers and which zones are signed.
    `domain` limits the check to one domain file. No provider is asked.
    """
    certificates = certificates or {}
    dnssec_states = signatures(fleet, resolvers[0])
    signed = dnssec_states.signed
    desired = records(
        fleet,
        [key for host_keys in keys.values() for key in host_keys.keys],
        certificates=certificates,
        signed=signed,
    )
    scope = Scope(fleet, desired, keys, resolvers, domain, certificates, signed)
    zones = [
        zone
        for zone, wanted in desired.items()
        if any(scope.includes(record.name) for record in wanted)
    ]
    findings = [*dkim.missing_keys(scope), *dane.missing_certificates(scope)]
    with ThreadPoolExecutor(_THREADS) as pool:
        servers: dict[str, list[Authority]] = {}
        asked = pool.map(lambda zone: authorities(zone, resolvers[0].dnspython), zones)
        for zone, (zone_servers, problems) in zip(zones, asked, strict=True):
            servers[zone] = zone_servers
            findings += [Finding(zone, problem, remedy) for problem, remedy in problems]
        tasks = list(_tasks(scope, servers))
        for results in pool.map(_carried_out, tasks):
            findings += results
    states: dict[str, str] = {}
    notes = [
        f"{zone}: whether it is signed is not known, so its TLSA records are unchecked: {problem}"
        for zone, problem in dnssec_states.unknown.items()
    ]
    findings += dnssec.findings(zones, resolvers, states, notes)
    return Report(len(tasks) + len(zones), tuple(sorted(set(findings))), tuple(notes), states)


def _tasks(scope: Scope, servers: Mapping[str, Iterable[Authority]]) -> Iterator[Task]:
    yield from served.tasks(scope, servers)
    for kind in (addresses, spf, dkim, dmarc, domains, dane):
        yield from kind.tasks(scope)


def _carried_out(task: Task) -> list[Finding]:
    try:
        return list(task())
    except LookupFailedError as error:
        return [Finding("DNS", error.problem, error.hint)]
