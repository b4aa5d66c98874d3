"""Every record at every address of every authoritative server."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import partial

from dns.exception import DNSException

from mailfleet.dns.checks.finding import Finding, Scope, Task
from mailfleet.dns.plan.compare import difference
from mailfleet.dns.query.authoritative import Authority, ask
from mailfleet.dns.rrset import RRset

Servers = Mapping[str, Iterable[Authority]]
"""The servers of each zone that answer for it."""

_ADDRESSES = ("A", "AAAA")
# What Cloudflare's proxy can stand before.
_PROXIABLE = frozenset({*_ADDRESSES, "CNAME"})


def tasks(scope: Scope, servers: Servers) -> Iterator[Task]:
    """One for each record and server; one for each name and server where it is proxied."""
    proxied = scope.fleet.proxied
    for zone, wanted in scope.desired.items():
        records = [record for record in wanted if scope.includes(record.name)]
        behind: dict[str, list[RRset]] = {}
        for record in records:
            if record.type in _PROXIABLE and record.name in proxied:
                behind.setdefault(record.name, []).append(record)
        for server in servers.get(zone, ()):
            for record in records:
                if record not in behind.get(record.name, ()):
                    yield partial(_record, server, record, scope)
            for hidden in behind.values():
                yield partial(_proxied, server, hidden, scope)


def _record(server: Authority, record: RRset, scope: Scope) -> Iterator[Finding]:
    subject = f"{record.name} {record.type}"
    try:
        answered = ask(server, record.name, record.type, scope.resolver)
    except (DNSException, OSError) as error:
        yield _silent(subject, server, error)
        return
    if problem := difference(record, answered):
        remedy = scope.push
        if set(record.values) <= set(answered):
            # A push leaves alone what others have added.
            remedy = f"if nobody needs that, {scope.push} --adopt '{record.name}/{record.type}'"
        yield Finding(subject, f"{server} {problem}", remedy)


def _proxied(server: Authority, hidden: Collection[RRset], scope: Scope) -> Iterator[Finding]:
    """Cloudflare answers for the records of a proxied name with addresses of its own.

    Of which family they are is a setting of the zone; a CNAME is answered by addresses as well.
    """
    name = next(record.name for record in hidden)
    types = dict.fromkeys((*_ADDRESSES, *(record.type for record in hidden)))
    try:
        answered = {value for rtype in types for value in ask(server, name, rtype, scope.resolver)}
    except (DNSException, OSError) as error:
        yield _silent(name, server, error)
        return
    own = {str(address) for host in scope.fleet.hosts for address in host.all_addresses}
    own |= {value for record in hidden for value in record.values}
    if shown := ", ".join(sorted(answered & own)):
        problem = f"{server} gives {shown}, so Cloudflare's proxy does not stand before it"
        remedy = f"{scope.push}; if that changes nothing, resume the zone at Cloudflare"
        yield Finding(name, problem, remedy)
    elif not answered:
        yield Finding(name, f"{server} has no address", scope.push)


def _silent(subject: str, server: Authority, error: Exception) -> Finding:
    remedy = "see whether the server is up and reachable from here"
    return Finding(subject, f"{server} does not answer: {error}", remedy)
